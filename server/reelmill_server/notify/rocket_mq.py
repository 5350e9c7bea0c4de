"""RocketMQ, by Apache's own Python client, which is an optional extra."""

import asyncio
import importlib
import importlib.util
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog

from reelmill_server.errors import Violation
from reelmill_server.model.notification import Failure, Recipient
from reelmill_server.notify.base import DeliveryFailed
from reelmill_server.notify.message import TYPE, Message

INSTALL = "pip install 'reelmill[rocketmq]'"
_MOST_AT_ONCE = 4  # each has threads of its own
_log = structlog.get_logger(__name__)


def is_installed() -> bool:
    """Whether the client is here; it is imported when it is first used, as that takes a second."""
    return importlib.util.find_spec("rocketmq") is not None


class RocketMqSender:
    """Sends to the topics of the instances at one endpoint (host:port of a RocketMQ 5 proxy, which serves 4.x topics, too)."""

    def __init__(self, endpoint: str, access_key: str, secret_key: str, timeout_seconds: float, *, tls: bool = False) -> None:
        self._endpoint, self._access_key, self._secret_key = endpoint, access_key, secret_key
        self._timeout_seconds, self._tls = timeout_seconds, tls
        self._threads = ThreadPoolExecutor(_MOST_AT_ONCE, "rocketmq")

    def problems(self, _: Recipient) -> Iterator[Violation]:
        """As `Sender.problems`: the protos' rules say all that there is."""
        yield from ()

    async def send(self, recipient: Recipient, message: Message) -> None:
        """As `Sender.send`."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._send, recipient, message)
        except Exception as error:  # the client raises whatever comes; its words are for the operator alone
            _log.warning("RocketMQ failed", topic=recipient.destination, reason=str(error))
            raise DeliveryFailed(Failure(f"RocketMQ did not take it ({type(error).__name__})")) from None

    def _send(self, recipient: Recipient, message: Message) -> None:
        """One producer for one message: a kept one would hold threads for every instance that was ever named."""
        client: Any = importlib.import_module("rocketmq")
        credentials = client.Credentials(self._access_key, self._secret_key)
        seconds = max(1, round(self._timeout_seconds))
        configuration = client.ClientConfiguration(self._endpoint, credentials, recipient.qualifier, seconds)
        producer = client.Producer(configuration, (recipient.destination,), tls_enable=self._tls)
        producer.startup()
        try:
            producer.send(_entry(client, recipient, message))
        finally:
            producer.shutdown()

    async def close(self) -> None:
        """As `Sender.close`."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _entry(client: Any, recipient: Recipient, message: Message) -> Any:
    entry = client.Message()
    entry.topic = recipient.destination
    entry.body = message.envelope().encode()
    entry.tag = TYPE.rpartition(":")[2]
    entry.keys = message.message_id
    return entry
