"""Notifications in requests: who is told, and what is wrong with them."""

from collections.abc import Callable, Collection, Iterator

from reelmill.v1 import notification_pb2
from reelmill_server.errors import ReelmillError, Violation
from reelmill_server.model.notification import Channel, Recipient
from reelmill_server.notify.registry import Channels

_FIELD = "notification"
_DEFAULT_SECRET = "default"


def recipients(asked: notification_pb2.Notification) -> Iterator[tuple[str, Recipient]]:
    """Who is told, each with the path of its message or field in the Notification."""
    if asked.extended_message_uri:
        yield "extended_message_uri", Recipient(Channel.EXTENDED_MESSAGE, asked.extended_message_uri)
    if asked.HasField("mns"):
        yield "mns", Recipient(Channel.MNS, asked.mns.topic_name)
    if asked.HasField("rocket_mq"):
        yield "rocket_mq", Recipient(Channel.ROCKET_MQ, asked.rocket_mq.topic_name, asked.rocket_mq.instance_id)
    if asked.HasField("webhook"):
        secret = asked.webhook.secret_name or _DEFAULT_SECRET
        yield "webhook", Recipient(Channel.WEBHOOK, asked.webhook.url, secret)
    if asked.HasField("pub_sub"):
        yield "pub_sub", Recipient(Channel.PUB_SUB, asked.pub_sub.topic_name)


def problems(
    asked: notification_pb2.Notification,
    channels: Channels | None,
    places: Collection[str],
    uri_problems: Callable[[str, str], Iterator[Violation | ReelmillError]],
) -> Iterator[Violation | ReelmillError]:
    """What is wrong with those who are to be told. `places` are the URIs of sources and outputs, which no message may take.

    `uri_problems` tells what storage objects to in a URI, by the field's path. Without `channels` these are not checked.
    """
    for name, recipient in recipients(asked):
        here = f"{_FIELD}.{name}"
        if recipient.channel is not Channel.EXTENDED_MESSAGE:
            for problem in channels.problems(recipient) if channels else ():
                yield Violation(f"{here}.{problem.field}" if problem.field else here, problem.description)
        elif recipient.destination in places:
            yield Violation(here, "must not be the URI of a source or an output")
        elif "{" in recipient.destination:
            yield Violation(here, "has no variables: write the URI out")
        else:
            yield from uri_problems(recipient.destination, here)
