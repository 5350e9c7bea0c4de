"""The workflow of notifications against a real engine, with deliveries that do what the test says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, cast

import pytest
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHandle

from reelmill_server.engine import CONTROL_QUEUE
from reelmill_server.engine.client import Engine
from reelmill_server.engine.control_activities import ControlActivities
from reelmill_server.engine.notification import NotifyActivities, NotifyWorkflow, ProgressWorkflow
from reelmill_server.engine.work import Work
from reelmill_server.engine.workers import control_worker, notify_worker
from reelmill_server.engine.workflow import MediaConvertWorkflow
from reelmill_server.model.notification import Failure, Step
from reelmill_server.model.request import ConvertRequest
from tests.replays import replay

pytestmark = pytest.mark.xdist_group("workflow")


class World:
    """Records in memory: what is due, in order, with pauses after failures."""

    def __init__(self, client: Client) -> None:
        self.client, self.engine = client, Engine(client)
        self.due: list[str] = []
        self.pause_seconds = 0.0
        self.failures: list[Failure | Exception] = []
        self.log: list[str] = []
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    async def next(self, task_id: str, channel: str) -> Step | None:
        """The first that is due."""
        if not self.due:
            if self.meanwhile is not None:
                meanwhile, self.meanwhile = self.meanwhile, None
                await meanwhile()
            return None
        pause, self.pause_seconds = self.pause_seconds, 0.0
        return Step(self.due[0], pause)

    async def deliver(self, notification: str) -> Failure | None:
        """Delivers, or fails as the test says."""
        self.log.append(notification)
        failure = self.failures.pop(0) if self.failures else None
        if isinstance(failure, Exception):
            raise failure
        return failure

    async def note(self, notification: str, failure: Failure | None) -> None:
        """A failure pauses for as long as it says."""
        if failure is None:
            self.due.remove(notification)
        else:
            self.log.append(failure.message)
            self.pause_seconds = failure.pause_seconds

    async def progress(self, task_id: str, percent: int) -> None:
        """Notes it."""
        self.log.append(f"{task_id} {percent}")

    async def until(self, probe: Callable[[], Any]) -> None:
        """Waits until `probe` is true."""
        async with asyncio.timeout(30):
            while not probe():
                await asyncio.sleep(0.02)


@pytest.fixture
async def world(engine_client: Client) -> AsyncIterator[World]:
    """A running world."""
    result = World(engine_client)
    activities = NotifyActivities(result)
    control = ControlActivities(cast(Any, None), cast(Any, None), cast(Any, None))
    async with control_worker(result.client, control, activities), notify_worker(result.client, activities):
        yield result


async def test_what_is_due_is_delivered_in_order_and_again(world: World) -> None:
    """A failure, a lost attempt, a wake that cuts a pause short, and one that comes when all seemed done; then a replay."""
    world.due = ["first", "second"]
    world.failures = [
        Failure("responded with 500", pause_seconds=0.2),
        RuntimeError("lost"),
        Failure("later", pause_seconds=3600),
    ]

    async def more() -> None:
        world.due.append("third")
        await world.engine.wake("task", "Webhook")

    world.meanwhile = more
    await world.engine.wake("task", "Webhook")
    await world.until(lambda: "later" in world.log and not world.pause_seconds)  # it waits now
    await world.engine.wake("task", "Webhook")
    handle = world.client.get_workflow_handle("notify-task-Webhook")
    await handle.result()
    lost = "the attempt did not end: no one knows whether it was delivered"
    assert world.log == ["first", "responded with 500", "first", lost, "first", "later", "first", "second", "third"]
    await replay(await handle.fetch_history(), NotifyWorkflow, ProgressWorkflow)


async def test_progress_is_noted_once_for_each_step_by_the_task_s_own_workflow(world: World) -> None:
    """A second attempt of the task passes the same marks; nothing is started for it."""
    await world.engine.start(Work(ConvertRequest("task", "default", (), ())))
    for percent in (10, 20, 10, 20, 30):
        await world.engine.report_progress("task", percent)
        await world.until(lambda: world.log and int(world.log[-1].split()[1]) >= percent)  # noqa: B023
    assert world.log == ["task 10", "task 20", "task 30"]
    results: list[str] = []
    async with asyncio.timeout(30):
        while "task" not in results:
            results = [execution.id async for execution in world.client.list_workflows()]
    assert results == ["task"]
    handle = world.client.get_workflow_handle("task")
    await replay(await handle.fetch_history(), MediaConvertWorkflow)


async def test_progress_that_comes_faster_than_it_is_noted_is_noted_as_it_stands(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is old news by then is left out; the last is not."""
    held, progress = asyncio.Event(), world.progress

    async def slow(task_id: str, percent: int) -> None:
        await held.wait()
        await progress(task_id, percent)

    monkeypatch.setattr(world, "progress", slow)
    await world.engine.start(Work(ConvertRequest("task", "default", (), ())))
    for percent in (10, 20, 30, 40):
        await world.engine.report_progress("task", percent)
    handle = world.client.get_workflow_handle("task")
    async with asyncio.timeout(30):
        while sum(event.HasField("workflow_execution_signaled_event_attributes") for event in await _events(handle)) < 4:
            await asyncio.sleep(0.05)
    held.set()
    await world.until(lambda: "task 40" in world.log)
    assert len(world.log) <= 3


async def _events(handle: WorkflowHandle[Any, Any]) -> Sequence[HistoryEvent]:
    return (await handle.fetch_history()).events


async def test_progress_of_a_task_that_has_ended_is_no_error(world: World) -> None:
    """Nor is that of one that the engine does not know."""
    await world.engine.report_progress("unknown", 10)


async def test_progress_that_an_earlier_version_tells_is_noted(world: World) -> None:
    """By a workflow of its own."""
    await world.client.execute_workflow(
        "Progress", args=["task", 10], id="progress-task-10", task_queue=CONTROL_QUEUE, execution_timeout=timedelta(seconds=30)
    )
    assert world.log == ["task 10"]


async def test_a_delivery_whose_process_is_killed_is_soon_known_to_be_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not when the longest delivery would be over: it is silent from then on, and is sent again."""
    monkeypatch.setattr("reelmill_server.engine.notification.SILENCE_SECONDS", 1)
    monkeypatch.setattr("reelmill_server.engine.heartbeat._INTERVAL_SECONDS", 3600.0)
    world.due, hanging = ["first"], asyncio.Event()
    deliver = world.deliver

    async def hang_once(notification: str) -> Failure | None:
        if not hanging.is_set():
            hanging.set()
            await asyncio.sleep(3600)
        return await deliver(notification)

    monkeypatch.setattr(world, "deliver", hang_once)
    await world.engine.wake("task", "Webhook")
    await world.until(lambda: not world.due)
    assert world.log == ["the attempt did not end: no one knows whether it was delivered", "first"]
