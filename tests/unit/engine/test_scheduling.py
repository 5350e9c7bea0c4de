"""Waits for an accelerator, without an engine."""

from typing import Any

import pytest
from temporalio import workflow
from temporalio.exceptions import ActivityError, TimeoutError, TimeoutType

from reelmill_server.engine import scheduling
from reelmill_server.engine.work import AttemptResult, Work
from reelmill_server.model.cost import Cost
from reelmill_server.model.needs import Needs
from reelmill_server.model.request import ConvertRequest

WORK = Work(ConvertRequest("task", "default", (), ()), needs=Needs(Cost(), ("nvenc", "software"), 1))


@pytest.mark.parametrize("reason", [None, "asked for"])
async def test_a_cancel_that_comes_as_a_wait_ends(monkeypatch: pytest.MonkeyPatch, reason: str | None) -> None:
    """Nobody took the task within the time: the next queue is tried, unless the task was canceled in the same moment."""
    queues: list[str] = []

    async def run(_: str, __: Any, work: Work, *___: Any) -> AttemptResult:
        queues.append(work.lane)
        if work.lane == "nvenc":
            error = ActivityError(
                "", scheduled_event_id=1, started_event_id=1, identity="", activity_type="", activity_id="", retry_state=None
            )
            raise error from TimeoutError("", type=TimeoutType.SCHEDULE_TO_START, last_heartbeat_details=[])
        return AttemptResult()

    async def present(_: Work) -> dict[str, int]:
        return {"nvenc": 1, "software": 1}

    monkeypatch.setattr(scheduling, "run_activity", run)
    monkeypatch.setattr(scheduling, "available_workers", present)
    monkeypatch.setattr(workflow, "cancellation_reason", lambda: reason)
    monkeypatch.setattr(workflow, "patched", lambda _: True)
    if reason is None:
        await scheduling.attempt(WORK)
    else:
        with pytest.raises(ActivityError):
            await scheduling.attempt(WORK)
    assert queues == ["nvenc", "software"][: 2 if reason is None else 1]
