"""Publishing while the engine is away: it is waited for, but not for ever."""

import asyncio
from collections.abc import Iterator

import pytest

from reelmill_server.errors import InternalError, ServiceUnavailable
from reelmill_server.model.engine_view import ClaimState
from reelmill_server.model.publication import PendingFile
from reelmill_server.worker.parent import publish_guard
from reelmill_server.worker.parent.publish_guard import PublishGuard
from tests.claims import FakeClaim

AWAY = 10**9


class Away(FakeClaim):
    """An engine that is away for so many questions of each kind."""

    def __init__(self, questions: int, standing: ClaimState = ClaimState.OURS) -> None:
        self.unanswered, self.known = questions, standing
        super().__init__(self.answer)

    def answer(self) -> ClaimState:
        """Answer, if it is there."""
        self.unanswered -= 1
        if self.unanswered >= 0:
            raise ServiceUnavailable("the engine is away")
        return self.known

    async def announce(self, files: list[PendingFile]) -> None:  # type: ignore[override]
        """Take them, if it is there."""
        await self.claim_state()
        await super().announce(files)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No pauses."""
    monkeypatch.setattr(publish_guard, "_PAUSE_SECONDS", 0.0)
    yield


async def test_an_engine_that_is_away_is_waited_for() -> None:
    """Before a file is published, and before all are announced."""
    await PublishGuard(Away(50)).check()
    claim = Away(50)
    await PublishGuard(claim).announce([PendingFile("file:///x", "mark")])
    assert len(claim.announced) == 1
    with pytest.raises(InternalError, match="canceled, or has failed"):
        await PublishGuard(Away(50, ClaimState.ENDED)).check()


async def test_it_is_not_waited_for_longer_than_that(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows then whose the task is."""
    monkeypatch.setattr(publish_guard, "_PATIENCE_SECONDS", 0.0)
    claim = Away(AWAY)
    with pytest.raises(ServiceUnavailable):
        await PublishGuard(claim).check()
    assert claim.asked == 1


async def test_it_is_not_waited_for_when_the_attempt_is_canceled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is told to end does not wait ten minutes."""
    monkeypatch.setattr(publish_guard, "_PAUSE_SECONDS", 0.01)
    guard = PublishGuard(Away(10**9))
    checking = asyncio.create_task(guard.check())
    await asyncio.sleep(0.05)
    guard.stop_waiting()
    async with asyncio.timeout(20):
        with pytest.raises(ServiceUnavailable):
            await checking


async def test_what_is_only_kept_does_not_wait() -> None:
    """One question for many files, and no objection as long as there is no answer; what is known counts."""
    claim = Away(AWAY)
    guard = PublishGuard(claim)
    await asyncio.gather(*(guard.check_known() for _ in range(8)))
    assert claim.asked == 1
    await PublishGuard(Away(0)).check_known()
    with pytest.raises(InternalError, match="taken the task over"):
        await PublishGuard(Away(0, ClaimState.TAKEN_OVER)).check_known()
