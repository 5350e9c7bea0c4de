"""What attempts bring to its place, and whether they may: plain data and one protocol."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from reelmill_server.model.engine_view import Standing


@dataclass(frozen=True)
class Announced:
    """A file that is about to be placed: its URI, and the mark that tells it from all others there."""

    uri: str
    mark: str


class Claim(Protocol):
    """What an attempt is to its task, as the engine knows it. All raise ServiceUnavailable when it does not say."""

    async def standing(self) -> Standing:
        """Whether the task is still this attempt's."""

    async def announce(self, files: Sequence[Announced]) -> None:
        """Has the task remember what this attempt is about to place: what it leaves there without having succeeded is taken
        away when the task ends. Raises InternalError when the task is over."""
