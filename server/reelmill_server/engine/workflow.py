"""Workflows: deterministic code that the engine replays. All effects are in activities."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from reelmill_server.engine import CONTROL_QUEUE, INSPECT_QUEUE
    from reelmill_server.engine.bounds import Backoff, HistoryFull, check_history
    from reelmill_server.engine.chunks import Chunks
    from reelmill_server.engine.heartbeat import SILENCE_SECONDS
    from reelmill_server.engine.history import Failure, History, announced_by
    from reelmill_server.engine.more_memory import has_room, ran_out, with_more_memory
    from reelmill_server.engine.names import ERASE, INSPECT, PLACING, PROGRESS, RECORD, WITHDRAW
    from reelmill_server.engine.notification import ProgressNotes
    from reelmill_server.engine.scheduling import ONCE, UNTIL_DONE, attempt, fairness_key
    from reelmill_server.engine.work import (
        AttemptResult,
        Continuation,
        Inspected,
        Inspection,
        Leftovers,
        Placing,
        Withdrawal,
        Work,
    )
    from reelmill_server.errors import SourceChanged, WorkerBusy
    from reelmill_server.model.needs import Needs
    from reelmill_server.model.task import Outcome, TaskStatus

_HEARTBEATS_ANNOUNCE = "heartbeats-announce"
_AVOIDS = "avoids-drivers"  # workflows of before tried the same encoder again
_RECORD_SECONDS = 30
_RECORD_AT_ONCE_SECONDS = 5  # a step of a workflow may take ten
_INSPECT_QUEUED_SECONDS = 15
_INSPECT_SECONDS = 60
_WITHDRAWAL_WAIT_SECONDS = 30  # an outcome waits so long for removals; a storage that is away must not delay it further
_CLEAN_UP_SECONDS = 600
_CLEAN_UP_HOURS = 24  # after that, a lifecycle rule of the storage has to remove it


@workflow.defn(name="MediaConvert")
class MediaConvertWorkflow:
    """One task: attempts until one succeeds, fails for good or is canceled; then its outcome is recorded, and what a lost
    attempt has published is rolled back.
    """

    @workflow.init
    def __init__(self, work: Work) -> None:
        earlier = work.earlier or Continuation()
        self._work = replace(work, earlier=None)
        self._chunks, self._history = Chunks(earlier), History(earlier)
        self._placings = list(earlier.placings)
        self._progress = ProgressNotes()

    @workflow.signal(name=PLACING)
    def placing(self, placing: Placing) -> None:
        """Remember files that an attempt is about to publish."""
        self._placings.append(placing)

    @workflow.signal(name=PROGRESS, unfinished_policy=workflow.HandlerUnfinishedPolicy.ABANDON)
    async def progress(self, percent: int) -> None:
        """Record the progress of the task for notifications; after its end that is dropped."""
        await self._progress.reached(percent)

    @workflow.run
    async def run(self, _: Work) -> str:
        """Run the task; return the final status."""
        try:
            outcome = await self._outcome()
        except HistoryFull:
            workflow.continue_as_new(replace(self._work, earlier=self._continuation()))
        task_id, winner = self._work.request.task_id, self._history.winner
        left = [placing.packed for placing in self._placings if placing.activity_id != winner]
        withdrawing = [asyncio.ensure_future(_withdraw(self._work, packed)) for packed in left]
        if withdrawing:
            await _uninterrupted(workflow.wait(withdrawing, timeout=_WITHDRAWAL_WAIT_SECONDS))
        await _uninterrupted(_record(self._work, outcome))
        for withdrawal in withdrawing:
            await _uninterrupted(withdrawal)
        if self._chunks.used:
            if outcome.status is not TaskStatus.SUCCEEDED and self._work.keep_seconds:
                await _uninterrupted(asyncio.sleep(self._work.keep_seconds))
            await _uninterrupted(_erase(task_id))
        return outcome.status

    def _continuation(self) -> Continuation:
        """Return what the next run must know."""
        return self._history.continued(self._chunks.continued(Continuation(placings=tuple(self._placings))))

    async def _outcome(self) -> Outcome:
        """Run attempts until one is the last, or the task is canceled, also between two of them. Raises HistoryFull."""
        try:
            return await self._attempts()
        except (asyncio.CancelledError, FailureError) as error:
            if not is_cancelled_exception(error):
                raise
            return self._history.canceled()

    async def _attempts(self) -> Outcome:
        history, backoff = self._history, Backoff()
        while True:
            check_history()
            try:
                result = await self._attempt()
            except FailureError as error:
                self._remember(error)
                if is_cancelled_exception(error) or workflow.cancellation_reason() is not None:
                    return history.canceled()
                failure = Failure.of(error)
                if not await self._goes_on(failure, backoff):
                    return history.failed()
                if failure.code == WorkerBusy.code:
                    continue
            else:
                if result.needs is None:
                    return history.succeeded(result)
                self._take_needs(result, result.needs)
                if workflow.cancellation_reason() is not None:  # it came while the look ended
                    return history.canceled()
            backoff = Backoff()

    def _remember(self, error: FailureError) -> None:
        """Remember the files that a lost attempt was about to publish."""
        packed = announced_by(error)
        if packed and isinstance(error, ActivityError) and workflow.patched(_HEARTBEATS_ANNOUNCE):
            self._placings.append(Placing(error.activity_id, packed))

    async def _goes_on(self, failure: Failure, backoff: Backoff) -> bool:
        """Prepare the next attempt after a failure, and pause; return whether there is one."""
        if failure.code == WorkerBusy.code:
            self._work = self._work.returned()  # go ahead of later tasks
            await backoff.pause()
            return await has_room(self._work)
        self._history.add(failure)
        if not failure.retryable or self._history.exhausted(self._work.max_attempts):
            return False
        if ran_out(failure):
            enlarged = await with_more_memory(self._work, failure)
            if enlarged is None:
                return False
            self._work = enlarged
        self._chunks.failed(failure)
        if failure.encoders and workflow.patched(_AVOIDS):
            self._work = self._work.avoiding(failure.encoders)
        if failure.code == SourceChanged.code:
            self._work = replace(self._work, needs=None)  # the source may be another file
        await asyncio.sleep(self._history.pause())
        self._history.number += 1
        return True

    def _take_needs(self, result: AttemptResult, needs: Needs) -> None:
        """Take over the task's needs, which the attempt found."""
        self._work = replace(self._work, needs=needs)
        if self._work.avoided:
            self._work = self._work.avoiding(())
        self._chunks.used = self._chunks.used or needs.keeps
        self._history.deferred(result)

    async def _attempt(self) -> AttemptResult:
        work = replace(self._work, attempt=self._history.number)
        if await self._chunks.worthwhile(work):
            return await self._chunks.attempt(work, self._history)
        if work.needs is not None:
            work = replace(work, needs=work.needs.whole())
        return await attempt(work)


async def _uninterrupted(doing: Any) -> None:
    """Await `doing` whatever happens: the task has ended already, and a cancel that comes now must lose nothing."""
    running = asyncio.ensure_future(doing)
    while not running.done():
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            continue
    running.result()


async def _record(work: Work, outcome: Outcome) -> None:
    """Record the outcome: in this step of the workflow, or, if the records are away, however long that takes."""
    arguments = [work.request.task_id, outcome]
    if work.records_at_once:
        with suppress(FailureError):  # of a local activity, that which it raised
            await workflow.execute_local_activity(
                RECORD,
                args=arguments,
                schedule_to_close_timeout=timedelta(seconds=_RECORD_AT_ONCE_SECONDS),
                retry_policy=ONCE,
            )
            return
    await workflow.execute_activity(
        RECORD,
        args=arguments,
        task_queue=CONTROL_QUEUE,
        start_to_close_timeout=timedelta(seconds=_RECORD_SECONDS),
        heartbeat_timeout=timedelta(seconds=SILENCE_SECONDS),
        retry_policy=UNTIL_DONE,
    )


async def _erase(task_id: str) -> None:
    """Remove what chunks left in shared scratch."""
    await _clean_up(ERASE, task_id, task_id)


async def _withdraw(work: Work, packed: str) -> None:
    """Roll back what a killed attempt published: one that fails does so itself, one that was killed cannot."""
    await _clean_up(WITHDRAW, Withdrawal(work.request.credentials, packed), work.request.task_id)


async def _clean_up(activity: str, argument: Any, task_id: str) -> None:
    """Run a removal; one that fails for long is no reason to fail the task."""
    try:
        await workflow.execute_activity(
            activity,
            argument,
            task_queue=INSPECT_QUEUE,
            start_to_close_timeout=timedelta(seconds=_CLEAN_UP_SECONDS),
            heartbeat_timeout=timedelta(seconds=SILENCE_SECONDS),
            schedule_to_close_timeout=timedelta(hours=_CLEAN_UP_HOURS),
            retry_policy=RetryPolicy(initial_interval=timedelta(seconds=5), maximum_interval=timedelta(minutes=10)),
        )
    except ActivityError:
        workflow.logger.warning("what a task left could not be removed", extra={"task_id": task_id, "activity": activity})


@workflow.defn(name="CleanUp")
class CleanUpWorkflow:
    """Clean up after a task whose own workflow was terminated."""

    @workflow.run
    async def run(self, left: Leftovers) -> None:
        """Roll back what its attempts announced, and remove what its chunks left."""
        task_id = left.task_id
        for packed in left.placings:
            await _clean_up(WITHDRAW, Withdrawal(left.credentials, packed), task_id)
        await _erase(task_id)


@workflow.defn(name="Inspect")
class InspectWorkflow:
    """Inspect media on some worker."""

    @workflow.run
    async def run(self, inspection: Inspection) -> Inspected:
        """Return the result; fail as the activity did, or on timeout when no worker is there."""
        inspected: Inspected = await workflow.execute_activity(
            INSPECT,
            inspection,
            task_queue=INSPECT_QUEUE,
            result_type=Inspected,
            schedule_to_start_timeout=timedelta(seconds=_INSPECT_QUEUED_SECONDS),
            start_to_close_timeout=timedelta(seconds=_INSPECT_SECONDS),
            retry_policy=ONCE,
            priority=Priority(fairness_key=fairness_key(inspection.request.project_name)) if inspection.request else Priority(),
        )
        return inspected
