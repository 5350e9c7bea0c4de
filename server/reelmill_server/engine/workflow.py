"""Workflows: deterministic code that the engine replays. All effects are in activities."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from reelmill_server.engine import CONTROL_QUEUE, INSPECT_QUEUE
    from reelmill_server.engine.attempting import ONCE, UNTIL_DONE, attempt
    from reelmill_server.engine.beats import SILENCE_SECONDS
    from reelmill_server.engine.history import Failure, History
    from reelmill_server.engine.names import ERASE, INSPECT, PLACING, RECORD, WITHDRAW
    from reelmill_server.engine.units import Units
    from reelmill_server.engine.work import AttemptResult, Inspected, Inspection, Placing, Withdrawal, Work
    from reelmill_server.errors import SourceChanged, WorkerBusy
    from reelmill_server.model.task import Outcome

_RECORD_SECONDS = 30
_INSPECT_QUEUED_SECONDS = 15
_INSPECT_SECONDS = 60
_WITHDRAWN_FIRST_SECONDS = 30  # so long an end waits until its outputs are gone; a storage that is away must not keep it back
_TIDY_SECONDS = 600
_TIDYING_HOURS = 24  # then a rule of the storage, which removes what is old, has to do


@workflow.defn(name="MediaConvert")
class MediaConvertWorkflow:
    """One task: attempts until one succeeds, fails for good or is canceled; then its outcome is recorded, and what an attempt
    that was lost has left is taken away."""

    def __init__(self) -> None:
        self._placings: list[Placing] = []

    @workflow.signal(name=PLACING)
    def placing(self, placing: Placing) -> None:
        """An attempt is about to place files."""
        self._placings.append(placing)

    @workflow.run
    async def run(self, work: Work) -> str:
        """Returns the final status's word."""
        units, history = Units(), History()
        outcome = await _attempts(work, units, history)
        left = [placing.packed for placing in self._placings if placing.activity_id != history.winner]
        withdrawing = [asyncio.ensure_future(_withdraw(work, packed)) for packed in left]
        if withdrawing:
            await _surely(workflow.wait(withdrawing, timeout=_WITHDRAWN_FIRST_SECONDS))
        await _surely(_record(work.request.task_id, outcome))
        for withdrawal in withdrawing:
            await _surely(withdrawal)
        if units.used:
            await _surely(_erase(work.request.task_id))
        return outcome.status


async def _surely(doing: Any) -> None:
    """Does it whatever comes: the task has ended already, a cancel that comes now must lose nothing."""
    running = asyncio.ensure_future(doing)
    while not running.done():
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            continue
    running.result()


async def _record(task_id: str, outcome: Outcome) -> None:
    await workflow.execute_activity(
        RECORD,
        args=[task_id, outcome],
        task_queue=CONTROL_QUEUE,
        start_to_close_timeout=timedelta(seconds=_RECORD_SECONDS),
        heartbeat_timeout=timedelta(seconds=SILENCE_SECONDS),
        retry_policy=UNTIL_DONE,
    )


async def _erase(task_id: str) -> None:
    """Removes what units left in shared scratch."""
    await _tidy(ERASE, task_id, task_id)


async def _withdraw(work: Work, packed: str) -> None:
    """Takes away what an attempt placed that did not succeed: one that fails does so itself, one that was killed cannot."""
    await _tidy(WITHDRAW, Withdrawal(work.request.credentials, packed), work.request.task_id)


async def _tidy(activity: str, argument: Any, task_id: str) -> None:
    """Removes what is of no use; what cannot be removed for long is no reason to fail."""
    try:
        await workflow.execute_activity(
            activity,
            argument,
            task_queue=INSPECT_QUEUE,
            start_to_close_timeout=timedelta(seconds=_TIDY_SECONDS),
            heartbeat_timeout=timedelta(seconds=SILENCE_SECONDS),
            schedule_to_close_timeout=timedelta(hours=_TIDYING_HOURS),
            retry_policy=RetryPolicy(initial_interval=timedelta(seconds=5), maximum_interval=timedelta(minutes=10)),
        )
    except ActivityError:
        workflow.logger.warning("what a task left could not be removed", extra={"task_id": task_id, "activity": activity})


async def _attempts(work: Work, units: Units, history: History) -> Outcome:
    try:
        while True:
            try:
                result = await _attempt(replace(work, attempt=history.number), units, history)
            except FailureError as error:
                if is_cancelled_exception(error) or workflow.cancellation_reason() is not None:
                    return history.canceled()
                failure = Failure.of(error)
                if failure.code == WorkerBusy.code:  # it goes in front of those that came after it
                    work = replace(work, priority=max(1, work.priority - 1))
                    continue
                history.add(failure)
                if not failure.retryable or history.exhausted(work.max_attempts):
                    return history.failed()
                units.failed(failure)
                if failure.code == SourceChanged.code:
                    work = replace(work, needs=None)  # it may be another film
                await asyncio.sleep(history.pause())
                history.number += 1
            else:
                if result.needs is None:
                    return history.succeeded(result)
                work = replace(work, needs=result.needs)
                units.used = units.used or result.needs.keeps
                history.looked(result)
    except asyncio.CancelledError:
        return history.canceled()


async def _attempt(work: Work, units: Units, history: History) -> AttemptResult:
    if await units.pay(work):
        return await units.attempt(work, history)
    if work.needs is not None and work.needs.chunked is not None:
        work = replace(work, needs=replace(work.needs, chunked=None))
    return await attempt(work)


@workflow.defn(name="Inspect")
class InspectWorkflow:
    """A short look at media on some worker."""

    @workflow.run
    async def run(self, inspection: Inspection) -> Inspected:
        """Returns what was seen; fails as the activity did, or by time when no worker is there."""
        seen: Inspected = await workflow.execute_activity(
            INSPECT,
            inspection,
            task_queue=INSPECT_QUEUE,
            result_type=Inspected,
            schedule_to_start_timeout=timedelta(seconds=_INSPECT_QUEUED_SECONDS),
            start_to_close_timeout=timedelta(seconds=_INSPECT_SECONDS),
            retry_policy=ONCE,
        )
        return seen
