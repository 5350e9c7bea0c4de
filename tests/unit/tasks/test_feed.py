"""Live tasks: snapshots first, then changes, latest wins, however many watch."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, update

from reelmill_server.errors import ResourceNotFound, ServiceUnavailable
from reelmill_server.model.task import Outcome, Progress, ReportedProgress, TaskPhase, TaskQuery, TaskRecord, TaskStatus
from reelmill_server.model.waiting import Wait, WaitReason
from reelmill_server.tasks import following, waits
from reelmill_server.tasks.changes import Change, ChangeStore
from reelmill_server.tasks.database import Database
from reelmill_server.tasks.feed import Feeds
from reelmill_server.tasks.follower import Follower, Snapshot
from reelmill_server.tasks.leases import Lease
from reelmill_server.tasks.migrate import upgrade
from reelmill_server.tasks.progress import ProgressStore
from reelmill_server.tasks.projects import ProjectPatch, ProjectStore
from reelmill_server.tasks.store import TaskStore
from reelmill_server.tasks.tables import leases, projects, tasks
from reelmill_server.tasks.waits import Waits

POLL = 0.01


class CountingChanges(ChangeStore):
    """Counts what is read."""

    broken: Exception | None = None

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.reads: Counter[str] = Counter()

    async def heads(self, project_names: Collection[str]) -> tuple[Mapping[str, int], int]:
        """Once per round."""
        self.reads["rounds"] += 1
        if self.broken is not None:
            raise self.broken
        return await super().heads(project_names)

    async def after(self, project_name: str, number: int, task_id: str = "") -> Sequence[Change]:
        """Once per round with changes."""
        self.reads["changes"] += 1
        return await super().after(project_name, number, task_id)

    async def shown(self, task_ids: Collection[str]) -> Sequence[tuple[Change, TaskRecord]]:
        """Once for each state."""
        result = await super().shown(task_ids)
        assert not any(record.request_json or record.work_json for _, record in result)
        self.reads["states"] += len(result)
        return result


class CountingProgress(ProgressStore):
    """Counts how often it is read."""

    looks = 0
    broken: Exception | None = None

    async def since(self, number: int) -> tuple[int, Mapping[str, ReportedProgress]]:
        """Once per round that has progress."""
        self.looks += 1
        if self.broken is not None:
            raise self.broken
        return await super().since(number)


class CountingWaits(Waits):
    """Counts how often it is asked for a task, and for a project."""

    tasks = projects = 0

    async def of(self, project_name: str, task_id: str, admitted: bool, started: bool, told: ReportedProgress) -> Wait | None:
        """Once per task."""
        self.tasks += 1
        return await super().of(project_name, task_id, admitted, started, told)

    async def state(self, project_name: str) -> object:
        """Once per look at a project."""
        self.projects += 1
        return await super().state(project_name)


class World:
    """A store, feeds, and what the test tells of tasks."""

    def __init__(self, database: Database) -> None:
        self.store, self.projects = TaskStore(database), ProjectStore(database)
        self.lease = Lease(database, "me", alone=True)
        self.progress = CountingProgress(database, self.lease)
        self.waits = CountingWaits(self.store, self.progress)
        self.changes = CountingChanges(database)
        self.feeds = Feeds(self.store, self.changes, self.progress, self.waits, POLL)

    async def tell(self, task_id: str, percent: int, phase: TaskPhase = TaskPhase.CONVERTING) -> None:
        """What a worker tells."""
        await self.progress.tell({task_id: ReportedProgress(Progress(phase, percent, 1), working=True)})

    async def add(self, task_id: str, **tags: str) -> None:
        """A running task, which the engine does not have yet."""
        await self.store.insert(self._record(task_id, tags=tags))

    async def add_to(self, project_name: str, task_id: str) -> None:
        """A running task of another project, which the engine has."""
        await self.store.insert(replace(self._record(task_id, engine_started=True), project_name=project_name))

    async def add_started(self, task_id: str) -> None:
        """A running task that the engine has."""
        await self.store.insert(self._record(task_id, engine_started=True))

    def _record(self, task_id: str, **more: Any) -> TaskRecord:
        return TaskRecord(task_id, "default", "", "e", TaskStatus.RUNNING, datetime.now(UTC), "{}", "{}", **more)

    async def end(self, task_id: str, status: TaskStatus = TaskStatus.SUCCEEDED) -> None:
        """Records a task's end and nudges, as the control plane does."""
        await self.store.finish(task_id, Outcome(status), datetime.now(UTC))
        self.feeds.poll_now(task_id)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """With our tables."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'records.db'}"
    await upgrade(url)
    opened = Database(url)
    yield opened
    await opened.close()


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    """With the project `default`."""
    result = World(database)
    await result.lease.renew()
    await result.projects.ensure("default")
    yield result
    result.feeds.close()
    await result.feeds.wait_closed()


async def _until_percent(watch: AsyncGenerator[Snapshot, None], percent: int) -> Snapshot:
    async for snapshot in watch:
        if snapshot.progress.percent == percent:
            return snapshot
    raise AssertionError("the watch ended")


async def test_a_watch_begins_with_the_present_and_ends_with_the_end(world: World) -> None:
    """Changes in between, none twice, percentages that do not fall though the attempts' do."""
    await world.add("task")
    await world.tell("task", 20)
    watch = world.feeds.watch("default", "task")
    first = await anext(watch)
    assert (first.progress.phase, first.progress.percent) == (TaskPhase.CONVERTING, 20)
    await world.tell("task", 40)
    await _until_percent(watch, 40)
    await world.tell("task", 10)  # a new attempt
    await asyncio.sleep(5 * POLL)
    await world.end("task")
    rest = [snapshot async for snapshot in watch]
    assert rest[-1].record.status is TaskStatus.SUCCEEDED and all(snapshot.progress.percent == 40 for snapshot in rest)


async def test_watchers_that_wait_cost_nothing_until_their_place_changes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task is looked at when others before it end, and not with every look at its project."""
    monkeypatch.setattr(waits, "_LEAST_SECONDS", 0.0)
    for number in range(3):
        await world.add_started(f"task-{number}")
    watches = [world.feeds.watch("default", f"task-{number}") for number in (1, 2)]
    assert [_place(await anext(watch)) for watch in watches] == [(2, 3), (3, 3)]
    await _looked(world, 3)
    asked = world.waits.tasks
    await _looked(world, 5)
    assert world.waits.tasks == asked
    await world.end("task-0")
    assert [_place(await anext(watch)) for watch in watches] == [(1, 2), (2, 2)]
    await world.progress.tell_lanes({"software": 1})
    last = [(await anext(watch)).progress.wait for watch in watches]
    assert [wait and (wait.reason, wait.place) for wait in last] == [(WaitReason.NO_WORKER, 1), (WaitReason.NO_WORKER, 2)]
    for watch in watches:
        await watch.aclose()


def _place(snapshot: Snapshot) -> tuple[int, int]:
    wait = snapshot.progress.wait
    assert wait is not None
    return wait.place, wait.count


async def _looked(world: World, times: int) -> None:
    end = world.waits.projects + times
    while world.waits.projects < end:
        await asyncio.sleep(POLL)


async def test_many_watchers_share_one_look(world: World) -> None:
    """Twenty watchers cost as many looks as one."""
    await world.add("task")
    watchers = [asyncio.create_task(_collect(world)) for _ in range(20)]
    begin = world.changes.reads["rounds"]
    while world.changes.reads["rounds"] < begin + 10:
        await asyncio.sleep(POLL)
    looks = world.changes.reads["rounds"]
    assert world.progress.looks == 1  # nothing was told since
    await world.end("task")
    seen = await asyncio.gather(*watchers)
    assert looks <= 42 and all(states[-1] is TaskStatus.SUCCEEDED for states in seen)


async def _collect(world: World) -> list[TaskStatus]:
    return [snapshot.record.status async for snapshot in world.feeds.watch("default", "task")]


async def test_nobody_watching_means_nobody_looking(world: World) -> None:
    """A watcher that goes away leaves nothing behind."""
    await world.add("task")
    watch = world.feeds.watch("default", "task")
    await anext(watch)
    await watch.aclose()
    assert world.feeds._following.loop is not None
    await asyncio.wait_for(world.feeds._following.loop, 20)
    looks = world.changes.reads["rounds"]
    await asyncio.sleep(5 * POLL)
    assert world.changes.reads["rounds"] == looks and not world.feeds._following.followers


@pytest.mark.parametrize("broken", [ServiceUnavailable("away"), RuntimeError("a defect")])
@pytest.mark.parametrize("part", ["changes", "progress"])
async def test_a_look_that_fails_is_repeated(world: World, broken: Exception, part: str) -> None:
    """Watchers wait, and are told what they missed when the records are back."""
    await world.add("task")
    watch = world.feeds.watch("default", "task")
    await anext(watch)
    store = world.changes if part == "changes" else world.progress
    store.broken = broken
    await world.tell("task", 70)
    await asyncio.sleep(5 * POLL)
    store.broken = None
    await asyncio.wait_for(_until_percent(watch, 70), 10)


async def test_a_task_that_is_deleted_ends_its_watch_with_an_error(world: World, database: Database) -> None:
    """Nobody waits for ever."""
    await world.add("task")
    watch = world.feeds.watch("default", "task")
    await anext(watch)
    async with database.write() as connection:  # at once, so that its end is not seen
        await connection.execute(delete(tasks))
        await connection.execute(delete(projects))
    world.feeds.poll_now("task")
    with pytest.raises(ResourceNotFound):
        async with asyncio.timeout(10):
            async for _ in watch:
                pass


async def test_a_standby_that_lacks_the_last_changes_has_watchers_watch_again(world: World, database: Database) -> None:
    """Its numbers are lower than those that were seen: who waits for higher ones would miss all that comes until then."""
    await world.add("task")
    await world.tell("task", 10)
    await world.tell("task", 20)
    async with aclosing(world.feeds.watch("default", "task")) as watch:
        await _until_percent(watch, 20)
        async with database.write() as connection:
            await connection.execute(update(leases).values(round=0))
        await world.tell("task", 30)
        async with asyncio.timeout(10):
            assert await _until_percent(watch, 30)
        async with database.write() as connection:
            await connection.execute(update(projects).values(change_count=0))
        world.feeds.poll_now("task")
        with pytest.raises(ServiceUnavailable, match="watch again"):
            async with asyncio.timeout(10):
                await anext(watch)
    async with asyncio.timeout(10):
        assert (await anext(world.feeds.watch("default", "task"))).record.task_id == "task"


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
        while not world.feeds._following.followers["default"].entries["task"].status.final:
            await asyncio.sleep(POLL)
    world.feeds.close()
    assert [snapshot.record.status for snapshot in [result async for result in watch]] == [TaskStatus.SUCCEEDED]


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
        await watch.aclose()
    await asyncio.sleep(2 * POLL)
    assert not world.feeds._following.followers


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
    await watch.aclose()


async def test_many_watchers_of_a_project_read_it_once(world: World, database: Database) -> None:
    """Fifty watchers cost as much as one: rounds without changes read no task, and a change is read once for all of them."""
    changes = CountingChanges(database)
    feeds = Feeds(world.store, changes, world.progress, world.waits, POLL, 1e6)
    for number in range(10):
        await world.add(f"old{number}")
        await world.end(f"old{number}")
    seen: Counter[str] = Counter()

    async def one() -> None:
        async for snapshot in feeds.watch_all(TaskQuery("default")):
            seen[snapshot.record.task_id] += 1

    watchers = [asyncio.create_task(one()) for _ in range(50)]
    await _until(lambda: seen.total() == 500)
    assert changes.reads["states"] == 10
    rounds = changes.reads["rounds"]
    await _until(lambda: changes.reads["rounds"] >= rounds + 3)
    assert changes.reads["changes"] == 0
    await world.add("new")
    await _until(lambda: seen["new"] >= 50)
    assert changes.reads["states"] <= 12  # its second state may already be the one in which it is converted
    feeds.close()
    await asyncio.gather(*watchers, return_exceptions=True)
    await feeds.wait_closed()


@pytest.mark.slow
async def test_a_slow_watcher_is_told_the_latest_state_only(world: World) -> None:
    """What a task went through meanwhile costs nothing, and is not told."""
    await world.add("task")
    watch = world.feeds.watch_all(TaskQuery("default"))
    await anext(watch)
    follower = world.feeds._following.followers["default"]
    for percent in range(1, 60):
        await world.tell("task", percent)
        await _until(lambda percent=percent: follower.entries["task"].progress.percent == percent)  # type: ignore[misc]
    assert (await anext(watch)).progress.percent == 59
    await world.end("task")
    assert (await anext(watch)).record.status.final
    await watch.aclose()


async def test_a_watcher_that_is_too_far_behind_has_to_watch_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes are not kept for ever: it is told so, and nobody else is."""
    monkeypatch.setattr(following, "_LOG", 20)
    monkeypatch.setattr(following, "_LEAST", 1)
    slow, quick = (world.feeds.watch_all(TaskQuery("default")) for _ in range(2))
    await world.add("first")
    for watch in (slow, quick):
        assert (await anext(watch)).record.task_id == "first"
    for number in range(40):
        await world.add(f"task{number:02}")
        async for snapshot in quick:
            if snapshot.record.task_id == f"task{number:02}":
                break
    with pytest.raises(ServiceUnavailable, match="too far behind"):
        async with asyncio.timeout(10):
            async for _ in slow:
                pass
    await quick.aclose()


async def test_whoever_asks_is_told_what_the_records_know(world: World) -> None:
    """Of one that runs its progress, with a problem if there is one; of one that waits, for what, and its place."""
    for name in ("runs", "waits"):
        await world.add(name)
        await world.store.mark_started(name)
    await world.projects.update("default", ProjectPatch(quotas={"engine_concurrency": 2}))
    await world.add("queued")
    await world.tell("runs", 30)
    await world.progress.tell_problems({"runs": "stuck"})
    await world.progress.tell_lanes({"fast": 1})
    records = [await world.store.get("default", name) for name in ("runs", "waits", "queued")]
    runs, waits, queued = [snapshot.progress for snapshot in await world.feeds.snapshots(records)]
    assert (runs.phase, runs.percent, runs.problem, runs.wait) == (TaskPhase.CONVERTING, 30, "stuck", None)
    assert waits.wait == Wait(WaitReason.BUSY, "fast", 1, 2) and queued.wait == Wait(WaitReason.QUOTA, "", 2, 2)


async def test_a_watcher_of_a_waiting_task_sees_its_place(world: World) -> None:
    """It moves on when another ends, without a change of its own."""
    await world.projects.update("default", ProjectPatch(quotas={"engine_concurrency": 1}))
    for name in ("first", "second", "third"):
        await world.add(name)
    watch = world.feeds.watch("default", "third")
    assert (await anext(watch)).progress.wait == Wait(WaitReason.QUOTA, "", 3, 3)
    await world.end("second")
    async with asyncio.timeout(10):
        assert (await anext(watch)).progress.wait == Wait(WaitReason.QUOTA, "", 2, 2)
    await watch.aclose()


async def test_a_selector_that_comes_later_finds_the_tasks_that_run(world: World) -> None:
    """Nobody had to know their tags until then."""
    await world.add("a", kind="a")
    await world.add("b", kind="b")
    everything = world.feeds.watch_all(TaskQuery("default"))
    await anext(everything)
    chosen = world.feeds.watch_all(TaskQuery("default", tags=(("kind", "b"),)))
    assert (await anext(chosen)).record.task_id == "b"
    await world.end("a")
    await world.end("b")
    async with asyncio.timeout(10):
        while not (snapshot := await anext(chosen)).record.status.final:
            pass
    assert snapshot.record.task_id == "b"
    for watch in (everything, chosen):
        await watch.aclose()


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(POLL)


async def test_a_watcher_that_comes_while_the_loop_ends_is_served(world: World) -> None:
    """It saw that nobody watches: progress and the end are told all the same."""
    await world.add("task")
    first = world.feeds.watch("default", "task")
    await anext(first)
    assert world.feeds._following.loop is not None
    world.feeds._following.loop.cancel()
    await asyncio.wait([world.feeds._following.loop])
    await first.aclose()
    watch = world.feeds.watch("default", "task")
    await anext(watch)
    await world.tell("task", 60)
    async with asyncio.timeout(5):
        await _until_percent(watch, 60)
        await world.end("task")
        assert [snapshot async for snapshot in watch][-1].record.status is TaskStatus.SUCCEEDED


async def test_an_attempt_of_this_process_is_shown_before_it_is_written(world: World) -> None:
    """Watchers, and whoever asks for the task, see its progress at once; what the records say is older."""
    await world.add("task")
    watch = world.feeds.watch("default", "task")
    await anext(watch)
    world.feeds.advanced("task", Progress(TaskPhase.CONVERTING, 30, 1))
    assert (await anext(watch)).progress.percent == 30
    await world.tell("task", 20, TaskPhase.PLANNING)
    await asyncio.sleep(5 * POLL)
    shown = await world.feeds.snapshot(await world.store.get("default", "task"))
    assert (shown.progress.percent, shown.progress.phase) == (30, TaskPhase.CONVERTING)
    await watch.aclose()


async def test_progress_reaches_all_projects_whoever_comes_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A watcher who came while reports were passed on ended that, and what they said to the others was never told."""
    await world.projects.ensure("other")
    await world.add_started("task")
    await world.add_to("other", "last")
    watch, last = world.feeds.watch("default", "task"), world.feeds.watch("other", "last")
    await asyncio.gather(anext(watch), anext(last))
    progress_of, came = world.feeds._snapshots.progress_of, list[Follower]()

    async def joined(*arguments: Any) -> Progress:
        came.append(Follower(f"new{len(came)}"))
        world.feeds._following.followers[came[-1].project_name] = came[-1]
        return await progress_of(*arguments)

    monkeypatch.setattr(world.feeds._snapshots, "progress_of", joined)
    await world.progress.tell(
        {name: ReportedProgress(Progress(TaskPhase.CONVERTING, 50, 1), working=True) for name in ("task", "last")}
    )
    async with asyncio.timeout(5):
        await asyncio.gather(_until_percent(watch, 50), _until_percent(last, 50))
    for follower in came:
        del world.feeds._following.followers[follower.project_name]
    await asyncio.gather(watch.aclose(), last.aclose())


async def test_tasks_that_were_watched_to_their_end_are_forgotten(world: World) -> None:
    """Also while others of the project are watched without a pause: each left an entry behind."""
    await world.add("stays")
    stays = world.feeds.watch("default", "stays")
    await anext(stays)
    for name in ("first", "second"):
        await world.add(name)
        watch = world.feeds.watch("default", name)
        await anext(watch)
        await world.end(name)
        async with asyncio.timeout(5):
            assert [snapshot async for snapshot in watch][-1].record.status is TaskStatus.SUCCEEDED
    await _until(lambda: set(world.feeds._following.followers["default"].entries) == {"stays"})
    await stays.aclose()
