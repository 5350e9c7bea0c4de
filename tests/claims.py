"""Claims for tests: what an attempt is to its task, as the test says."""

from collections.abc import Callable, Sequence

from reelmill_server.model.engine_view import ClaimState
from reelmill_server.model.publication import PendingFile


class FakeClaim:
    """A claim whose standing is what `answer` gives; keeps what was announced, and counts the questions."""

    def __init__(self, answer: Callable[[], ClaimState] = lambda: ClaimState.OURS) -> None:
        self._answer, self.asked = answer, 0
        self.announced: list[PendingFile] = []

    async def claim_state(self) -> ClaimState:
        """As of a claim."""
        self.asked += 1
        return self._answer()

    async def announce(self, files: Sequence[PendingFile]) -> bool:
        """As of a claim."""
        self.announced += files
        return False
