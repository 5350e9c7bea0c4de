"""Publication of an attempt's files: plain data and one protocol."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from reelmill_server.model.engine_view import ClaimState


@dataclass(frozen=True)
class PendingFile:
    """A file about to be published: its URI, and the mark that identifies it there."""

    uri: str
    mark: str


class Claim(Protocol):
    """Claim of an attempt on its task, as the engine knows it. All methods raise ServiceUnavailable if it does not answer."""

    async def claim_state(self) -> ClaimState:
        """Return whether the task still belongs to this attempt."""

    async def announce(self, files: Sequence[PendingFile]) -> bool:
        """Record in the task which files this attempt is about to publish; return whether that tells that it owns the task.

        Files of an attempt that does not succeed are removed when the task ends. Raises InternalError if the task has ended.
        """
