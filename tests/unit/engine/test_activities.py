"""How attempts are counted."""

from typing import Any, cast

import pytest
from temporalio.exceptions import ApplicationError

from reelmill_server.engine.activities import WorkerActivities
from reelmill_server.engine.work import Work
from reelmill_server.model.engine_view import ClaimState
from reelmill_server.model.request import ConvertRequest
from reelmill_server.model.worker_state import TaskPart
from reelmill_server.telemetry.metrics import Metrics
from reelmill_server.worker.parent.publish_guard import PublishGuard
from tests.claims import FakeClaim


@pytest.mark.parametrize(
    ("state", "outcome"),
    [(ClaimState.ENDED, "Canceled"), (ClaimState.TAKEN_OVER, "InternalError"), (ClaimState.OURS, "Succeeded")],
)
async def test_a_cancel_while_publishing_is_no_defect(state: ClaimState, outcome: str) -> None:
    """Whoever publishes learns of it before the cancel itself reaches the attempt."""
    metrics, nobody = Metrics(), cast(Any, None)
    activities = WorkerActivities(nobody, nobody, metrics)
    work = Work(ConvertRequest("task", "default", (), ()))
    try:
        async with activities._counted(work, TaskPart.WHOLE):
            await PublishGuard(FakeClaim(lambda: state)).check()
    except ApplicationError as error:
        assert error.type == "InternalError" and state is not ClaimState.OURS
    counted = metrics.attempt_total.labels(work.lane, TaskPart.WHOLE, outcome)
    assert counted._value.get() == 1
