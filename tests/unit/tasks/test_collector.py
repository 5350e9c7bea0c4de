"""What workers tell is written beside the rows of tasks by one replica, and what has not changed is not written."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reelmill_server.model.preview import Preview
from reelmill_server.model.task import Outcome, Progress, ReportedProgress, TaskPhase, TaskRecord, TaskStatus
from reelmill_server.model.worker_state import AttemptState, LaneState, TaskPart, WorkerState
from reelmill_server.tasks.collector import Collector, lanes_of
from reelmill_server.tasks.database import Database
from reelmill_server.tasks.leases import Lease
from reelmill_server.tasks.migrate import upgrade
from reelmill_server.tasks.previews import PreviewStore
from reelmill_server.tasks.progress import ProgressStore
from reelmill_server.tasks.projects import ProjectStore
from reelmill_server.tasks.store import TaskStore


@dataclass
class World:
    """Records, workers that do as the test says, and two replicas that may collect."""

    database: Database
    attempts: list[AttemptState] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    looks: int = 0

    def __post_init__(self) -> None:
        self.store = TaskStore(self.database)
        self.previews = PreviewStore(self.database)
        self.leases = [Lease(self.database, name) for name in ("one", "two")]
        self.progress = [ProgressStore(self.database, lease) for lease in self.leases]
        self.replicas = [
            Collector(
                progress,
                lease,
                workers=self.workers,
                any_started=self.store.any_started,
                chunked_percent=self.chunked_percent,
                waiting_in=self.waiting_in,
                announce=lambda: None,
                show=self.previews.add,
            )
            for progress, lease in zip(self.progress, self.leases, strict=True)
        ]

    async def workers(self) -> list[WorkerState]:
        """One worker."""
        self.looks += 1
        return [WorkerState("1", 0, lanes=(LaneState("fast"), LaneState("software")), attempts=tuple(self.attempts))]

    async def chunked_percent(self, task_id: str) -> int:
        """What the engine knows of chunks."""
        self.asked.append(f"{task_id} in chunks")
        return 40

    async def waiting_in(self, task_id: str) -> str:
        """What the engine knows of queues."""
        self.asked.append(task_id)
        return "software"

    async def add(self, task_id: str) -> None:
        """A task that the engine has."""
        record = TaskRecord(task_id, "default", "", "e", TaskStatus.RUNNING, datetime.now(UTC), "{}", "{}")
        await self.store.insert(record)
        await self.store.mark_started(task_id)

    async def collect(self, number: int = 0) -> None:
        """Have a replica look once, however lately it did."""
        replica = self.replicas[number]
        replica._looked = 0.0
        replica._chunked.clear()
        await replica._collect()

    async def told(self, task_id: str) -> ReportedProgress:
        """What is kept beside the row."""
        return (await self.store.get("default", task_id)).report

    async def round(self) -> int:
        """How often anything was written."""
        return (await self.progress[0].since(0))[0]


def attempt(
    task_id: str, percent: int, part: TaskPart = TaskPart.WHOLE, phase: TaskPhase = TaskPhase.CONVERTING
) -> AttemptState:
    """A running attempt."""
    return AttemptState("default", task_id, 2, "fast", part, 5, Progress(phase, percent))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """An empty one, of which the first replica holds the lease."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'records.db'}"
    await upgrade(url)
    database = Database(url)
    await ProjectStore(database).ensure("default")
    result = World(database)
    for lease in result.leases:
        await lease.renew()
    yield result
    await database.close()


async def test_progress_is_written_once_for_each_change(world: World) -> None:
    """With the number of the attempt; percentages do not fall; nothing is written of what stays as it is."""
    await world.add("task")
    world.attempts = [attempt("task", 30)]
    await world.collect()
    assert await world.told("task") == ReportedProgress(Progress(TaskPhase.CONVERTING, 30, 2), working=True)
    written = await world.round()
    await world.collect()
    assert await world.round() == written
    world.attempts = [attempt("task", 10)]
    await world.collect()
    assert (await world.told("task")).progress.percent == 30


@pytest.mark.parametrize(("part", "percent"), [(TaskPart.JOIN, 97), (TaskPart.CHUNK, 40)])
async def test_a_task_in_chunks_is_told_as_a_whole(world: World, part: TaskPart, percent: int) -> None:
    """A join is the last twentieth of it; of chunks, the engine knows how many are done."""
    await world.add("task")
    world.attempts = [attempt("task", 50, part)]
    await world.collect()
    assert (await world.told("task")).progress.percent == percent


async def test_a_task_that_workers_have_no_more_waits_again(world: World) -> None:
    """It keeps how far it came, and says in which queue; one that has ended is not asked for."""
    for name in ("ends", "returns"):
        await world.add(name)
    world.attempts = [attempt("ends", 90), attempt("returns", 60)]
    await world.collect()
    world.attempts = []
    await world.store.finish("ends", Outcome(TaskStatus.FAILED), datetime.now(UTC))
    for _ in range(3):
        await world.collect()
    assert await world.told("returns") == ReportedProgress(Progress(TaskPhase.QUEUED, 60, 2), lane="software")
    assert world.asked == ["returns"]
    ended = await world.store.get("default", "ends")
    assert ended.outcome is not None and ended.outcome.percent == 90


async def test_workers_are_not_asked_while_no_task_is_theirs(world: World) -> None:
    """An idle service costs nothing."""
    await world.collect()
    assert world.looks == 0
    await world.add("task")
    await world.collect()
    assert world.looks == 1 and await world.progress[1].lanes() == {"fast": 1, "software": 1}


async def test_another_replica_goes_on_where_the_holder_of_the_lease_left(world: World) -> None:
    """Only one writes: the former holder is refused though it does not know yet that it is."""
    await world.add("task")
    world.attempts = [attempt("task", 30)]
    await world.collect()
    assert [lease.held for lease in world.leases] == [True, False]
    until = world.leases[0]._until
    await world.leases[0].release()
    await world.leases[1].renew()
    world.leases[0]._until = until
    assert [lease.held for lease in world.leases] == [True, True]
    world.attempts = [attempt("task", 50)]
    await world.collect()
    assert (await world.told("task")).progress.percent == 30
    world.attempts = []
    for _ in range(2):
        await world.collect(1)
    assert not (await world.told("task")).working


async def test_a_lease_that_a_killed_process_left_is_no_obstacle_where_there_is_no_other(world: World) -> None:
    """Else a service that was killed would do nothing for a while."""
    other = Lease(world.database, "restarted", alone=True)
    await other.renew()
    assert other.held


def test_a_worker_that_drains_serves_no_lane() -> None:
    """Neither does one whose encoders do not work."""
    lanes = (LaneState("fast"), LaneState("nvenc", available=False))
    states = [WorkerState("1", 0, lanes=lanes), WorkerState("1", 0, lanes=lanes, draining=True)]
    assert lanes_of(states) == {"fast": 1, "nvenc": 0}


async def test_previews_are_kept_as_they_come(world: World) -> None:
    """Once each, of a task in chunks one at a time; a replica that takes over goes on."""
    await world.add("task")
    seconds = 1_000_000
    chunks = [replace(attempt("task", 5, TaskPart.CHUNK), chunk=number) for number in range(3)]

    async def shown(*taken: int) -> list[int]:
        world.attempts = [
            replace(chunk, preview=Preview(at * seconds, 0.0, "jpeg")) for chunk, at in zip(chunks, taken, strict=True)
        ]
        await world.collect()
        return [preview.taken_us // seconds for preview in await world.previews.of("task")]

    assert await shown(10, 10, 11) == [11]
    assert await shown(10, 10, 11) == [11]
    assert await shown(10, 12, 12) == [11]
    assert await shown(10, 14, 15) == [11, 15]
    await world.leases[0].release()
    await world.leases[1].renew()
    await world.collect(1)
    assert await shown(10, 14, 15) == [11, 15]
    world.attempts = []
    await world.collect(1)
    assert not world.replicas[1]._shown
