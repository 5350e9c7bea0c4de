"""What a worker asks of an engine that is away for a moment."""

from collections.abc import Sequence
from typing import Any, cast

import pytest
from tenacity import wait_none

from reelmill_server.engine.claim import TaskClaim
from reelmill_server.errors import InternalError, ReelmillError, ServiceUnavailable
from reelmill_server.model.engine_view import ClaimState


class Engine:
    """An engine that fails so, question by question, and then answers."""

    def __init__(self, errors: Sequence[ReelmillError]) -> None:
        self.errors, self.questions = list(errors), 0

    async def claim_state(self, task_id: str, activity_id: str) -> ClaimState:
        """The attempt is the task's."""
        self.questions += 1
        if self.errors:
            raise self.errors.pop(0)
        return ClaimState.OURS


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets questions follow each other at once."""
    monkeypatch.setattr(cast(Any, TaskClaim.claim_state).retry, "wait", wait_none())


async def test_an_engine_that_is_away_is_asked_again() -> None:
    """Until it answers."""
    engine = Engine([ServiceUnavailable("away")] * 5)
    assert await TaskClaim(cast(Any, engine), "task", "1").claim_state() is ClaimState.OURS
    assert engine.questions == 6


@pytest.mark.parametrize(("error", "questions"), [(ServiceUnavailable("away"), 6), (InternalError("a defect"), 1)])
async def test_the_last_error_is_raised(error: ReelmillError, questions: int) -> None:
    """At once if another question would not help."""
    engine = Engine([error] * 9)
    with pytest.raises(type(error)):
        await TaskClaim(cast(Any, engine), "task", "1").claim_state()
    assert engine.questions == questions
