"""A task that waits for long: its workflow pauses, and goes on as a new run before its history becomes too long."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from pydantic import TypeAdapter
from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHistory
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from reelmill_server.engine import FAST_QUEUE, INSPECT_QUEUE, bounds, encode_queue
from reelmill_server.engine.chunks import Chunks
from reelmill_server.engine.claim import TaskClaim
from reelmill_server.engine.client import Engine
from reelmill_server.engine.control_activities import ControlActivities
from reelmill_server.engine.notification import NotifyActivities
from reelmill_server.engine.work import (
    AttemptResult,
    Continuation,
    SampleResult,
    SampleWork,
    UnitResult,
    UnitWork,
    Withdrawal,
    Work,
)
from reelmill_server.engine.workers import control_worker, presence_worker
from reelmill_server.engine.workflow import MediaConvertWorkflow
from reelmill_server.model.chunked_plan import ChunkedPlan, KeptFile, SampledPlan
from reelmill_server.model.cost import Cost
from reelmill_server.model.engine_view import ClaimState
from reelmill_server.model.needs import FAST, Needs
from reelmill_server.model.plan import Plan
from reelmill_server.model.publication import PendingFile
from reelmill_server.model.request import ConvertRequest
from reelmill_server.model.sample import Sample, StreamSearch, Trial
from reelmill_server.model.task import Artifact, Outcome, TaskStatus
from reelmill_server.model.units import Split, UnitFile, VideoUnit
from reelmill_server.plan.chunks import identified
from reelmill_server.plan.quality import searches_of
from tests.replays import replay
from tests.unit.plan.test_plan_search import found, plan, tried

pytestmark = pytest.mark.xdist_group("workflow")
LONG_EVENTS = 40
ARTIFACTS = (Artifact("file:///out.mp4", 0, 1, 1.0, "mp4"),)
UNITS = tuple(VideoUnit(number, number * 1_000_000, (number + 1) * 1_000_000) for number in range(3))
OPEN = plan(93.0)
SEARCHES = searches_of(OPEN, ())
SAMPLED = Needs(Cost(core_seconds=9.0), sampled=SampledPlan(ChunkedPlan(OPEN, Split(UNITS)), SEARCHES, Cost(core_seconds=6.0)))


class World:
    """Workers that hand a task back as often as the test says, for want of room, and then do it."""

    def __init__(self, client: Client) -> None:
        self.client, self.engine = client, Engine(client)
        self.busy, self.long_events = 0, LONG_EVENTS
        self.needs = Needs(Cost())
        self.lost: tuple[str, str] = "", ""
        self.standings: list[ClaimState] = []
        self.withdrawn: list[Withdrawal] = []
        self.numbers: list[int] = []
        self.trials: list[Trial] = []
        self.outdated = False
        self.encoded: list[ChunkedPlan | None] = []
        self.memos: list[list[float]] = []
        self._describing = asyncio.Lock()  # samples that are tried beside each other read them one after the other
        self.outcomes: dict[str, Outcome] = {}

    def _hand_back(self) -> None:
        if self.busy:
            self.busy -= 1
            raise ApplicationError("no room", [], 0, type="WorkerBusy")

    @activity.defn(name="convert")
    async def convert(self, work: Work) -> AttemptResult:
        """Look, announce files and die, be handed back, and at last succeed."""
        assert work.earlier is None
        activity_id = activity.info().activity_id
        if work.lane == FAST:
            return AttemptResult(started_us=5_000_000, needs=self.needs)
        self.encoded.append(work.needs.chunked if work.needs else None)
        if work.attempt == 1 and not self.needs.split:
            self.lost = work.request.task_id, activity_id
            await TaskClaim(self.engine, *self.lost).announce([PendingFile("file:///out.mp4", "lost")])
            raise ApplicationError("died", [], 0, type="EncoderCrashed")
        self._hand_back()
        if self.lost[0]:
            self.standings.append(await self.engine.claim_state(*self.lost))
        self.standings.append(await self.engine.claim_state(work.request.task_id, activity_id))
        return AttemptResult(ARTIFACTS, activity_id=activity_id)

    @activity.defn(name="encode_unit")
    async def encode_unit(self, unit: UnitWork) -> UnitResult:
        """Be handed back, but for the first unit, and at last succeed."""
        if unit.number:
            self._hand_back()
        self.numbers.append(unit.number)
        self.encoded.append(unit.work.needs.chunked if unit.work.needs else None)
        return UnitResult((KeptFile(UnitFile(unit.number, 0, 0, "x", 1, 1), "file:///x"),))

    @activity.defn(name="try_samples")
    async def try_samples(self, samples: SampleWork) -> SampleResult:
        """Be handed back, but for the first sample, and at last succeed; not know samples, if outdated."""
        if self.outdated:
            raise ApplicationError("not registered on this worker", type="NotFoundError")
        if self.trials:
            self._hand_back()
        self.trials += samples.trials
        task_id = samples.work.request.task_id
        self.standings.append(await self.engine.claim_state(task_id, activity.info().activity_id))
        async with self._describing:
            description = await self.client.get_workflow_handle(task_id).describe()
            self.memos.append((await description.memo())["units"])
        return SampleResult(tuple(map(tried, samples.trials)))

    @activity.defn(name="erase")
    async def erase(self, task_id: str) -> None:
        """Nothing was kept."""

    @activity.defn(name="withdraw")
    async def withdraw(self, withdrawal: Withdrawal) -> None:
        """Remember what is taken away."""
        self.withdrawn.append(withdrawal)

    async def record(self, task_id: str, outcome: Outcome) -> None:
        """Remember the end."""
        self.outcomes[task_id] = outcome

    async def run(self, task_id: str, parallelism: int = 0) -> Outcome:
        """Carry out a task."""
        request = ConvertRequest(task_id, "default", (), (), parallelism=parallelism)
        await self.engine.start(Work(request, heartbeat_seconds=30))
        async with asyncio.timeout(90):
            await self.client.get_workflow_handle(task_id).result()
        return self.outcomes[task_id]

    async def histories(self, task_id: str) -> Sequence[WorkflowHistory]:
        """The histories of all runs of a task's workflow, the first one first."""
        description = (await self.client.get_workflow_handle(task_id).describe()).raw_description
        run_id, result = description.workflow_execution_info.first_run_id, list[WorkflowHistory]()
        while run_id:
            result.append(await self.client.get_workflow_handle(task_id, run_id=run_id).fetch_history())
            last = result[-1].events[-1]
            run_id = last.workflow_execution_continued_as_new_event_attributes.new_execution_run_id
        return result

    async def replay(self, histories: Sequence[WorkflowHistory]) -> None:
        """Replay them, as whoever takes a workflow over does."""
        for history in histories:
            await replay(history, MediaConvertWorkflow)


@pytest.fixture
async def world(engine_client: Client, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A running world, in which histories soon are long and pauses short."""
    monkeypatch.setattr(bounds, "_FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(bounds, "_LONGEST_PAUSE_SECONDS", 0.04)
    result = World(engine_client)
    monkeypatch.setattr(
        "temporalio.workflow.Info.is_continue_as_new_suggested",
        lambda info: info.get_current_history_length() > result.long_events,
    )
    control = ControlActivities(result.record, result.engine.present, cast(Any, None))
    async with control_worker(result.client, control, NotifyActivities(cast(Any, None))), _working(result):
        yield result


@asynccontextmanager
async def _working(world: World) -> AsyncIterator[None]:
    activities: dict[str, list[Any]] = {
        FAST_QUEUE: [world.convert],
        encode_queue("software"): [world.convert, world.encode_unit, world.try_samples],
        INSPECT_QUEUE: [world.erase, world.withdraw],
    }
    workers = [Worker(world.client, task_queue=queue, activities=result) for queue, result in activities.items()]
    async with workers[0], workers[1], workers[2]:
        yield


def _pauses(history: WorkflowHistory) -> list[float]:
    timers = [event for event in history.events if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED]
    return [timer.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta().total_seconds() for timer in timers]


@pytest.mark.slow
async def test_a_task_that_is_handed_back_waits_longer_each_time(world: World) -> None:
    """Up to a bound."""
    world.busy, world.long_events = 4, 10_000
    await world.run("long-paused")
    (history,) = await world.histories("long-paused")
    pauses = [pause for pause in _pauses(history) if pause < 0.5]  # beside the one after a failure
    for pause, longest in zip(pauses, (0.01, 0.02, 0.04, 0.04), strict=True):
        assert longest * 0.7 < pause <= longest


@pytest.mark.slow
async def test_a_task_that_is_handed_back_for_ever_has_no_history_without_end(world: World) -> None:
    """What happened in an earlier run is known in all others: attempts that failed, and files to be taken away."""
    world.busy = 8
    outcome = await world.run("long-busy")
    histories = await world.histories("long-busy")
    assert len(histories) > 2 and max(len(history.events) for history in histories) < 2 * LONG_EVENTS
    assert (outcome.status, outcome.attempt, outcome.artifacts) == (TaskStatus.SUCCEEDED, 2, ARTIFACTS)
    assert [(failed.attempt, failed.code) for failed in outcome.failed_attempts] == [(1, "EncoderCrashed")]
    assert outcome.first_attempt_time is not None and outcome.first_attempt_time.timestamp() == 5
    assert len(world.withdrawn) == 1
    await world.replay(histories)
    assert world.standings == [ClaimState.TAKEN_OVER, ClaimState.OURS]  # of two runs, no attempts have one name


@pytest.mark.slow
async def test_units_that_are_made_are_not_made_again_by_a_new_run(world: World) -> None:
    """Only what was handed back."""
    world.busy, world.needs = 8, Needs(Cost(), chunked=ChunkedPlan(Plan(()), Split(UNITS)))
    async with presence_worker(world.client, "software"):
        outcome = await world.run("long-units", parallelism=3)
    histories = await world.histories("long-units")
    assert len(histories) > 2 and max(len(history.events) for history in histories) < 3 * LONG_EVENTS
    assert outcome.status is TaskStatus.SUCCEEDED and sorted(world.numbers) == [0, 1, 2]
    await world.replay(histories)


@pytest.mark.slow
async def test_samples_tell_the_crf_that_all_chunks_have(world: World) -> None:
    """None is tried twice, in whatever run of the workflow; the CRF is that which one process finds."""
    world.busy, world.needs, world.long_events = 8, SAMPLED, LONG_EVENTS // 2
    async with presence_worker(world.client, "software"):
        outcome = await world.run("long-samples", parallelism=3)
    assert outcome.status is TaskStatus.SUCCEEDED and sorted(world.numbers) == [0, 1, 2]
    done, rounds = found(OPEN, SEARCHES, 0)
    assert {*world.standings} == {ClaimState.OURS}
    assert {*world.trials} == {trial for trials in rounds for trial in trials} and len({*world.trials}) == len(world.trials)
    assert world.encoded == [ChunkedPlan(done, identified(done, Split(UNITS)))] * 4
    finished = [share for _, share in world.memos]
    assert {count for count, _ in world.memos} == {4.5} and finished == sorted(finished) and 0 < finished[-1] <= 1.5
    histories = await world.histories("long-samples")
    assert len(histories) > 1
    await world.replay(histories)


@pytest.mark.slow
def test_a_round_of_very_many_samples_is_not_too_large_for_the_engine() -> None:
    """Each activity has all samples in it, and those of a round are scheduled in one message of 4 MiB at most."""
    sample = Sample(0, VideoUnit(1000, 36_000_000_000, 36_003_000_000))
    searches = tuple(StreamSearch(number, 0, (sample,) * 120) for number in range(5))
    sampled = SampledPlan(ChunkedPlan(OPEN, Split(UNITS)), searches, Cost(core_seconds=6.0))
    trials = [Trial(search, number, (20.0, 25.0)) for search in range(5) for number in range(1, 120)]
    units = [*Chunks(Continuation())._samples(trials, SAMPLED, sampled)]
    assert len(units) * len(TypeAdapter(SampledPlan).dump_json(sampled)) < 3 << 20
    asked = [unit.asked(Work(ConvertRequest("many", "default", (), ()))) for unit in units]
    assert [trial for work in asked for trial in work.trials] == trials


async def test_workers_that_know_no_samples_search_by_themselves(world: World) -> None:
    """As part of one attempt that does all."""
    world.outdated, world.needs = True, SAMPLED
    async with presence_worker(world.client, "software"):
        outcome = await world.run("long-outdated", parallelism=3)
    assert outcome.status is TaskStatus.SUCCEEDED and world.encoded == [None] and not world.numbers
    await world.replay(await world.histories("long-outdated"))


@pytest.mark.slow
async def test_an_accelerator_that_is_busy_for_ever_makes_no_history_without_end(world: World) -> None:
    """It is required, and there, and does not come; the task is canceled in a later run."""
    world.needs = Needs(Cost(), ("nvenc",), 1)
    async with presence_worker(world.client, "nvenc"):
        work = Work(ConvertRequest("long-nvenc", "default", (), ()), heartbeat_seconds=30, accelerator_seconds=0.2)
        await world.engine.start(work)
        async with asyncio.timeout(90):
            while len(await world.histories("long-nvenc")) < 3:
                await asyncio.sleep(0.1)
        await world.engine.cancel("long-nvenc")
        async with asyncio.timeout(30):
            await world.client.get_workflow_handle("long-nvenc").result()
    assert world.outcomes["long-nvenc"].status is TaskStatus.CANCELED
    assert max(len(history.events) for history in await world.histories("long-nvenc")) < 2 * LONG_EVENTS
