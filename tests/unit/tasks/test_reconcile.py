"""What a crash left between a record and the engine is mended."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from reelmill_server.errors import InternalError, InvalidArgument, ServiceUnavailable
from reelmill_server.model.engine_view import EngineState, EngineView
from reelmill_server.model.project import Quotas
from reelmill_server.model.task import Outcome, TaskRecord, TaskStatus
from reelmill_server.tasks.database import Database
from reelmill_server.tasks.migrate import upgrade
from reelmill_server.tasks.projects import ProjectStore
from reelmill_server.tasks.reconcile import Reconciler
from reelmill_server.tasks.replay_check import ReplayCheck
from reelmill_server.tasks.store import TaskStore


class World:
    """A store, and an engine that does as the test says."""

    def __init__(self, database: Database) -> None:
        self.database, self.store = database, TaskStore(database)
        self.states, self.started, self.down = dict[str, EngineState](), list[str](), False
        self.canceled: list[str] = []
        self.problems: dict[str, str] = {}
        self.waits: dict[str, str] = {}
        self.abandoned: list[str] = []
        self.shown: list[int] = []
        self.refused: set[str] = set()
        self.told: list[dict[str, str]] = []
        self.no_replica, self.steady = False, True
        self.views: list[str] = []
        self.broken: set[str] = set()
        self.replicas, self.silent = {"old"}, False
        self.replayed: list[str] = []
        check = ReplayCheck(self.store, replicas=self.present, replay=self.replay)
        self.reconciler = Reconciler(
            self.store,
            start=self.start,
            view=self.view,
            running=self.running,
            stalled=self.stalled,
            cancel=self.cancel,
            abandon=self.abandon,
            settle=self.settle,
            tell_problems=self.tell_problems,
            untaken=self.untaken,
            not_replayed=check.problems,
            retention=timedelta(days=7),
            show_stalled=self.shown.append,
            clock_is_steady=lambda: self.steady,
        )

    async def start(self, record: TaskRecord) -> None:
        """The engine takes a task."""
        if self.down:
            raise ServiceUnavailable("down")
        if record.task_id in self.refused:
            raise InvalidArgument("too large")
        self.started.append(record.task_id)
        self.states[record.task_id] = EngineState.RUNNING

    async def tell_problems(self, problems: Mapping[str, str]) -> None:
        """What callers are told."""
        self.told.append(dict(problems))

    async def untaken(self) -> bool:
        """Whether nobody runs workflows."""
        return self.no_replica

    async def present(self) -> set[str]:
        """Who runs workflows, unless the engine is away."""
        if self.down:
            raise ServiceUnavailable("down")
        return self.replicas

    async def replay(self, task_id: str) -> str:
        """What a replica says when it runs a workflow again."""
        if self.silent:
            raise ServiceUnavailable("timeout")
        self.replayed.append(task_id)
        return "cannot" if task_id in self.broken and self.states[task_id] is EngineState.RUNNING else ""

    async def view(self, task_id: str) -> EngineView:
        """What the engine says."""
        self.views.append(task_id)
        problem = self.problems.get(task_id, self.waits.get(task_id, ""))
        return EngineView(self.states.get(task_id, EngineState.UNKNOWN), problem=problem)

    async def running(self) -> list[str]:
        """What the engine lists, unless it is away."""
        if self.down:
            raise ServiceUnavailable("down")
        return [name for name, state in self.states.items() if state is EngineState.RUNNING]

    async def stalled(self) -> list[str]:
        """What the engine lists as failing, unless it is away."""
        if self.down:
            raise ServiceUnavailable("down")
        return list(self.problems)

    async def abandon(self, task_id: str) -> None:
        """The engine ends a task."""
        self.abandoned.append(task_id)
        self.states[task_id] = EngineState.CLOSED

    async def cancel(self, task_id: str) -> None:
        """The engine hears of a cancel."""
        self.canceled.append(task_id)

    async def settle(self, task_id: str, outcome: Outcome) -> None:
        """Records an end."""
        await self.store.finish(task_id, outcome, datetime.now(UTC))

    async def add(self, task_id: str, age_seconds: float = 60, started: bool = False) -> None:
        """A running record."""
        begun = datetime.now(UTC) - timedelta(seconds=age_seconds)
        await self.store.insert(TaskRecord(task_id, "default", "", "e", TaskStatus.RUNNING, begun, "{}", "{}"))
        if started:
            await self.store.mark_started(task_id)

    async def status(self, task_id: str) -> tuple[TaskStatus, str]:
        """Status and code."""
        record = await self.store.get("default", task_id)
        return record.status, record.outcome.code if record.outcome else ""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """An empty one."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'records.db'}"
    await upgrade(url)
    database = Database(url)
    await ProjectStore(database).ensure("default")
    yield World(database)
    await database.close()


async def test_a_recorded_task_that_was_not_started_is_started_once(world: World) -> None:
    """A crash between the two writes loses nothing; a record that is just being made is left alone."""
    await world.add("old")
    await world.add("new", age_seconds=0)
    await world.reconciler.once()
    await world.reconciler.once()
    assert world.started == ["old"]


async def test_a_task_that_waits_for_its_project_is_not_started(world: World) -> None:
    """Admission does that."""
    world.store = TaskStore(world.database, quotas=Quotas(1, 0, 1.0))
    await world.add("first", started=True)
    world.states["first"] = EngineState.RUNNING
    await world.add("second")
    await world.reconciler.once()
    assert world.started == []


async def test_why_tasks_do_not_go_on_is_told(world: World) -> None:
    """Those that fail, and, when no replica takes up workflows, all that wait for one; then that they go on again."""
    for name in ("fails", "waits", "well"):
        await world.add(name, started=True)
        world.states[name] = EngineState.RUNNING
    world.problems["fails"] = "its workflow failed"
    await world.reconciler.once()
    assert world.told == [{"fails": "its workflow failed"}]
    world.problems, world.no_replica, world.waits = {}, True, {"waits": "no control worker"}
    await world.reconciler.once()
    world.no_replica = False
    await world.reconciler.once()
    assert world.told[1:] == [{"waits": "no control worker"}, {}]


async def test_a_task_that_a_new_replica_cannot_carry_on_is_told_before_anything_happens_to_it(world: World) -> None:
    """Each is asked once for each change of replicas, and again while it fails; one failure may be a busy machine."""
    for name in ("changed", "same"):
        await world.add(name, started=True)
        world.states[name] = EngineState.RUNNING
    for _ in range(3):
        await world.reconciler.once()
    assert sorted(world.replayed) == ["changed", "same"] and world.told == [{}, {}, {}]
    world.replicas, world.broken = {"new"}, {"changed"}
    world.replayed.clear()
    for _ in range(3):
        await world.reconciler.once()
    assert sorted(world.replayed) == ["changed", "changed", "changed", "same"]
    assert world.told[3:] == [{}, {"changed": "cannot"}, {"changed": "cannot"}] and world.shown[3:] == [0, 1, 1]
    world.silent = True
    await world.reconciler.once()
    assert world.told[-1] == {"changed": "cannot"}  # no news
    world.silent, world.states["changed"] = False, EngineState.CLOSED
    await world.reconciler.once()
    assert world.told[-1] == {}


@pytest.mark.slow
async def test_tasks_that_no_replica_answers_for_are_asked_again(world: World) -> None:
    """Though a round ends with the first that is not answered for: each takes seconds."""
    for number in range(250):
        await world.add(f"task{number:03}", started=True)
        world.states[f"task{number:03}"] = EngineState.RUNNING
    world.silent = True
    await world.reconciler.once()
    world.silent = False
    await world.reconciler.once()
    assert len(world.replayed) == 200
    await world.reconciler.once()
    assert len(world.replayed) == len({*world.replayed}) == 250


async def test_an_engine_that_lists_no_failing_workflows_hides_no_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is too old to know the attribute."""

    async def refused() -> list[str]:
        raise ServiceUnavailable("invalid query")

    monkeypatch.setattr(world.reconciler, "_stalled", refused)
    await world.add("changed", started=True)
    world.states["changed"], world.broken = EngineState.RUNNING, {"changed"}
    for _ in range(2):
        await world.reconciler.once()
    assert world.told == [{}, {"changed": "cannot"}]


async def test_an_engine_without_tasks_is_asked_nothing(world: World) -> None:
    """An idle service costs nothing."""
    world.down = True
    await world.reconciler.once()
    assert world.told == [{}]


async def test_an_engine_that_is_away_is_tried_again(world: World) -> None:
    """The record stays, and the next pass starts it."""
    await world.add("task")
    world.down = True
    await world.reconciler.once()
    world.down = False
    await world.reconciler.once()
    assert world.started == ["task"]


async def test_a_canceled_task_that_never_began_ends(world: World) -> None:
    """It is not started only to be canceled."""
    await world.add("task")
    await world.store.request_cancel("task")
    await world.reconciler.once()
    assert world.started == [] and await world.status("task") == (TaskStatus.CANCELED, "Canceled")


async def test_a_task_that_the_engine_lost_is_started_again(world: World) -> None:
    """The record is what counts."""
    await world.add("task", started=True)
    await world.reconciler.once()
    assert world.started == ["task"]


async def test_a_workflow_that_ended_unrecorded_ends_its_task(world: World) -> None:
    """Nothing stays RUNNING for ever."""
    await world.add("task", started=True)
    world.states["task"] = EngineState.CLOSED
    await world.reconciler.once()
    assert await world.status("task") == (TaskStatus.FAILED, "InternalError")


async def test_a_canceled_task_whose_workflow_does_not_go_on_ends_without_it(world: World) -> None:
    """In the second pass: in the first, a replica may just have started again."""
    await world.add("task", started=True)
    world.states["task"], world.problems["task"] = EngineState.RUNNING, "fails"
    await world.reconciler.once()
    assert (world.canceled, world.abandoned, world.shown) == ([], [], [1])
    await world.store.request_cancel("task")
    await world.reconciler.once()
    assert (world.canceled, world.abandoned) == ([], [])  # a cancel is an event, after which failures are counted anew
    world.problems.clear()
    await world.reconciler.once()
    world.problems["task"] = "fails"
    await world.reconciler.once()
    assert world.abandoned == []
    await world.reconciler.once()
    assert world.abandoned == ["task"] and await world.status("task") == (TaskStatus.CANCELED, "Canceled")
    assert (world.canceled, world.shown) == (["task"], [1, 1, 0, 1, 0])


async def test_an_end_without_the_workflow_that_was_cut_off_is_completed(world: World) -> None:
    """The replica died between the two: what attempts announced is cleaned up, and the record ends."""
    await world.add("task", started=True)
    await world.store.request_cancel("task")
    world.states["task"] = EngineState.CLOSED
    await world.reconciler.once()
    assert world.abandoned == ["task"] and await world.status("task") == (TaskStatus.CANCELED, "Canceled")


async def test_a_task_at_work_is_left_alone(world: World) -> None:
    """The usual case."""
    await world.add("task", started=True)
    world.states["task"] = EngineState.RUNNING
    await world.reconciler.once()
    assert world.started == [] and await world.status("task") == (TaskStatus.RUNNING, "")


async def test_a_task_that_the_engine_never_takes_ends_and_keeps_no_other_from_being_started(world: World) -> None:
    """One poisoned record must not stop the mending of all."""
    await world.add("a-poisoned", age_seconds=90)
    await world.add("good")
    world.refused = {"a-poisoned"}
    await world.reconciler.once()
    assert world.started == ["good"] and await world.status("a-poisoned") == (TaskStatus.FAILED, "InvalidArgument")


async def test_work_that_cannot_be_read_ends_its_task(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was written by another version, and will not change."""

    async def unreadable(record: TaskRecord) -> None:
        raise ValueError("no such field")

    monkeypatch.setattr(world.reconciler, "_start", unreadable)
    await world.add("task")
    await world.reconciler.once()
    assert await world.status("task") == (TaskStatus.FAILED, "InternalError")


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("error", [InternalError("the database refused a statement"), RuntimeError("a defect")])
@pytest.mark.parametrize(
    ("started", "part", "call"),
    [(False, "_store", "mark_started"), (True, "_store", "find"), (True, "", "_view"), (True, "", "_cancel")],
)
async def test_an_error_that_says_nothing_of_a_task_does_not_end_it(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception, started: bool, part: str, call: str
) -> None:
    """It may be at work; the pass goes on with the others, and the next one mends it."""

    async def fail(*_: object) -> None:
        raise error

    await world.add("a-task", started=started)
    world.states["a-task"] = EngineState.RUNNING if call == "_cancel" else EngineState.UNKNOWN
    if call == "_cancel":
        await world.store.request_cancel("a-task")
    with monkeypatch.context() as patched:
        patched.setattr(getattr(world.reconciler, part) if part else world.reconciler, call, fail)
        await world.reconciler.once()
    assert await world.status("a-task") == (TaskStatus.RUNNING, "")
    await world.add("good")
    await world.reconciler.once()
    assert "good" in world.started and "a-task" in [*world.started, *world.canceled]


async def test_a_cancel_reaches_the_engine_though_the_first_call_did_not(world: World) -> None:
    """The flag in the record is what counts."""
    await world.add("task", started=True)
    await world.store.request_cancel("task")
    world.states["task"] = EngineState.RUNNING
    await world.reconciler.once()
    assert world.canceled == ["task"]


async def test_a_canceled_task_that_the_engine_lost_is_not_started_again(world: World) -> None:
    """It ends as CANCELED."""
    await world.add("task", started=True)
    await world.store.request_cancel("task")
    await world.reconciler.once()
    assert world.started == [] and await world.status("task") == (TaskStatus.CANCELED, "Canceled")


async def test_tasks_at_work_are_not_asked_for_one_by_one(world: World) -> None:
    """The engine lists them; only one that it does not list is asked for, and none while it lists nothing."""
    for number in range(5):
        await world.add(f"task{number}", started=True)
        world.states[f"task{number}"] = EngineState.RUNNING
    world.states["task3"] = EngineState.CLOSED
    await world.reconciler.once()
    assert world.views == ["task3"]
    world.down = True
    await world.reconciler.once()
    assert world.views == ["task3"]


async def test_work_without_a_record_is_told_once_and_left_alone(world: World) -> None:
    """As after records were restored from an older backup; a task that has just ended is on record."""
    await world.add("known", started=True)
    await world.add("ended", started=True)
    await world.settle("ended", Outcome(TaskStatus.SUCCEEDED))
    world.states |= dict.fromkeys(("known", "ended", "stray"), EngineState.RUNNING)
    with capture_logs() as logs:
        for _ in range(3):
            await world.reconciler.once()
    told = [entry["task_id"] for entry in logs if entry["event"] == "the engine does a task that is not on record"]
    assert told == ["stray"] and not world.canceled and not world.abandoned


async def test_nothing_is_deleted_by_a_clock_that_may_be_wrong(world: World) -> None:
    """One that is a year ahead makes the tasks of today look old."""
    await world.add("old", age_seconds=30 * 86_400)
    await world.store.finish("old", Outcome(TaskStatus.SUCCEEDED), datetime.now(UTC) - timedelta(days=29))
    world.steady = False
    await world.reconciler.once()
    assert await world.store.find("old")
    world.steady = True
    await world.reconciler.once()
    assert await world.store.find("old") is None
