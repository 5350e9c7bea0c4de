"""Notifications in requests: their recipients, and their validation."""

from collections.abc import Callable, Collection, Iterator

from reelmill.v1 import notification_pb2
from reelmill_server.errors import ReelmillError, Violation
from reelmill_server.model.notification import Channel, Recipient
from reelmill_server.notify.registry import Channels

_FIELD = "notification"
_DEFAULT_SECRET = "default"


def recipients(notification: notification_pb2.Notification) -> Iterator[tuple[str, Recipient]]:
    """Yield the recipients of a task's notifications, each with the path of its message or field in the Notification."""
    if notification.extended_message_uri:
        yield "extended_message_uri", Recipient(Channel.EXTENDED_MESSAGE, notification.extended_message_uri)
    if notification.HasField("mns"):
        yield "mns", Recipient(Channel.MNS, notification.mns.topic_name)
    if notification.HasField("rocket_mq"):
        yield "rocket_mq", Recipient(Channel.ROCKET_MQ, notification.rocket_mq.topic_name, notification.rocket_mq.instance_id)
    if notification.HasField("webhook"):
        secret = notification.webhook.secret_name or _DEFAULT_SECRET
        yield "webhook", Recipient(Channel.WEBHOOK, notification.webhook.url, secret)
    if notification.HasField("pub_sub"):
        yield "pub_sub", Recipient(Channel.PUB_SUB, notification.pub_sub.topic_name)


def problems(
    notification: notification_pb2.Notification,
    channels: Channels | None,
    reserved_uris: Collection[str],
    uri_problems: Callable[[str, str], Iterator[Violation | ReelmillError]],
) -> Iterator[Violation | ReelmillError]:
    """Yield what is wrong with the recipients.

    `reserved_uris` are the URIs of sources and outputs, which no message may overwrite. `uri_problems` yields storage's
    objections to a URI, given the field's path. Without `channels`, channels are not checked.
    """
    for name, recipient in recipients(notification):
        path = f"{_FIELD}.{name}"
        if recipient.channel is not Channel.EXTENDED_MESSAGE:
            for problem in channels.problems(recipient) if channels else ():
                yield Violation(f"{path}.{problem.field}" if problem.field else path, problem.description)
        elif recipient.destination in reserved_uris:
            yield Violation(path, "must not be the URI of a source or an output")
        elif "{" in recipient.destination:
            yield Violation(path, "cannot contain template variables: write out the URI")
        else:
            yield from uri_problems(recipient.destination, path)
