"""A workflow that cannot go on, after an upgrade that changed its code: it is found, told, and its task can be canceled."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from temporalio import activity, workflow
from temporalio.api.enums.v1 import PendingWorkflowTaskState
from temporalio.api.workflow.v1 import PendingWorkflowTaskInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import Client
from temporalio.worker import Worker

from reelmill_server.engine import CONTROL_QUEUE, FAST_QUEUE, INSPECT_QUEUE
from reelmill_server.engine.attempt_heartbeat import AttemptHeartbeat
from reelmill_server.engine.claim import TaskClaim
from reelmill_server.engine.client import Engine
from reelmill_server.engine.control_activities import ControlActivities
from reelmill_server.engine.left_behind import left_by
from reelmill_server.engine.notification import NotifyActivities
from reelmill_server.engine.pending_files import unpack
from reelmill_server.engine.stalls import CANNOT_REPLAY, problem_of
from reelmill_server.engine.work import AttemptResult, Withdrawal, Work
from reelmill_server.engine.workers import control_worker
from reelmill_server.engine.workflow import CleanUpWorkflow
from reelmill_server.errors import ServiceUnavailable
from reelmill_server.model.engine_view import EngineState
from reelmill_server.model.publication import PendingFile
from reelmill_server.model.request import ConvertRequest

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_SCHEDULED = PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_SCHEDULED
_STARTED = PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_STARTED


@workflow.defn(name="MediaConvert", sandboxed=False)
class ChangedWorkflow:
    """A later version that does something else first, as no later version may."""

    @workflow.run
    async def run(self, _: Work) -> str:
        """Pause first."""
        await asyncio.sleep(0.01)
        return "Succeeded"


class World:
    """Workers of before and after the upgrade."""

    def __init__(self, client: Client) -> None:
        self.client, self.engine = client, Engine(client)
        self.begun, self.end = asyncio.Event(), asyncio.Event()
        self.withdrawn: list[Withdrawal] = []
        self.erased: list[str] = []

    @activity.defn(name="convert")
    async def convert(self, work: Work) -> AttemptResult:
        """Announce files, by a signal and by a heartbeat, and end when the test says so."""
        activity_id = activity.info().activity_id
        heartbeat = AttemptHeartbeat(self.engine, True, work.heartbeat_seconds)
        for number, its in enumerate((None, heartbeat)):
            claim = TaskClaim(self.engine, work.request.task_id, activity_id, its)
            await claim.announce([PendingFile("file:///out.mp4", f"{number}")])
        self.begun.set()
        await self.end.wait()
        return AttemptResult(activity_id=activity_id, announced=heartbeat.announced)

    @activity.defn(name="withdraw")
    async def withdraw(self, withdrawal: Withdrawal) -> None:
        """Remember what is taken away."""
        self.withdrawn.append(withdrawal)

    @activity.defn(name="erase")
    async def erase(self, task_id: str) -> None:
        """Remember whose chunks are removed."""
        self.erased.append(task_id)

    def before(self) -> Worker:
        """Return the control worker that the task began with."""
        control = ControlActivities(cast(Any, None), self.engine.present, cast(Any, None))
        return control_worker(self.client, control, NotifyActivities(cast(Any, None)))

    def after(self) -> Worker:
        """Return the one of the changed code."""
        return Worker(self.client, task_queue=CONTROL_QUEUE, workflows=[ChangedWorkflow, CleanUpWorkflow])


async def _until(holds: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(90):
        while not await holds():
            await asyncio.sleep(0.2)


@pytest.mark.cluster
@pytest.mark.xdist_group("workflow")
async def test_a_task_whose_workflow_cannot_be_run_is_found_and_can_be_ended(engine_client: Client) -> None:
    """What its attempt published is taken away, as after any cancel."""
    world, task_id = World(engine_client), "stalled"
    engine = world.engine
    fast = Worker(world.client, task_queue=FAST_QUEUE, activities=[world.convert])
    inspect = Worker(world.client, task_queue=INSPECT_QUEUE, activities=[world.withdraw, world.erase])
    async with fast, inspect:
        async with world.before():
            await engine.start(Work(ConvertRequest(task_id, "default", (), ()), heartbeat_seconds=30))
            await world.begun.wait()
            assert (await engine.view(task_id)).problem == ""
            assert await engine.replay(task_id) == ""
            old = await engine.replicas()
        with pytest.raises(ServiceUnavailable):
            await engine.replay(task_id)  # nobody is there to answer
        async with world.after():
            assert await engine.replay(task_id) == CANNOT_REPLAY  # though nothing has happened to it
            assert (await engine.view(task_id)).problem == ""
            assert await engine.replicas() == old  # all in one process
            world.end.set()

            async def problem() -> str:
                return (await engine.view(task_id)).problem

            await _until(problem)
            assert "cannot carry the task on" in await problem()
            await _until(engine.stalled)
            assert await engine.stalled() == {task_id}
            assert await engine.replay(task_id) == CANNOT_REPLAY
            await engine.cancel(task_id)
            assert (await engine.view(task_id)).state is EngineState.RUNNING
            await engine.abandon(task_id)
            await engine.abandon(task_id)  # by another replica
            assert (await engine.view(task_id)).state is EngineState.CLOSED
            assert await engine.replay(task_id) == await engine.replay("unknown") == ""

            async def cleaned() -> bool:
                return bool(world.erased)

            await _until(cleaned)
            marks = [file.mark for withdrawal in world.withdrawn for file in unpack(withdrawal.packed)]
            assert marks == ["0", "1"]
            assert world.erased == [task_id]


@pytest.mark.xdist_group("workflow")
async def test_what_an_attempt_announced_that_still_runs_is_found(engine_client: Client) -> None:
    """Its last heartbeat outlives the workflow."""
    world, task_id = World(engine_client), "ended"
    fast = Worker(world.client, task_queue=FAST_QUEUE, activities=[world.convert])
    async with fast, world.before():
        await world.engine.start(Work(ConvertRequest(task_id, "default", (), ()), heartbeat_seconds=30))
        await world.begun.wait()
        await world.client.get_workflow_handle(task_id).terminate()
        left = await left_by(world.client, task_id, timedelta(seconds=5))
        world.end.set()
    assert [file.mark for packed in left.placings for file in unpack(packed)] == ["0", "1"]


@pytest.mark.parametrize(
    ("state", "attempt", "waits", "expected"),
    [
        (_STARTED, 1, 0, ""),
        (_SCHEDULED, 1, 5, ""),
        (_STARTED, 1, 60, ""),  # a long replay
        (_SCHEDULED, 2, 5, ""),  # a worker was stopped
        (_SCHEDULED, 3, 5, "the control plane cannot carry the task on: its workflow failed 2 times in a row"),
        (_SCHEDULED, 1, 45, "no control worker has taken the task up for 45 s"),
    ],
)
def test_what_the_engine_says_of_a_workflow(state: Any, attempt: int, waits: int, expected: str) -> None:
    """A problem is what no restart of a replica explains."""
    pending = PendingWorkflowTaskInfo(state=state, attempt=attempt)
    pending.original_scheduled_time.FromDatetime(_NOW - timedelta(seconds=waits))
    assert problem_of(DescribeWorkflowExecutionResponse(pending_workflow_task=pending), _NOW) == expected
    assert problem_of(DescribeWorkflowExecutionResponse(), _NOW) == ""
