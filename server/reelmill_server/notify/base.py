"""What every channel does."""

from collections.abc import Iterator
from typing import Protocol

from reelmill_server.errors import Violation
from reelmill_server.model.notification import Failure, Recipient
from reelmill_server.notify.message import Message


class DeliveryFailed(Exception):
    """A message was not taken; `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(failure.message)


class Sender(Protocol):
    """One channel, set up. Its `problems` are paths below the channel's message in the request."""

    def problems(self, recipient: Recipient) -> Iterator[Violation]:
        """What is wrong with a recipient, as far as that is known without asking anyone."""

    async def send(self, recipient: Recipient, message: Message) -> None:
        """Sends a message once. Raises DeliveryFailed."""

    async def close(self) -> None:
        """Releases what is held."""


class Unavailable:
    """A channel that this server cannot use; `reason` says what it lacks."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def problems(self, _: Recipient) -> Iterator[Violation]:
        """As `Sender.problems`."""
        yield Violation("", self._reason)

    async def send(self, _: Recipient, __: Message) -> None:
        """As `Sender.send`: the settings have changed since the request."""
        raise DeliveryFailed(Failure(self._reason))

    async def close(self) -> None:
        """As `Sender.close`."""
