"""Encode a task in chunks on several workers, then join them in one attempt; before, search its CRFs on samples.

Deterministic code that the engine replays. The engine keeps the result of each unit, a chunk or some samples: whatever dies,
only the units that were being encoded are encoded again. (Serialized names call a chunk a unit.)
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

from reelmill_server.engine import encode_queue
from reelmill_server.engine.bounds import Backoff, HistoryFull, history_is_full
from reelmill_server.engine.history import OF_CHUNK, UNKNOWN_ACTIVITY, Failure, History
from reelmill_server.engine.more_memory import ran_out, with_more_memory
from reelmill_server.engine.names import CONVERT, ENCODE_UNIT, TRY_SAMPLES, UNITS
from reelmill_server.engine.scheduling import available_workers, run_activity
from reelmill_server.engine.work import AttemptResult, Continuation, SampleResult, SampleWork, UnitResult, UnitWork, Work
from reelmill_server.errors import ChunksDiffer, ReelmillError, SourceChanged, WorkerBusy
from reelmill_server.model.capability import SOFTWARE
from reelmill_server.model.chunked_plan import ChunkedPlan, SampledPlan
from reelmill_server.model.cost import Cost
from reelmill_server.model.needs import Needs
from reelmill_server.model.sample import Trial
from reelmill_server.model.worker_state import JOINING_FROM
from reelmill_server.plan.chunks import identified
from reelmill_server.plan.quality import PlanSearch

_SAMPLES = "samples-on-workers"  # workflows of before searched CRFs in a single pass
_DISCARDS = (ChunksDiffer.code, SourceChanged.code, UNKNOWN_ACTIVITY)
_LEAST_WORKERS = 2
_MOST_SAMPLE_UNITS = 64  # of one round of a search: the history has three events for each
_MOST_SAMPLES_SENT = 16_384  # in one round: each unit is sent all samples, 120 bytes each, and the engine takes 4 MiB at once


@dataclass(frozen=True)
class _Unit:
    """An activity that carries out a part of a task: its name and number, what it needs, what it is asked by the work of an
    attempt, the type of its result, and who keeps that.
    """

    activity: str
    number: int
    needs: Needs
    asked: Callable[[Work], Any]
    result_type: type[Any]
    keep: Callable[[Any], None]


class Chunks:
    """The chunks of one task."""

    def __init__(self, earlier: Continuation) -> None:
        self._results = dict(earlier.made)
        self._tried = {tried.trial: tried for tried in earlier.tried}
        self._given_up = earlier.units_given_up
        self._needs = Needs(Cost())
        self.used = earlier.units_used
        """Whether there may be something of the task in shared scratch."""

    def continued(self, continuation: Continuation) -> Continuation:
        """Return `continuation` with what the next run of the workflow must know of the chunks."""
        results, tried = tuple(self._results.items()), tuple(self._tried.values())
        given_up, used = self._given_up, self.used
        return replace(continuation, made=results, units_given_up=given_up, units_used=used, tried=tried)

    async def worthwhile(self, work: Work) -> bool:
        """Return whether to encode the task in chunks: it can be cut, chunks were not given up, and workers can share it."""
        if self._given_up or work.needs is None or work.needs.split is None:
            return False
        if work.needs.sampled and not workflow.patched(_SAMPLES):
            return False
        workers = await available_workers(work)
        if any(count for lane, count in workers.items() if lane != SOFTWARE):
            return False  # an accelerator is faster than many cores
        return work.request.parallelism > 1 or workers.get(SOFTWARE, 0) >= _LEAST_WORKERS

    async def attempt(self, work: Work, history: History) -> AttemptResult:
        """Search the CRFs that the plan leaves open, encode all chunks that are missing, and join them. Raises HistoryFull when
        some of that is left for the next run.
        """
        needs = work.needs
        assert needs and needs.split
        work = replace(work, lane=SOFTWARE)
        numbers = [unit.number for unit in needs.split.units]
        self._needs, self.used = needs, True
        if needs.sampled:
            needs = await self._search(needs, needs.sampled, work, history)
            work = replace(work, needs=needs)
        await self._carry_out([self._chunk(number, needs) for number in numbers if number not in self._results], work, history)
        if any(number not in self._results for number in numbers):
            raise HistoryFull
        results = [self._results[number] for number in numbers]
        kept = tuple(file for result in results for file in result.kept)
        joining = replace(work, needs=needs.for_join(), kept=kept, attempt=history.number)
        result: AttemptResult = await run_activity(CONVERT, joining, joining, encode_queue(SOFTWARE), AttemptResult)
        warnings = dict.fromkeys(warning for unit in results for warning in unit.warnings)
        return replace(result, warnings=(*warnings, *result.warnings))

    def failed(self, failure: Failure) -> None:
        """Note that an attempt failed: chunks that no longer fit together are dropped, and the next attempt is a single
        pass.
        """
        if failure.code in _DISCARDS:
            self._given_up = True
            self._results.clear()
            self._tried.clear()

    async def _search(self, needs: Needs, sampled: SampledPlan, work: Work, history: History) -> Needs:
        """Return the needs of the plan with the CRFs that samples promise. Raises as `attempt`."""
        search = PlanSearch(sampled.chunked.plan, sampled.searches)
        while due := search.due():
            missing = [trial for trial in due if trial not in self._tried]
            if missing:
                await self._carry_out([*self._samples(missing, needs, sampled)], work, history)
            if any(trial not in self._tried for trial in due):
                raise HistoryFull
            search.note([self._tried[trial] for trial in due])
        try:
            plan = search.plan()
        except ReelmillError as error:
            raise ApplicationError(error.message, [], 0, 0, type=error.code, non_retryable=not error.retryable) from error
        return needs.searched(ChunkedPlan(plan, identified(plan, sampled.chunked.split)))

    def _chunk(self, number: int, needs: Needs) -> _Unit:
        keep = partial(self._results.__setitem__, number)
        return _Unit(ENCODE_UNIT, number, needs.for_unit(number), lambda work: UnitWork(work, number), UnitResult, keep)

    def _samples(self, trials: Sequence[Trial], needs: Needs, sampled: SampledPlan) -> Iterator[_Unit]:
        """Yield a unit for each trial; if there are very many, for some each."""
        samples = sum(len(search.samples) for search in sampled.searches)
        size = ceil(len(trials) / max(min(_MOST_SAMPLE_UNITS, _MOST_SAMPLES_SENT // samples), 1))
        for number, begin in enumerate(range(0, len(trials), size), len(sampled.chunked.split.units)):
            asked = partial(SampleWork, number=number, trials=tuple(trials[begin : begin + size]))
            yield _Unit(TRY_SAMPLES, number, needs.for_samples(), asked, SampleResult, self._keep_tried)

    def _keep_tried(self, result: SampleResult) -> None:
        self._tried.update((tried.trial, tried) for tried in result.tried)

    async def _carry_out(self, units: Sequence[_Unit], work: Work, history: History) -> None:
        """Carry out units concurrently; the first that fails for good ends the others."""
        self._report()
        running = [asyncio.create_task(self._run(unit, work, history)) for unit in units]
        try:
            await asyncio.gather(*running)
        except BaseException:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            raise

    def _progress(self) -> tuple[float, float]:
        """Return the number of chunks, and of those that are done; a search counts as so many as take the same work."""
        needs = self._needs
        assert needs.split
        samples = sum(len(search.samples) for search in needs.sampled.searches) if needs.sampled else 1
        searched = needs.search_chunks * min(1.0, len(self._tried) / samples)
        return round(len(needs.split.units) + needs.search_chunks, 3), round(len(self._results) + searched, 3)

    def _report(self) -> None:
        workflow.upsert_memo({UNITS: [*self._progress()]})

    async def _run(self, unit: _Unit, work: Work, history: History) -> None:
        """Carry out one unit, with retries; leave it for the next run when the history is full."""
        own, backoff = History(Continuation()), Backoff()
        work = replace(work, needs=unit.needs)
        while True:
            asked = unit.asked(replace(work, attempt=own.number))
            try:
                unit.keep(await run_activity(unit.activity, asked, work, encode_queue(SOFTWARE), unit.result_type))
            except FailureError as error:
                if is_cancelled_exception(error) or workflow.cancellation_reason() is not None:
                    raise
                # A heartbeat tells how far the unit came, not the task.
                count, done = self._progress()
                failure = replace(Failure.of(error), percent=int(JOINING_FROM * done / count))
                if failure.code == WorkerBusy.code:
                    work = work.returned()
                    await backoff.pause()
                    if history_is_full():
                        return
                    continue
                own.add(failure)
                if failure.code in _DISCARDS:
                    raise
                enlarged = await with_more_memory(work, failure) if failure.retryable and ran_out(failure) else work
                if not failure.retryable or enlarged is None or own.exhausted(work.max_attempts):
                    text = f"{OF_CHUNK}{unit.number}: {failure.message}"
                    raise ApplicationError(text, [], 0, failure.percent, type=failure.code, non_retryable=True) from error
                work = enlarged
                history.add(failure, f"{OF_CHUNK}{unit.number}: ")
                history.number += 1
                own.number += 1
                await asyncio.sleep(own.pause())
            else:
                self._report()
                return
