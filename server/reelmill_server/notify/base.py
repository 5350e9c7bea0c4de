"""The interface of channels."""

from collections.abc import Iterator
from typing import Protocol

from reelmill_server.errors import Violation
from reelmill_server.model.notification import Failure, Recipient
from reelmill_server.notify.message import Message


class DeliveryFailed(Exception):
    """A message was not delivered; `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(failure.message)


class Sender(Protocol):
    """A configured channel. Its `problems` have paths below the channel's message in the request."""

    def problems(self, recipient: Recipient) -> Iterator[Violation]:
        """Yield what is wrong with a recipient, without contacting it."""

    async def send(self, recipient: Recipient, message: Message) -> None:
        """Send a message once. Raises DeliveryFailed."""

    async def close(self) -> None:
        """Release its connections and threads."""


class Unavailable:
    """A channel that this server cannot use; `reason` says what is missing."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def problems(self, _: Recipient) -> Iterator[Violation]:
        yield Violation("", self._reason)

    async def send(self, _: Recipient, __: Message) -> None:
        # Only if the settings have changed since the request was accepted.
        raise DeliveryFailed(Failure(self._reason))

    async def close(self) -> None:
        pass
