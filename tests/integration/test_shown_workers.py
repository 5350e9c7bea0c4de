"""Workers show themselves by the engine, and a replica reads it."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from temporalio.client import Client

from reelmill_server.engine.control_activities import ControlActivities
from reelmill_server.engine.notification import NotifyActivities
from reelmill_server.engine.shown_workers import ShownWorkers, ShowWorker
from reelmill_server.engine.workers import control_worker
from reelmill_server.model.capability import Capability, Limits, Report
from reelmill_server.model.task import Progress
from reelmill_server.model.worker_state import AttemptState, LaneState, ShownWorker, TaskPart, WorkerState

WAIT_SECONDS = 30


class Shown:
    """A worker whose state the test sets."""

    def __init__(self, client: Client, name: str) -> None:
        self.report = Report(name, (Capability("h264_nvenc", "h264", "nvenc", False, "no device"),), (), Limits(), {"av": "1"})
        self.state = WorkerState("1", time.time_ns() // 1000, (LaneState("fast"),))
        self.show = ShowWorker(client, name, lambda: (self.report, self.state))
        self.worker = self.show.worker()


async def read(replica: ShownWorkers, ready: Callable[[Sequence[ShownWorker]], bool]) -> Sequence[ShownWorker]:
    """What a replica reads as soon as it is as the test wants it."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not ready(listed := await replica.list()):
            await asyncio.sleep(0.1)
    return listed


@pytest.mark.slow
async def test_replicas_see_workers_come_change_and_go(engine_client: Client) -> None:
    """Two, by name; what one runs; one that takes the name of a dead one; none that has stopped."""
    replica = ShownWorkers(engine_client)
    first, second = Shown(engine_client, "b:2"), Shown(engine_client, "a:1")
    control = control_worker(engine_client, ControlActivities(None, None, None), NotifyActivities(None))  # type: ignore[arg-type]
    async with control, first.worker:
        showing = asyncio.create_task(first.show.once())
        async with second.worker:
            other = asyncio.create_task(second.show.once())
            listed = await read(replica, lambda listed: len(listed) == 2)
            assert [(one.report, one.state) for one in listed] == [
                (second.report, second.state),
                (first.report, first.state),
            ]
            attempt = AttemptState("p", "t", 1, "fast", TaskPart.CHUNK, 5, Progress(percent=7), 3)
            first.state = replace(first.state, attempts=(attempt,))
            await read(replica, lambda listed: listed[-1].state == first.state)
        await other  # its worker is gone, and nobody waited for silence
        await read(replica, lambda listed: [one.report.worker for one in listed] == ["b:2"])
        again = asyncio.create_task(first.show.once())  # as a new process of the same name does
        await showing
        first.state = replace(first.state, attempts=())
        await read(replica, lambda listed: bool(listed) and listed[0].state == first.state)
        await first.worker.shutdown()
        await asyncio.wait_for(again, WAIT_SECONDS)
