"""The channels of this server, according to its settings."""

from collections.abc import Callable, Iterator, Mapping

from reelmill_server.errors import Violation
from reelmill_server.model.notification import Channel, Failure, Recipient
from reelmill_server.notify import rocket_mq
from reelmill_server.notify.base import DeliveryFailed, Sender, Unavailable
from reelmill_server.notify.message import Message
from reelmill_server.notify.mns import MnsSender
from reelmill_server.notify.outbound import Outbound
from reelmill_server.notify.pub_sub import GoogleToken, PubSubSender, no_token
from reelmill_server.notify.rocket_mq import RocketMqSender
from reelmill_server.notify.webhook import WebhookSender
from reelmill_server.settings.group import environment_name
from reelmill_server.settings.notify import NotifySettings


class Channels:
    """All channels; one that is not configured refuses recipients and says what is missing."""

    def __init__(self, settings: NotifySettings) -> None:
        self._senders: Mapping[Channel, Sender] = {channel: open_(settings) for channel, open_ in _OPENERS.items()}

    def problems(self, recipient: Recipient) -> Iterator[Violation]:
        """Yield what is wrong with a recipient, with paths below the channel's message in the request."""
        yield from self._senders[recipient.channel].problems(recipient)

    async def send(self, recipient: Recipient, message: Message) -> None:
        """Send a message once. Raises DeliveryFailed for every error."""
        try:
            await self._senders[recipient.channel].send(recipient, message)
        except DeliveryFailed:
            raise
        except Exception as error:
            raise DeliveryFailed(Failure(f"{recipient.channel} failed ({type(error).__name__})")) from error

    async def close(self) -> None:
        """Close all channels."""
        for sender in self._senders.values():
            await sender.close()


def _disabled_by(setting: str) -> Unavailable:
    return Unavailable(f"is not available on this server: {environment_name(setting)} is not set")


def _webhook(settings: NotifySettings) -> Sender:
    keys = settings.webhook_keys()
    if not keys:
        return _disabled_by("webhook_secrets")
    return WebhookSender(
        Outbound(settings.notify_timeout_seconds, allow_private=settings.webhook_allow_private),
        keys,
        hosts=settings.webhook_host,
        allow_http=settings.webhook_allow_http,
        allow_private=settings.webhook_allow_private,
    )


def _mns(settings: NotifySettings) -> Sender:
    if not settings.mns_endpoint:
        return _disabled_by("mns_endpoint")
    secret = settings.mns_access_key_secret.get_secret_value()
    outbound = Outbound(settings.notify_timeout_seconds, allow_private=True)
    return MnsSender(outbound, settings.mns_endpoint, settings.mns_access_key_id, secret)


def _rocket_mq(settings: NotifySettings) -> Sender:
    if not settings.rocketmq_endpoint:
        return _disabled_by("rocketmq_endpoint")
    if not rocket_mq.is_installed():
        return Unavailable(f"is not available on this server: its client is not installed; run {rocket_mq.INSTALL}")
    secret = settings.rocketmq_secret_key.get_secret_value()
    return RocketMqSender(
        settings.rocketmq_endpoint,
        settings.rocketmq_access_key,
        secret,
        settings.notify_timeout_seconds,
        tls=settings.rocketmq_tls,
    )


def _pub_sub(settings: NotifySettings) -> Sender:
    if not settings.pubsub_project:
        return _disabled_by("pubsub_project")
    emulator = settings.pubsub_endpoint.startswith("http://")
    outbound = Outbound(settings.notify_timeout_seconds, allow_private=True)
    return PubSubSender(outbound, settings.pubsub_endpoint, settings.pubsub_project, no_token if emulator else GoogleToken())


_OPENERS: Mapping[Channel, Callable[[NotifySettings], Sender]] = {
    Channel.MNS: _mns,
    Channel.ROCKET_MQ: _rocket_mq,
    Channel.WEBHOOK: _webhook,
    Channel.PUB_SUB: _pub_sub,
}
