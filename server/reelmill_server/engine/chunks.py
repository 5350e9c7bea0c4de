"""Encode a task in chunks on several workers, then join them in one attempt.

Deterministic code that the engine replays. The engine keeps the result of each chunk: whatever dies, only the chunks that
were being encoded are encoded again. (Serialized names call a chunk a unit.)
"""

import asyncio
from dataclasses import replace

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

from reelmill_server.engine import encode_queue
from reelmill_server.engine.bounds import Backoff, HistoryFull, history_is_full
from reelmill_server.engine.history import OF_CHUNK, Failure, History
from reelmill_server.engine.more_memory import ran_out, with_more_memory
from reelmill_server.engine.names import CONVERT, ENCODE_UNIT, UNITS
from reelmill_server.engine.scheduling import available_workers, run_activity
from reelmill_server.engine.work import AttemptResult, Continuation, UnitResult, UnitWork, Work
from reelmill_server.errors import ChunksDiffer, SourceChanged, WorkerBusy
from reelmill_server.model.capability import SOFTWARE
from reelmill_server.model.worker_state import JOINING_FROM

_DISCARDS = (ChunksDiffer.code, SourceChanged.code)
_LEAST_WORKERS = 2


class Chunks:
    """The chunks of one task."""

    def __init__(self, earlier: Continuation) -> None:
        self._results = dict(earlier.made)
        self._given_up = earlier.units_given_up
        self.used = earlier.units_used
        """Whether there may be something of the task in shared scratch."""

    def continued(self, continuation: Continuation) -> Continuation:
        """Return `continuation` with what the next run of the workflow must know of the chunks."""
        results = tuple(self._results.items())
        return replace(continuation, made=results, units_given_up=self._given_up, units_used=self.used)

    async def worthwhile(self, work: Work) -> bool:
        """Return whether to encode the task in chunks: it can be cut, chunks were not given up, and workers can share it."""
        if self._given_up or work.needs is None or work.needs.chunked is None:
            return False
        workers = await available_workers(work)
        if any(count for lane, count in workers.items() if lane != SOFTWARE):
            return False  # an accelerator is faster than many cores
        return work.request.parallelism > 1 or workers.get(SOFTWARE, 0) >= _LEAST_WORKERS

    async def attempt(self, work: Work, history: History) -> AttemptResult:
        """Encode all chunks that are missing, and join them. Raises HistoryFull when chunks are left for the next run."""
        needs = work.needs
        assert needs and needs.chunked
        work = replace(work, lane=SOFTWARE)
        numbers = [unit.number for unit in needs.chunked.split.units]
        await self._encode_missing([number for number in numbers if number not in self._results], work, history)
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

    async def _encode_missing(self, numbers: list[int], work: Work, history: History) -> None:
        """Encode chunks concurrently; the first that fails for good ends the others."""
        self.used = True
        self._report(len(numbers) + len(self._results))
        encoding = [asyncio.create_task(self._encode(number, work, history)) for number in numbers]
        try:
            await asyncio.gather(*encoding)
        except BaseException:
            for task in encoding:
                task.cancel()
            await asyncio.gather(*encoding, return_exceptions=True)
            raise

    def _report(self, count: int) -> None:
        workflow.upsert_memo({UNITS: [count, len(self._results)]})

    async def _encode(self, number: int, work: Work, history: History) -> None:
        """Encode one chunk, with retries; leave it for the next run when the history is full."""
        assert work.needs and work.needs.chunked
        count = len(work.needs.chunked.split.units)
        own, backoff = History(Continuation()), Backoff()
        work = replace(work, needs=work.needs.for_unit(number))
        while True:
            unit = UnitWork(replace(work, attempt=own.number), number)
            try:
                self._results[number] = await run_activity(ENCODE_UNIT, unit, work, encode_queue(SOFTWARE), UnitResult)
            except FailureError as error:
                if is_cancelled_exception(error) or workflow.cancellation_reason() is not None:
                    raise
                # A heartbeat tells how far the unit came, not the task.
                failure = replace(Failure.of(error), percent=JOINING_FROM * len(self._results) // count)
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
                    text = f"{OF_CHUNK}{number}: {failure.message}"
                    raise ApplicationError(text, [], 0, failure.percent, type=failure.code, non_retryable=True) from error
                work = enlarged
                history.add(failure, f"{OF_CHUNK}{number}: ")
                history.number += 1
                own.number += 1
                await asyncio.sleep(own.pause())
            else:
                self._report(count)
                return
