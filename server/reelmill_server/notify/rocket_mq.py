"""Channel of RocketMQ: sends through Apache's Python client, an optional dependency."""

import asyncio
import importlib
import importlib.util
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog

from reelmill_server.errors import Violation
from reelmill_server.extras import install_command
from reelmill_server.model.notification import Failure, Recipient
from reelmill_server.notify.base import DeliveryFailed
from reelmill_server.notify.message import TYPE, Message

INSTALL = install_command("rocketmq")
_MAX_CONCURRENT = 4  # every producer starts threads
_log = structlog.get_logger(__name__)


def is_installed() -> bool:
    """Return whether the client is installed; it is imported at its first use, as that takes a second."""
    return importlib.util.find_spec("rocketmq") is not None


class RocketMqSender:
    """Sender to the topics of all instances at one endpoint (host:port of a RocketMQ 5 proxy, which also serves 4.x topics)."""

    def __init__(self, endpoint: str, access_key: str, secret_key: str, timeout_seconds: float, *, tls: bool = False) -> None:
        self._endpoint, self._access_key, self._secret_key = endpoint, access_key, secret_key
        self._timeout_seconds, self._tls = timeout_seconds, tls
        self._threads = ThreadPoolExecutor(_MAX_CONCURRENT, "rocketmq")

    def problems(self, _: Recipient) -> Iterator[Violation]:
        # The protos' rules cover topic names.
        yield from ()

    async def send(self, recipient: Recipient, message: Message) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._send, recipient, message)
        except Exception as error:  # the client raises many types; its messages are for the operator only
            _log.warning("RocketMQ failed", topic=recipient.destination, reason=str(error))
            raise DeliveryFailed(Failure(f"RocketMQ refused the message ({type(error).__name__})")) from None

    def _send(self, recipient: Recipient, message: Message) -> None:
        """Send with a new producer: a pool would keep threads for every instance that a request ever named."""
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
        self._threads.shutdown(wait=False, cancel_futures=True)


def _entry(client: Any, recipient: Recipient, message: Message) -> Any:
    entry = client.Message()
    entry.topic = recipient.destination
    entry.body = message.envelope().encode()
    entry.tag = TYPE.rpartition(":")[2]
    entry.keys = message.message_id
    return entry
