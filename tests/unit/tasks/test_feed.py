"""Live tasks: snapshots first, then changes, latest wins, however many watch."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reelmill_server.errors import ResourceNotFound, ServiceUnavailable
from reelmill_server.model.engine_view import EngineState, EngineView
from reelmill_server.model.task import Outcome, Progress, TaskPhase, TaskQuery, TaskRecord, TaskStatus
from reelmill_server.tasks.database import Database
from reelmill_server.tasks.feed import Feeds, Snapshot
from reelmill_server.tasks.migrate import upgrade
from reelmill_server.tasks.projects import ProjectStore
from reelmill_server.tasks.store import TaskStore

POLL = 0.01


class World:
    """A store, feeds, and an engine that tells what the test says."""

    def __init__(self, database: Database) -> None:
        self.store, self.projects = TaskStore(database), ProjectStore(database)
        self.looks, self.percent, self.error = 0, 0, Exception
        self.broken: Exception | None = None
        self.feeds = Feeds(self.store, self.view, POLL)

    async def view(self, _: str) -> EngineView:
        """The engine's word."""
        self.looks += 1
        if self.broken is not None:
            raise self.broken
        return EngineView(EngineState.RUNNING, Progress(TaskPhase.CONVERTING, self.percent, 1), busy=True)

    async def add(self, task_id: str, **tags: str) -> None:
        """A running task."""
        now = datetime.now(UTC)
        await self.store.insert(TaskRecord(task_id, "default", "", "e", TaskStatus.RUNNING, now, "{}", "{}", tags=tags))

    async def end(self, task_id: str, status: TaskStatus = TaskStatus.SUCCEEDED) -> None:
        """Records a task's end and nudges, as the control plane does."""
        await self.store.finish(task_id, Outcome(status), datetime.now(UTC))
        self.feeds.poll_now(task_id)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """With the project `default`."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'records.db'}"
    await upgrade(url)
    database = Database(url)
    made = World(database)
    await made.projects.ensure("default")
    yield made
    await database.close()


async def _until_percent(watch: AsyncIterator[Snapshot], percent: int) -> Snapshot:
    async for snapshot in watch:
        if snapshot.progress.percent == percent:
            return snapshot
    raise AssertionError("the watch ended")


async def test_a_watch_begins_with_the_present_and_ends_with_the_end(world: World) -> None:
    """Changes in between, none twice, percentages that do not fall though the engine's do."""
    await world.add("task")
    world.percent = 20
    watch = world.feeds.watch("default", "task")
    first = await anext(watch)
    assert (first.progress.phase, first.progress.percent) == (TaskPhase.CONVERTING, 20)
    world.percent = 40
    await _until_percent(watch, 40)
    world.percent = 10  # a new attempt
    await asyncio.sleep(5 * POLL)
    await world.end("task")
    rest = [snapshot async for snapshot in watch]
    assert rest[-1].record.status is TaskStatus.SUCCEEDED and all(snapshot.progress.percent == 40 for snapshot in rest)


async def test_many_watchers_share_one_look(world: World) -> None:
    """Twenty watchers cost as many looks as one."""
    await world.add("task")
    watchers = [asyncio.create_task(_collect(world)) for _ in range(20)]
    await asyncio.sleep(20 * POLL)
    looks = world.looks
    await world.end("task")
    seen = await asyncio.gather(*watchers)
    assert looks <= 21 and all(states[-1] is TaskStatus.SUCCEEDED for states in seen)


async def _collect(world: World) -> list[TaskStatus]:
    return [snapshot.record.status async for snapshot in world.feeds.watch("default", "task")]


async def test_nobody_watching_means_nobody_looking(world: World) -> None:
    """A watcher that goes away leaves nothing behind."""
    await world.add("task")
    watch = world.feeds.watch("default", "task")
    await anext(watch)
    await watch.aclose()  # type: ignore[attr-defined]
    await asyncio.sleep(2 * POLL)
    looks = world.looks
    await asyncio.sleep(5 * POLL)
    assert world.looks == looks and not world.feeds._pollers


@pytest.mark.parametrize("broken", [ServiceUnavailable("away"), RuntimeError("a defect")])
async def test_a_look_that_fails_is_repeated(world: World, broken: Exception) -> None:
    """Watchers wait, and go on when the engine is back."""
    await world.add("task")
    watch = world.feeds.watch("default", "task")
    await anext(watch)
    world.broken = broken
    await asyncio.sleep(5 * POLL)
    world.broken, world.percent = None, 70
    await asyncio.wait_for(_until_percent(watch, 70), 10)


async def test_a_task_that_is_deleted_ends_its_watch_with_an_error(world: World) -> None:
    """Nobody waits for ever."""
    await world.add("task")
    watch = world.feeds.watch("default", "task")
    await anext(watch)
    await world.store.finish("task", Outcome(TaskStatus.FAILED), datetime.now(UTC))
    await world.projects.delete("default")
    world.feeds.poll_now("task")
    with pytest.raises(ResourceNotFound):
        async with asyncio.timeout(10):
            async for _ in watch:
                pass


async def test_feeds_that_close_end_their_watches(world: World) -> None:
    """Of a task and of a project, those that come later too: a watcher is to go elsewhere, and not to wait for the end."""
    await world.add("task")
    query = TaskQuery("default")
    watches = [world.feeds.watch("default", "task"), world.feeds.watch_all(query)]
    for watch in watches:
        await anext(watch)
    world.feeds.close()
    for watch in (*watches, world.feeds.watch("default", "task"), world.feeds.watch_all(query)):
        with pytest.raises(ServiceUnavailable):
            async with asyncio.timeout(10):
                async for _ in watch:
                    pass


async def test_an_end_is_told_before_the_feeds_close(world: World) -> None:
    """Both came while the watcher was busy: it hears that the task has ended."""
    await world.add("task")
    watch = world.feeds.watch("default", "task")
    await anext(watch)
    await world.end("task")
    async with asyncio.timeout(10):
        while not world.feeds._pollers["task"].latest.record.status.final:
            await asyncio.sleep(POLL)
    world.feeds.close()
    assert [snapshot.record.status for snapshot in [found async for found in watch]] == [TaskStatus.SUCCEEDED]


async def test_an_unknown_task_is_not_found(world: World) -> None:
    """At once."""
    with pytest.raises(ResourceNotFound):
        await anext(world.feeds.watch("default", "none"))


async def test_a_project_is_watched_with_a_filter(world: World) -> None:
    """Those that match first; a task that leaves the status is told once more, one that enters it is told."""
    await world.add("old", kind="a")
    await world.end("old")
    await world.add("run", kind="a")
    await world.add("other", kind="b")
    running = world.feeds.watch_all(TaskQuery("default", statuses=frozenset({TaskStatus.RUNNING}), tags=(("kind", "a"),)))
    succeeded = world.feeds.watch_all(TaskQuery("default", statuses=frozenset({TaskStatus.SUCCEEDED})))
    assert (await anext(running)).record.task_id == "run"
    assert (await anext(succeeded)).record.task_id == "old"
    await world.end("run")
    for watch in (running, succeeded):
        async with asyncio.timeout(10):
            async for snapshot in watch:
                if snapshot.record.status.final:
                    break
        assert (snapshot.record.task_id, snapshot.record.status) == ("run", TaskStatus.SUCCEEDED)
        await watch.aclose()  # type: ignore[attr-defined]
    await asyncio.sleep(2 * POLL)
    assert not world.feeds._pollers


async def test_a_project_watch_sees_a_task_that_begins_and_ends_between_looks(world: World) -> None:
    """The shortest task is told, and told once."""
    await world.add("first")
    await world.end("first")
    watch = world.feeds.watch_all(TaskQuery("default"))
    assert (await anext(watch)).record.task_id == "first"
    await world.add("second")
    await world.end("second")
    async with asyncio.timeout(10):
        assert (await anext(watch)).record.task_id == "second"
        await world.add("third")
        assert (await anext(watch)).record.task_id == "third"
    await watch.aclose()  # type: ignore[attr-defined]
