"""The workflow against a real engine, with attempts that do what the test says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast
from unittest.mock import AsyncMock, Mock

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

from reelmill_server.engine import FAST_QUEUE, INSPECT_QUEUE, encode_queue
from reelmill_server.engine.activities import WorkerActivities
from reelmill_server.engine.attempt_heartbeat import AttemptHeartbeat
from reelmill_server.engine.claim import TaskClaim
from reelmill_server.engine.client import Engine
from reelmill_server.engine.connection import connect
from reelmill_server.engine.control_activities import ControlActivities
from reelmill_server.engine.history import Failure, History
from reelmill_server.engine.notification import NotifyActivities
from reelmill_server.engine.pending_files import pack
from reelmill_server.engine.queues import Backlog, backlogs
from reelmill_server.engine.shares import share
from reelmill_server.engine.work import AttemptResult, Continuation, Inspection, Withdrawal, Work
from reelmill_server.engine.workers import control_worker, presence_worker
from reelmill_server.errors import InternalError, InvalidMedia, ServiceUnavailable, StorageUnavailable
from reelmill_server.model.cost import Cost
from reelmill_server.model.engine_view import ClaimState, EngineState, EngineView
from reelmill_server.model.needs import FAST, Needs
from reelmill_server.model.plain import adapter
from reelmill_server.model.publication import PendingFile
from reelmill_server.model.request import ConvertRequest, Credentials
from reelmill_server.model.task import Artifact, Outcome, Progress, TaskPhase, TaskStatus
from reelmill_server.telemetry.metrics import Metrics

pytestmark = pytest.mark.xdist_group("workflow")
MADE = AttemptResult((Artifact("file:///out.mp4", 0, 1, 1.0, "mp4"),), started_us=1_000_000)
Attempt = Callable[[Work], Awaitable[AttemptResult]]
_USUAL = {"heartbeat_seconds": 30, "records_at_once": True}


class World:
    """An engine, a control plane that records in memory, and one worker."""

    def __init__(self, client: Client) -> None:
        self.client, self.engine = client, Engine(client)
        self.recorded: dict[str, Outcome] = {}
        self.record_failures = 0
        self.numbers: list[int] = []
        self.lanes: list[str] = []
        self.attempt: Attempt = self.succeed
        self.withdrawn: list[PendingFile] = []
        self.withdraw_failures = 0
        self.rooms: dict[str, int] = {}
        self.on_room: Callable[[], Awaitable[None]] = self.answer_at_once
        self.announces = False
        self.on_record: Callable[[str, Outcome], Awaitable[None]] = self.keep

    async def succeed(self, _: Work) -> AttemptResult:
        """An attempt without trouble."""
        return MADE

    @activity.defn(name="convert")
    async def convert(self, work: Work) -> AttemptResult:
        """What the test says."""
        self.numbers.append(work.attempt)
        self.lanes.append(work.lane)
        if not self.announces:
            activity.heartbeat(Progress(TaskPhase.CONVERTING, 7, work.attempt))
        return await self.attempt(work)

    async def withdraw(self, _: Credentials, files: Sequence[PendingFile]) -> None:
        """The storage, which may be away for some calls."""
        if self.withdraw_failures:
            self.withdraw_failures -= 1
            raise StorageUnavailable("the storage is away")
        self.withdrawn += files

    async def announce(self, work: Work) -> list[PendingFile]:
        """As an attempt does before it publishes two files; in a heartbeat, if the test wants that."""
        task_id, activity_id = work.request.task_id, activity.info().activity_id
        files = [PendingFile(f"file:///{name}.mp4", f"{work.attempt}") for name in "ab"]
        heartbeat = AttemptHeartbeat(self.engine, self.announces, work.heartbeat_seconds)
        assert await TaskClaim(self.engine, task_id, activity_id, heartbeat).announce(files) is self.announces
        return files

    async def record(self, task_id: str, outcome: Outcome) -> None:
        """The database, which may be away for some calls."""
        if self.record_failures:
            self.record_failures -= 1
            raise ServiceUnavailable("the database is away")
        await self.on_record(task_id, outcome)

    async def room(self, lanes: Sequence[str]) -> int:
        """The memory of the largest worker for these queues."""
        await self.on_room()
        return max((size for lane, size in self.rooms.items() if not lanes or lane in lanes), default=0)

    async def answer_at_once(self) -> None:
        """A control plane that is there."""

    async def keep(self, task_id: str, outcome: Outcome) -> None:
        """What the database does."""
        self.recorded[task_id] = outcome

    async def start(self, task_id: str, project_name: str = "default", **settings: float) -> None:
        """Begins a task."""
        await self.engine.start(Work(ConvertRequest(task_id, project_name, (), ()), **{**_USUAL, **settings}))  # type: ignore[arg-type]

    async def outcome(self, task_id: str) -> Outcome:
        """How the task ended."""
        async with asyncio.timeout(100):
            while task_id not in self.recorded:
                await asyncio.sleep(0.05)
        return self.recorded[task_id]

    def polls(self, queue: str) -> Worker:
        """A worker that takes attempts off this queue."""
        return Worker(
            self.client,
            task_queue=queue,
            activities=[self.convert],
            max_heartbeat_throttle_interval=timedelta(seconds=0.2),
            default_heartbeat_throttle_interval=timedelta(seconds=0.2),
        )

    async def begun(self) -> None:
        """Waits for an attempt."""
        async with asyncio.timeout(20):
            while not self.numbers:
                await asyncio.sleep(0.02)

    async def view(self, task_id: str, wanted: Callable[[EngineView], bool]) -> EngineView:
        """Return the engine's view of a task as soon as it is as wanted."""
        async with asyncio.timeout(20):
            while not wanted(view := await self.engine.view(task_id)):
                await asyncio.sleep(0.05)
        return view


@asynccontextmanager
async def running(world: World) -> AsyncIterator[None]:
    """Runs the workers of a world."""
    control = ControlActivities(world.record, world.engine.present, world.room)
    async with control_worker(world.client, control, NotifyActivities(cast(Any, None))), world.polls(FAST_QUEUE):
        yield


@pytest.fixture
async def world(engine_client: Client) -> AsyncIterator[World]:
    """A running world."""
    result = World(engine_client)
    async with running(result):
        yield result


async def _until_canceled() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(0.05)


async def test_failures_that_may_pass_are_tried_again_and_kept(world: World) -> None:
    """The third attempt succeeds: two failures with their reasons, and the time of the first."""

    async def fail_twice(work: Work) -> AttemptResult:
        if work.attempt < 3:
            raise ApplicationError("died", [], work.attempt * 5_000_000, type="EncoderCrashed")
        return MADE

    world.attempt = fail_twice
    await world.start("twice")
    outcome = await world.outcome("twice")
    assert (outcome.status, outcome.attempt) == (TaskStatus.SUCCEEDED, 3)
    assert [(failed.attempt, failed.code) for failed in outcome.failed_attempts] == [
        (1, "EncoderCrashed"),
        (2, "EncoderCrashed"),
    ]
    assert outcome.first_attempt_time is not None and outcome.first_attempt_time.timestamp() == 5


async def test_types_are_learned_before_workflows_run(engine_client: Client) -> None:
    """On a busy machine, learning one takes longer than a step of a workflow may."""
    adapter.cache_clear()
    world = World(engine_client)
    async with running(world):
        adapter(Progress)  # of heartbeats, which are no step of a workflow
        learned = adapter.cache_info().misses
        await world.start("learned")
        assert (await world.outcome("learned")).status is TaskStatus.SUCCEEDED
        assert adapter.cache_info().misses == learned


async def test_a_failure_for_good_ends_the_task_at_once(world: World) -> None:
    """No second attempt for a source that is broken."""

    async def refuse(_: Work) -> AttemptResult:
        raise ApplicationError("broken", [], 0, type="InvalidMedia", non_retryable=True)

    world.attempt = refuse
    await world.start("broken")
    outcome = await world.outcome("broken")
    assert (outcome.status, outcome.code, outcome.message, world.numbers) == (TaskStatus.FAILED, "InvalidMedia", "broken", [1])


async def next_attempt(world: World) -> None:
    """Return when the engine has given the first attempt up, and begun another."""
    while len(world.numbers) < 2:
        await asyncio.sleep(0.05)


async def test_a_failed_task_remembers_how_far_its_attempts_came(world: World) -> None:
    """The first is lost after a heartbeat of 7 percent; the second fails at 42, the third, for good, at 13."""

    async def fail(work: Work) -> AttemptResult:
        if work.attempt == 1:
            await next_attempt(world)  # without a heartbeat
        retryable = work.attempt < 3
        percent = 42 if retryable else 13
        raise ApplicationError("broken", [], 0, percent, type="EncoderCrashed", non_retryable=not retryable)

    world.attempt = fail
    await world.start("far", heartbeat_seconds=1)
    outcome = await world.outcome("far")
    assert (outcome.status, outcome.percent) == (TaskStatus.FAILED, 42)
    assert [attempt.code for attempt in outcome.failed_attempts] == ["WorkerLost", "EncoderCrashed"]


async def test_the_last_progress_of_a_lost_worker_is_kept(world: World) -> None:
    """It is in the heartbeat that the engine has."""

    async def vanish(work: Work) -> AttemptResult:
        if work.attempt == 1:
            await next_attempt(world)
        raise ApplicationError("broken", [], 0, type="InvalidMedia", non_retryable=True)  # as earlier versions say it

    world.attempt = vanish
    await world.start("vanished", heartbeat_seconds=1)
    assert (await world.outcome("vanished")).percent == 7


async def test_an_attempt_that_fails_tells_how_far_it_came() -> None:
    """In the error that crosses the engine, whatever it fails with."""

    class Failing:
        def __init__(self, error: Exception) -> None:
            self._error = error

        async def convert(self, request: ConvertRequest, report: Callable[[Progress], None], **_: object) -> object:
            report(Progress(TaskPhase.CONVERTING, 42))
            raise self._error

    for error in (InvalidMedia("broken"), RuntimeError("a defect")):
        activities = WorkerActivities(cast(Any, Failing(error)), cast(Any, Mock()), Metrics())
        with pytest.raises(ApplicationError) as failure:
            await ActivityEnvironment().run(activities.convert, Work(ConvertRequest("task", "p", (), ())))
        assert failure.value.details[2] == 42


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("inspect", Inspection("probe", ConvertRequest("task", "p", (), ()))),
        ("erase", "task"),
        ("withdraw", Withdrawal(Credentials(), next(pack([PendingFile("file:///x", "mark")])))),
    ],
)
async def test_a_defect_names_no_path_of_the_worker(name: str, argument: object) -> None:
    """Nor what else is in its text: callers of ProbeMedia were told."""
    attempts = Mock(**{name: AsyncMock(side_effect=OSError(5, "Input/output error", "/var/lib/reelmill/secret"))})
    activities = WorkerActivities(cast(Any, attempts), cast(Any, Mock()), Metrics())
    with pytest.raises(ApplicationError) as failure:
        await ActivityEnvironment().run(getattr(activities, name), argument)
    assert (failure.value.type, failure.value.message) == ("InternalError", "internal error: OSError")


async def test_attempts_that_a_draining_worker_hands_back_count_for_nothing(world: World) -> None:
    """More of them than a task has attempts."""

    async def drain(work: Work) -> AttemptResult:
        if work.attempt < 5:
            raise ApplicationError("stopped", [], 0, type="WorkerDraining")
        return MADE

    world.attempt = drain
    await world.start("drained", max_attempts=1)
    assert (await world.outcome("drained")).status is TaskStatus.SUCCEEDED


async def test_a_task_that_takes_longer_than_workers_are_given_ends(world: World) -> None:
    """Instead of being begun again for ever; the error says why."""
    begun = list[int]()

    async def drain(work: Work) -> AttemptResult:
        begun.append(work.attempt)
        raise ApplicationError("the worker was stopped before the attempt ended", [], 0, type="WorkerDraining")

    world.attempt = drain
    await world.start("too-long", max_attempts=1)
    outcome = await world.outcome("too-long")
    assert outcome.status is TaskStatus.FAILED and outcome.code == "WorkerDraining"
    assert len(begun) == 10 and len(outcome.failed_attempts) == 9


def test_stops_of_chunks_do_not_end_a_task() -> None:
    """A film has hundreds of chunks, and each may meet a stop."""
    history = History(Continuation())
    for number in range(50):
        history.add(Failure("WorkerDraining", "the worker was stopped", True), f"unit {number}: ")
    assert not history.exhausted(1)


def test_a_worker_that_knows_no_samples_costs_the_task_no_attempt() -> None:
    """It is of an earlier version: the next attempt, which asks for none, is the first of the task's own."""
    history = History(Continuation())
    unknown = ApplicationError("Activity function try_samples is not registered on this worker", type="NotFoundError")
    failure = Failure.of(unknown)
    history.add(failure)
    assert not history.exhausted(1) and "earlier version" in failure.message


async def test_the_view_shows_that_a_task_runs(world: World) -> None:
    """And the publish guard checks the present attempt alone; a task that waits says in which queue."""
    seen: list[bool] = []

    async def look(_: Work) -> AttemptResult:
        info = activity.info()
        view = await world.engine.view("viewed")
        seen.append(await world.engine.claim_state("viewed", info.activity_id) is ClaimState.OURS)
        seen.append(await world.engine.claim_state("viewed", "another") is ClaimState.OURS)
        assert view.state is EngineState.RUNNING and await world.engine.waiting_in("viewed") == "fast"
        return MADE

    world.attempt = look
    await world.start("viewed")
    assert (await world.outcome("viewed")).status is TaskStatus.SUCCEEDED
    assert seen == [True, False]
    assert (await world.engine.view("never")).state is EngineState.UNKNOWN
    assert await world.engine.waiting_in("never") == "" and await world.engine.chunked_percent("never") == 0


async def test_a_cancel_waits_for_the_attempt_to_end(world: World) -> None:
    """CANCELED is recorded after the child is gone, not before."""
    gone = asyncio.Event()

    async def end_slowly(_: Work) -> AttemptResult:
        try:
            await _until_canceled()
        finally:
            await asyncio.sleep(0.5)
            assert "slow" not in world.recorded
            gone.set()
        return MADE

    world.attempt = end_slowly
    await world.start("slow")
    await world.begun()
    await world.engine.cancel("slow")
    assert (await world.outcome("slow")).status is TaskStatus.CANCELED and gone.is_set()


async def test_a_cancel_survives_the_end_of_a_look(world: World) -> None:
    """The look did not hear of it, and found that the task is not small: nothing more of it is done."""

    async def look(work: Work) -> AttemptResult:
        with suppress(asyncio.CancelledError):
            await _until_canceled()
        return AttemptResult(needs=Needs(Cost()))

    world.attempt = look
    async with world.polls(encode_queue("software")):
        await world.start("look")
        await world.begun()
        await world.engine.cancel("look")
        outcome = await world.outcome("look")
    assert outcome.status is TaskStatus.CANCELED and world.lanes == [FAST]


async def test_a_cancel_survives_a_crash_of_the_attempt(world: World) -> None:
    """The child dies while it is stopped: the task is CANCELED and not tried again."""

    async def crash_when_canceled(_: Work) -> AttemptResult:
        try:
            await _until_canceled()
        except asyncio.CancelledError:
            raise ApplicationError("died", [], 0, type="EncoderCrashed") from None
        return MADE

    world.attempt = crash_when_canceled
    await world.start("crash")
    await world.begun()
    await world.engine.cancel("crash")
    assert (await world.outcome("crash")).status is TaskStatus.CANCELED and world.numbers == [1]


async def test_a_cancel_survives_the_loss_of_the_worker(world: World) -> None:
    """No sign of life comes any more: when that is noticed the task is CANCELED, not given to another worker."""

    async def fall_silent(_: Work) -> AttemptResult:
        with pytest.raises(asyncio.CancelledError):
            await asyncio.sleep(30)
        raise ApplicationError("too late")

    world.attempt = fall_silent
    await world.start("silent", heartbeat_seconds=5)
    await world.begun()
    await world.engine.cancel("silent")
    assert (await world.outcome("silent")).status is TaskStatus.CANCELED and world.numbers == [1]


async def test_a_cancel_that_comes_too_late_leaves_the_success(world: World) -> None:
    """The attempt had published: that is what is recorded."""

    async def publish_all_the_same(_: Work) -> AttemptResult:
        try:
            await _until_canceled()
        except asyncio.CancelledError:
            pass
        return MADE

    world.attempt = publish_all_the_same
    await world.start("published")
    await world.begun()
    await world.engine.cancel("published")
    outcome = await world.outcome("published")
    assert outcome.status is TaskStatus.SUCCEEDED and len(outcome.artifacts) == 1


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "of an earlier version"])
async def test_a_cancel_while_the_outcome_is_recorded_does_not_lose_it(world: World, at_once: bool) -> None:
    """The database is away for a moment, and a cancel comes then."""
    world.record_failures = 2
    await world.start("recorded", records_at_once=at_once)
    async with asyncio.timeout(20):
        while world.record_failures == 2:
            await asyncio.sleep(0.02)
    await world.engine.cancel("recorded")
    assert (await world.outcome("recorded")).status is TaskStatus.SUCCEEDED


@pytest.mark.parametrize(("failures", "activities"), [(0, ["convert"]), (2, ["convert", "record_outcome"])])
async def test_an_outcome_is_recorded_at_once_or_as_soon_as_the_records_are_there(
    world: World, failures: int, activities: Sequence[str]
) -> None:
    """The engine runs an activity for it only while the database is away."""
    world.record_failures = failures
    await world.start("at-once")
    assert (await world.outcome("at-once")).status is TaskStatus.SUCCEEDED
    handle = world.client.get_workflow_handle("at-once")
    await handle.result()
    scheduled = [event.activity_task_scheduled_event_attributes async for event in handle.fetch_history_events()]
    assert [one.activity_type.name for one in scheduled if one.activity_type.name] == activities


async def test_a_cancel_while_waiting_for_the_next_attempt(world: World) -> None:
    """Between two attempts there is nothing to stop: the task ends at once."""

    async def fail(_: Work) -> AttemptResult:
        raise ApplicationError("died", [], 0, type="EncoderCrashed")

    world.attempt = fail
    await world.start("between")
    await world.begun()
    async with asyncio.timeout(20):
        while await world.engine.waiting_in("between"):
            await asyncio.sleep(0.02)
    await world.engine.cancel("between")
    assert (await world.outcome("between")).status is TaskStatus.CANCELED


def defers(needs: Needs) -> Attempt:
    """An attempt that finds in the fast lane what the task needs, and succeeds elsewhere."""

    async def attempt(work: Work) -> AttemptResult:
        return AttemptResult(started_us=9_000_000, needs=needs) if work.lane == FAST else MADE

    return attempt


async def test_what_is_not_small_goes_to_the_lane_that_it_needs(world: World) -> None:
    """The look and the encode are one attempt, which began with the look."""
    world.attempt = defers(Needs(Cost()))
    async with world.polls(encode_queue("software")):
        await world.start("large")
        outcome = await world.outcome("large")
    assert (outcome.status, outcome.attempt, outcome.failed_attempts) == (TaskStatus.SUCCEEDED, 1, ())
    assert (world.lanes, world.numbers) == (["fast", "software"], [1, 1])
    assert outcome.first_attempt_time is not None and outcome.first_attempt_time.timestamp() == 9


async def test_an_accelerator_that_nobody_has_is_not_waited_for(world: World) -> None:
    """PREFERRED takes the next that is there at once, although it would wait an hour."""
    world.attempt = defers(Needs(Cost(), ("vaapi", "software"), 1))
    async with world.polls(encode_queue("software")):
        await world.start("no-vaapi", accelerator_seconds=3600)
        assert (await world.outcome("no-vaapi")).status is TaskStatus.SUCCEEDED
    assert world.lanes == ["fast", "software"]


async def test_an_accelerator_that_is_there_comes_first_and_a_busy_one_is_waited_for(world: World) -> None:
    """The first task runs on it; the second finds nobody who takes it, and goes to the CPU after the time."""
    world.attempt = defers(Needs(Cost(), ("qsv", "software"), 1))
    present = presence_worker(world.client, "qsv")
    async with present, world.polls(encode_queue("software")):
        async with asyncio.timeout(20):
            while not (await world.engine.present(["qsv"]))["qsv"]:
                await asyncio.sleep(0.05)
        async with world.polls(encode_queue("qsv")):
            await world.start("idle", accelerator_seconds=30)
            await world.outcome("idle")
        await world.start("busy", accelerator_seconds=1)
        assert (await world.outcome("busy")).status is TaskStatus.SUCCEEDED
    assert world.lanes == ["fast", "qsv", "fast", "software"]


async def test_a_required_accelerator_that_never_comes_fails_the_task(world: World) -> None:
    """With its code, the families, and why the worker that looked could not do it."""
    world.attempt = defers(Needs(Cost(), ("nvenc",), 1, "h264_nvenc: no device"))
    async with world.polls(encode_queue("software")):
        await world.start("required", accelerator_seconds=1)
        outcome = await world.outcome("required")
    assert (outcome.status, outcome.code) == (TaskStatus.FAILED, "HardwareUnavailable")
    assert outcome.message == "no worker with nvenc came within 1 s; h264_nvenc: no device"
    assert world.lanes == ["fast"]


async def test_a_required_accelerator_that_comes_late_is_in_time(world: World) -> None:
    """A machine that was started for the task."""
    world.attempt = defers(Needs(Cost(), ("nvenc",), 1))
    await world.start("late", accelerator_seconds=20)
    await world.begun()
    await asyncio.sleep(1)
    async with world.polls(encode_queue("nvenc")):
        assert (await world.outcome("late")).status is TaskStatus.SUCCEEDED


@pytest.mark.slow
async def test_a_task_that_a_busy_worker_gives_back_counts_for_nothing(world: World) -> None:
    """More often than a task has attempts, and no trace of it is left."""
    given_back = 0

    async def busy(work: Work) -> AttemptResult:
        nonlocal given_back
        if work.lane == FAST:
            return AttemptResult(needs=Needs(Cost()))
        given_back += 1
        if given_back < 5:
            raise ApplicationError("no room", [], 0, type="WorkerBusy")
        assert (work.priority, work.ahead) == (3, 2)
        return MADE

    world.attempt = busy
    async with world.polls(encode_queue("software")):
        await world.start("busy-worker")
        outcome = await world.outcome("busy-worker")
    assert (outcome.status, outcome.attempt, outcome.failed_attempts) == (TaskStatus.SUCCEEDED, 1, ())


async def test_a_later_attempt_does_not_look_again(world: World) -> None:
    """What the first look found is kept."""

    async def fail_once(work: Work) -> AttemptResult:
        if work.lane == FAST:
            return AttemptResult(needs=Needs(Cost()))
        if work.attempt == 1:
            raise ApplicationError("died", [], 0, type="EncoderCrashed")
        return MADE

    world.attempt = fail_once
    async with world.polls(encode_queue("software")):
        await world.start("twice-large")
        outcome = await world.outcome("twice-large")
    assert (outcome.attempt, world.lanes) == (2, ["fast", "software", "software"])


@pytest.mark.slow
@pytest.mark.parametrize("urgent", [3, 1])
async def test_projects_take_turns(world: World, urgent: int) -> None:
    """Of two projects of which one came first with many tasks, urgent ones even, the other does not wait for all of them."""
    order: list[str] = []

    async def look(work: Work) -> AttemptResult:
        if work.lane == FAST:
            return AttemptResult(needs=Needs(Cost()))
        order.append(work.request.project_name)
        return MADE

    world.attempt = look
    for number in range(12):
        await world.start(f"turn-many-{number}", project_name="many", priority=urgent)
    for number in range(3):
        await world.start(f"turn-few-{number}", project_name="few")
    async with asyncio.timeout(20):
        while len(world.lanes) < 15:
            await asyncio.sleep(0.05)
    async with asyncio.timeout(20):  # the engine's counts lag
        while True:
            waiting = await backlogs(world.client)
            counts = [waiting[queue].tasks for queue in ("software", "fast", "nvenc")]
            if counts == [15, 0, 0] and waiting["software"].age_seconds > 0:
                break
            await asyncio.sleep(0.2)
    assert waiting["fast"] == waiting["nvenc"] == Backlog(0, 0.0)
    one_by_one = Worker(
        world.client, task_queue=encode_queue("software"), activities=[world.convert], max_concurrent_activities=1
    )
    async with one_by_one:
        for number in range(3):
            await world.outcome(f"turn-few-{number}")
    last = max(place for place, project in enumerate(order) if project == "few")
    assert last < 10, order  # in the order in which they came it would be 14


@pytest.mark.slow
async def test_priorities_count_within_a_project(world: World) -> None:
    """What came later and is urgent is before most of what is not; the project has no more of the workers for it."""
    order: list[int] = []

    async def look(work: Work) -> AttemptResult:
        if work.lane == FAST:
            return AttemptResult(needs=Needs(Cost()))
        order.append(work.priority)
        return MADE

    world.attempt = look
    for number in range(12):
        await world.start(f"some-{number}", priority=4, weight=share(4, ()))
    for number in range(4):
        await world.start(f"urgent-{number}", priority=1, weight=share(1, (4,)))
    async with asyncio.timeout(20):
        while len(world.lanes) < 16 or (await backlogs(world.client))["software"].tasks < 16:
            await asyncio.sleep(0.1)
    queue = encode_queue("software")
    async with Worker(world.client, task_queue=queue, activities=[world.convert], max_concurrent_activities=1):
        for number in range(12):
            await world.outcome(f"some-{number}")
    assert max(place for place, priority in enumerate(order) if priority == 1) < 11, order


async def test_starting_twice_is_starting_once(world: World) -> None:
    """Also when the task has ended."""
    await world.start("again")
    await world.start("again")
    await world.outcome("again")
    await world.start("again")
    await world.start("later")
    await world.outcome("later")
    assert world.numbers == [1, 1]


async def test_the_engine_lists_what_runs(world: World) -> None:
    """A task appears soon after its start, and goes after its end; other workflows are not listed."""
    ended = asyncio.Event()

    async def wait(_: Work) -> AttemptResult:
        await ended.wait()
        return AttemptResult()

    world.attempt = wait
    await world.start("task")
    async with asyncio.timeout(40):
        while await world.engine.running() != {"task"}:
            await asyncio.sleep(0.1)
        ended.set()
        while await world.engine.running():
            await asyncio.sleep(0.1)


async def test_a_namespace_that_is_not_there_is_told(world: World) -> None:
    """With the command that makes it: an engine of one's own has none for the service."""
    with pytest.raises(ServiceUnavailable, match="namespace create --namespace nowhere"):
        await connect(world.client.service_client.config.target_host, "nowhere", wait_seconds=0)


async def test_what_a_lost_worker_was_to_erase_is_erased_by_another(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Soon, and not when the longest removal would be over: the first says nothing, as it was killed."""
    monkeypatch.setattr("reelmill_server.engine.workflow.SILENCE_SECONDS", 1)
    asked: list[str] = []

    @activity.defn(name="erase")
    async def erase(task_id: str) -> None:
        asked.append(task_id)
        if len(asked) == 1:
            await asyncio.sleep(3600)

    world.attempt = defers(Needs(Cost(), keeps=True))
    eraser = Worker(world.client, task_queue=INSPECT_QUEUE, activities=[erase])
    async with world.polls(encode_queue("software")), eraser:
        await world.start("kept")
        await world.outcome("kept")
        async with asyncio.timeout(30):
            while len(asked) < 2:
                await asyncio.sleep(0.05)
    assert asked == ["kept", "kept"]


@pytest.mark.parametrize("fails", [True, False])
async def test_what_a_task_kept_stays_for_a_retry_if_it_failed(world: World, fails: bool) -> None:
    """For so many seconds after its end, and is erased then; of one that succeeded at once."""
    erased: list[str] = []

    @activity.defn(name="erase")
    async def erase(task_id: str) -> None:
        erased.append(task_id)

    async def attempt(work: Work) -> AttemptResult:
        if work.needs is None:
            return AttemptResult(needs=Needs(Cost(), keeps=True))
        if fails:
            raise ApplicationError("no", [], type="InvalidMedia", non_retryable=True)
        return MADE

    world.attempt = attempt
    eraser = Worker(world.client, task_queue=INSPECT_QUEUE, activities=[erase])
    async with world.polls(encode_queue("software")), eraser:
        await world.engine.start(Work(ConvertRequest("kept", "default", (), ()), keep_seconds=1.5))
        handle = world.client.get_workflow_handle("kept")
        async with asyncio.timeout(30):
            await handle.result()
    waits = [
        event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta().total_seconds()
        for event in (await handle.fetch_history()).events
        if event.HasField("timer_started_event_attributes")
    ]
    assert waits == ([1.5] if fails else []) and erased == ["kept"]


@asynccontextmanager
async def withdrawing(world: World) -> AsyncIterator[None]:
    """A worker that takes away what is left."""
    activities = WorkerActivities(cast(Any, world), world.engine, Metrics())
    async with Worker(world.client, task_queue=INSPECT_QUEUE, activities=[activities.withdraw]):
        yield


async def test_what_a_lost_worker_has_placed_is_gone_when_the_task_is_canceled(world: World) -> None:
    """It was killed between placing and saying so: nothing of it is there when the end is told."""
    gone: list[int] = []

    async def look(task_id: str, outcome: Outcome) -> None:
        gone.append(len(world.withdrawn))
        await world.keep(task_id, outcome)

    async def place_and_fall_silent(work: Work) -> AttemptResult:
        placed.extend(await world.announce(work))
        with pytest.raises(asyncio.CancelledError):
            await asyncio.sleep(30)
        raise ApplicationError("too late")

    placed: list[PendingFile] = []
    world.attempt, world.on_record = place_and_fall_silent, look
    async with withdrawing(world):
        await world.start("left", heartbeat_seconds=5)
        await world.begun()
        await world.engine.cancel("left")
        assert (await world.outcome("left")).status is TaskStatus.CANCELED
    assert world.withdrawn == placed and gone == [2]


async def test_what_a_lost_worker_announced_by_its_last_heartbeat_goes(world: World) -> None:
    """That costs the workflow no step: none but those of the start and of the two ends."""

    async def fall_silent_once(work: Work) -> AttemptResult:
        if work.attempt == 1:
            placed.extend(await world.announce(work))
            await asyncio.sleep(30)
        raise ApplicationError("broken", [], 0, type="InvalidMedia", non_retryable=True)

    placed: list[PendingFile] = []
    world.attempt, world.announces = fall_silent_once, True
    async with withdrawing(world):
        await world.start("silent", heartbeat_seconds=1)
        outcome = await world.outcome("silent")
    assert [attempt.code for attempt in outcome.failed_attempts] == ["WorkerLost"] and outcome.code == "InvalidMedia"
    assert world.withdrawn == placed and len(placed) == 2
    history = await world.client.get_workflow_handle("silent").fetch_history()
    assert not any(event.HasField("workflow_execution_signaled_event_attributes") for event in history.events)


async def test_an_attempt_whose_task_has_ended_learns_that_from_its_heartbeat(world: World) -> None:
    """And is told what it is."""

    async def announce_late(work: Work) -> AttemptResult:
        await world.client.get_workflow_handle("late").terminate()
        try:
            await world.announce(work)
        except InternalError as error:
            said.append(error.message)
        raise ApplicationError("over", [], 0, non_retryable=True)

    said: list[str] = []
    world.attempt, world.announces = announce_late, True
    await world.start("late")
    async with asyncio.timeout(20):
        while not said:
            await asyncio.sleep(0.05)
    assert said == [ClaimState.ENDED]


async def test_what_succeeded_stays_and_what_was_lost_before_goes(world: World) -> None:
    """The storage takes away what bears the mark of the first; of names that the second used again that is nothing."""

    async def die_once(work: Work) -> AttemptResult:
        placed.append(await world.announce(work))
        if work.attempt == 1:
            raise ApplicationError("died", [], 0, type="EncoderCrashed")
        return replace(MADE, activity_id=activity.info().activity_id)

    placed: list[list[PendingFile]] = []
    world.attempt = die_once
    async with withdrawing(world):
        await world.start("second")
        assert (await world.outcome("second")).status is TaskStatus.SUCCEEDED
        await world.view("second", lambda view: view.state is EngineState.CLOSED)
    assert world.withdrawn == placed[0] != placed[1]
    with pytest.raises(InternalError, match="canceled, or has failed"):
        await world.engine.announce("second", "any", pack(placed[0]))


@pytest.mark.slow
async def test_a_storage_that_is_away_does_not_keep_an_end_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left goes when it is back."""
    monkeypatch.setattr("reelmill_server.engine.workflow._WITHDRAWAL_WAIT_SECONDS", 0.5)

    async def place_and_fail(work: Work) -> AttemptResult:
        await world.announce(work)
        raise ApplicationError("broken", [], 0, type="InvalidMedia", non_retryable=True)

    world.attempt, world.withdraw_failures = place_and_fail, 1
    async with withdrawing(world):
        await world.start("away")
        assert (await world.outcome("away")).code == "InvalidMedia" and not world.withdrawn
        async with asyncio.timeout(20):
            while len(world.withdrawn) < 2:
                await asyncio.sleep(0.05)


async def test_a_worker_that_erases_says_that_it_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as it takes."""
    monkeypatch.setattr("reelmill_server.engine.heartbeat._INTERVAL_SECONDS", 0.02)
    beats: list[object] = []

    class Slow:
        async def erase(self, task_id: str) -> None:
            assert task_id == "task"
            await asyncio.sleep(0.3)

    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda *_: beats.append(None)
    activities = WorkerActivities(cast(Any, Slow()), cast(Any, None), Metrics())
    await environment.run(activities.erase, "task")
    count = len(beats)
    await asyncio.sleep(0.1)
    assert len(beats) == count >= 3


async def test_an_attempt_learns_what_it_is_to_its_task(world: World) -> None:
    """Its own while it is waited for, nobody's when it is to be canceled or the task failed, another's when one succeeded."""
    seen: dict[str, list[ClaimState]] = {}

    async def attempt(work: Work) -> AttemptResult:
        info, task_id = activity.info(), work.request.task_id
        own = seen.setdefault(task_id, [])
        asked[task_id] = info.activity_id
        own.append(await world.engine.claim_state(task_id, info.activity_id))
        if task_id == "standing-canceled":
            await world.engine.cancel(task_id)
            while await world.engine.claim_state(task_id, info.activity_id) is ClaimState.OURS:
                activity.heartbeat()
                await asyncio.sleep(0.05)
            own.append(await world.engine.claim_state(task_id, info.activity_id))
        if task_id == "standing-failed":
            raise ApplicationError("no", [], 0, type="InvalidMedia", non_retryable=True)
        return MADE

    asked: dict[str, str] = {}
    world.attempt = attempt
    for end in ("succeeded", "failed", "canceled"):
        task_id = f"standing-{end}"
        await world.start(task_id)
        await world.outcome(task_id)
        await world.view(task_id, lambda view: view.state is EngineState.CLOSED)
        seen[task_id].append(await world.engine.claim_state(task_id, asked[task_id]))
    assert seen["standing-succeeded"] == [ClaimState.OURS, ClaimState.TAKEN_OVER]
    assert seen["standing-failed"] == [ClaimState.OURS, ClaimState.ENDED]
    assert seen["standing-canceled"][:2] == [ClaimState.OURS, ClaimState.ENDED]


def _out_of_memory(peak: int) -> ApplicationError:
    return ApplicationError(f"took {peak}", [], 0, 0, peak, type="OutOfMemory")


async def test_an_attempt_out_of_memory_gets_one_more_where_there_is_room(world: World) -> None:
    """With twice what it took; a second time is final, however many attempts the task may have."""
    asked: list[int] = []

    async def take(work: Work) -> AttemptResult:
        asked.append(work.memory_bytes)
        raise _out_of_memory(600 * (len(asked)))

    world.attempt, world.rooms = take, {"software": 500, "fast": 4000}
    await world.start("hungry", max_attempts=10)
    outcome = await world.outcome("hungry")
    assert (outcome.code, outcome.message, asked) == ("OutOfMemory", "took 1200", [0, 1200])
    assert [failed.message for failed in outcome.failed_attempts] == ["took 600"]


async def test_a_cancel_while_room_for_another_attempt_is_looked_for(world: World) -> None:
    """It is recorded by the workflow itself, although no attempt is there to be ended."""

    async def take(_: Work) -> AttemptResult:
        raise _out_of_memory(600)

    async def cancel() -> None:
        await world.engine.cancel("asked")
        await asyncio.Event().wait()

    world.attempt, world.on_room = take, cancel
    await world.start("asked")
    assert (await world.outcome("asked")).status is TaskStatus.CANCELED


@pytest.mark.parametrize("room", [0, 600])
async def test_an_attempt_out_of_memory_is_final_where_no_worker_has_more(world: World, room: int) -> None:
    """Ten attempts would end alike, and take their neighbors' memory each time."""

    async def take(_: Work) -> AttemptResult:
        raise _out_of_memory(600)

    world.attempt, world.rooms = take, {"software": room}
    await world.start("greedy")
    outcome = await world.outcome("greedy")
    assert (outcome.status, outcome.code, world.numbers) == (TaskStatus.FAILED, "OutOfMemory", [1])


async def test_a_task_does_not_wait_for_memory_that_is_gone(world: World) -> None:
    """The worker that had it is away when others have handed the task back."""

    async def take(work: Work) -> AttemptResult:
        if not work.memory_bytes:
            raise _out_of_memory(600)
        world.rooms = {"software": work.memory_bytes - 1}
        raise ApplicationError("no room", [], 0, type="WorkerBusy")

    world.attempt, world.rooms = take, {"software": 4000}
    await world.start("alone")
    outcome = await world.outcome("alone")
    assert (outcome.code, outcome.message, outcome.failed_attempts) == ("OutOfMemory", "took 600", ())


async def test_an_attempt_whose_driver_failed_goes_on_without_it(world: World) -> None:
    """Neither with the encoder, nor in the queue of its family, also where the next attempt finds out again what it needs."""
    needs, told = Needs(Cost(), ("nvenc", "software"), 1), []

    async def crash(work: Work) -> AttemptResult:
        told.append((work.lane, work.avoided, work.needs and work.needs.lanes, work.needs and work.needs.sessions))
        if work.lane == FAST and not work.avoided:
            raise ApplicationError("crashed", [], 0, 0, 0, ["h264_nvenc"], type="DriverFailed")
        return AttemptResult(needs=needs) if work.lane == FAST else MADE

    world.attempt = crash
    async with world.polls(encode_queue("software")):
        await world.start("driver")
        outcome = await world.outcome("driver")
    assert (outcome.status, [failed.code for failed in outcome.failed_attempts]) == (TaskStatus.SUCCEEDED, ["DriverFailed"])
    avoided = ("h264_nvenc",)
    assert told == [(FAST, (), None, None), (FAST, avoided, None, None), ("software", avoided, ("software",), 0)]
