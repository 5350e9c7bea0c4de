"""Workflows: deterministic code that the engine replays. All effects are in activities."""

import asyncio
import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    FailureError,
    TimeoutError,
    TimeoutType,
    is_cancelled_exception,
)
from temporalio.workflow import ActivityCancellationType

with workflow.unsafe.imports_passed_through():
    from reelmill_server.engine import CONTROL_QUEUE, FAST_QUEUE, INSPECT_QUEUE, encode_queue
    from reelmill_server.engine.work import AttemptResult, Inspected, Inspection, Work
    from reelmill_server.errors import HardwareUnavailable, WorkerBusy
    from reelmill_server.model.capability import SOFTWARE
    from reelmill_server.model.needs import Needs
    from reelmill_server.model.task import FailedAttempt, Outcome, TaskStatus

CONVERT, RECORD, INSPECT, PRESENT = "convert", "record_outcome", "inspect", "present"
WORKER_LOST, WORKER_DRAINING = "WorkerLost", "WorkerDraining"
_FAIRNESS_KEY_BYTES = 64  # of the engine

_ONCE = RetryPolicy(maximum_attempts=1)
# The end of a task must be recorded however long the database is away.
_UNTIL_DONE = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30))
# The loss of a worker is not the task's fault, until it happens again and again.
_MAX_WORKERS_LOST = 10
_BACKOFF_SECONDS = (1, 5, 15)
_GRACE_SECONDS = 300  # the worker ends an attempt by its own clock first, which begins when it has what the attempt needs
_PRESENT_SECONDS = 10
_INSPECT_QUEUED_SECONDS = 15
_INSPECT_SECONDS = 60


@workflow.defn(name="MediaConvert")
class MediaConvertWorkflow:
    """One task: attempts until one succeeds, fails for good or is canceled; then its outcome is recorded."""

    @workflow.run
    async def run(self, work: Work) -> str:
        """Returns the final status's word."""
        outcome = await self._attempts(work)
        recording = asyncio.ensure_future(self._record(work.request.task_id, outcome))
        while not recording.done():
            try:
                await asyncio.shield(recording)
            except asyncio.CancelledError:
                continue  # it ended already: a cancel that comes now must not lose how
        recording.result()
        return outcome.status

    async def _record(self, task_id: str, outcome: Outcome) -> None:
        await workflow.execute_activity(
            RECORD,
            args=[task_id, outcome],
            task_queue=CONTROL_QUEUE,
            start_to_close_timeout=timedelta(seconds=30),
            retry_policy=_UNTIL_DONE,
        )

    async def _attempts(self, work: Work) -> Outcome:
        history = _History()
        try:
            while True:
                try:
                    result = await self._attempt(replace(work, attempt=history.number))
                except FailureError as error:
                    if is_cancelled_exception(error) or workflow.cancellation_reason() is not None:
                        return history.canceled()
                    failure = _Failure.of(error)
                    if failure.code == WorkerBusy.code:  # it goes in front of those that came after it
                        work = replace(work, priority=max(1, work.priority - 1))
                        continue
                    history.add(failure)
                    if not failure.retryable or history.exhausted(work.max_attempts):
                        return history.failed()
                    await asyncio.sleep(history.pause())
                    history.number += 1
                else:
                    if result.needs is None:
                        return history.succeeded(result)
                    work = replace(work, needs=result.needs)
                    history.looked(result)
        except asyncio.CancelledError:
            return history.canceled()

    async def _attempt(self, work: Work) -> AttemptResult:
        """One attempt: the first look, or in one of the lanes that the task needs, the preferred one for a while first.

        Raises HardwareUnavailable, as an ApplicationError, when an accelerator is required and there is none.
        """
        if work.needs is None:
            return await self._run(work, FAST_QUEUE)
        waited = False
        while True:
            present = await self._present(work.needs)
            lanes = [lane for lane in work.needs.lanes if lane in present]
            if not lanes and waited:
                raise _no_accelerator(work)
            for lane in lanes or work.needs.lanes:
                seconds = 0.0 if lane == SOFTWARE else work.accelerator_seconds
                try:
                    return await self._run(replace(work, lane=lane), encode_queue(lane), seconds)
                except ActivityError as error:
                    if not _nobody_came(error):
                        raise
                waited = True

    async def _present(self, needs: Needs) -> tuple[str, ...]:
        """The lanes of the task that some worker serves; software counts as served, as somebody will come for it."""
        accelerators = tuple(lane for lane in needs.lanes if lane != SOFTWARE)
        if not accelerators:
            return needs.lanes
        found: list[str] = await workflow.execute_activity(
            PRESENT,
            args=[accelerators],
            task_queue=CONTROL_QUEUE,
            result_type=list[str],
            start_to_close_timeout=timedelta(seconds=_PRESENT_SECONDS),
            retry_policy=_UNTIL_DONE,
        )
        return (*found, SOFTWARE)

    async def _run(self, work: Work, queue: str, wait_seconds: float = 0.0) -> AttemptResult:
        """Runs an attempt on a worker that polls `queue`; one that comes within `wait_seconds`, if it is not 0."""
        project = work.request.project_name
        running: workflow.ActivityHandle[AttemptResult] = workflow.start_activity(
            CONVERT,
            work,
            task_queue=queue,
            result_type=AttemptResult,
            schedule_to_start_timeout=timedelta(seconds=wait_seconds) if wait_seconds else None,
            start_to_close_timeout=timedelta(seconds=work.timeout_seconds + _GRACE_SECONDS),
            heartbeat_timeout=timedelta(seconds=work.heartbeat_seconds),
            retry_policy=_ONCE,
            # The child must be gone before the task is called canceled.
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            priority=Priority(work.priority, _fairness_key(project), work.weight),
        )
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            for _ in range(3):  # an end that came in the same turn as the cancel came first
                await asyncio.sleep(0)
            running.cancel()
            return await running


def _nobody_came(error: ActivityError) -> bool:
    return isinstance(error.cause, TimeoutError) and error.cause.type is TimeoutType.SCHEDULE_TO_START


def _no_accelerator(work: Work) -> ApplicationError:
    assert work.needs
    lanes = ", ".join(work.needs.lanes) or "an accelerator"
    reason = f"; {work.needs.objection}" if work.needs.objection else ""
    words = f"no worker with {lanes} came within {work.accelerator_seconds:g} s{reason}"
    return ApplicationError(words, type=HardwareUnavailable.code, non_retryable=True)


def _fairness_key(project: str) -> str:
    """The project, as the engine keeps projects apart: their names may be longer than its keys."""
    if len(project.encode()) <= _FAIRNESS_KEY_BYTES:
        return project
    return hashlib.sha256(project.encode()).hexdigest()[:_FAIRNESS_KEY_BYTES]


@dataclass(frozen=True)
class _Failure:
    """How one attempt failed; `started_us` is 0 when nobody knows."""

    code: str
    message: str
    retryable: bool
    started_us: int = 0

    @classmethod
    def of(cls, error: FailureError) -> "_Failure":
        cause = error.cause if isinstance(error, ActivityError) else error
        if isinstance(cause, ApplicationError):
            started_us = int(cause.details[1]) if len(cause.details) > 1 else 0
            return cls(cause.type or "InternalError", cause.message, not cause.non_retryable, started_us)
        if isinstance(cause, TimeoutError):
            if cause.type is TimeoutType.HEARTBEAT:
                return cls(WORKER_LOST, "the worker was lost", True)
            return cls("Timeout", "the attempt took longer than a task may", False)
        return cls("InternalError", str(cause or error), True)


class _History:
    """The attempts of a task so far."""

    def __init__(self) -> None:
        self.number = 1
        self._failed: list[FailedAttempt] = []
        self._first_us = 0

    def looked(self, result: AttemptResult) -> None:
        """The present attempt was a look at a task that is not small."""
        self._first_us = self._first_us or result.started_us

    def add(self, failure: _Failure) -> None:
        """The present attempt failed."""
        self._failed.append(FailedAttempt(self.number, failure.code, failure.message))
        self._first_us = self._first_us or failure.started_us

    def exhausted(self, max_attempts: int) -> bool:
        """Whether there were too many. One that a draining worker handed back counts for nothing."""
        lost = sum(attempt.code == WORKER_LOST for attempt in self._failed)
        own = sum(attempt.code not in (WORKER_LOST, WORKER_DRAINING) for attempt in self._failed)
        return own >= max_attempts or lost >= _MAX_WORKERS_LOST

    def pause(self) -> float:
        """Seconds before the next: at once when the worker was the cause, longer each time when it was not."""
        if self._failed[-1].code in (WORKER_LOST, WORKER_DRAINING):
            return 0.1
        return _BACKOFF_SECONDS[min(len(self._failed), len(_BACKOFF_SECONDS)) - 1]

    def succeeded(self, result: AttemptResult) -> Outcome:
        """The outcome of a success."""
        self._first_us = self._first_us or result.started_us
        return self._outcome(TaskStatus.SUCCEEDED, artifacts=result.artifacts, warnings=result.warnings)

    def failed(self) -> Outcome:
        """The outcome when the last failure stands; it is not repeated among the failed attempts."""
        last = self._failed.pop()
        return self._outcome(TaskStatus.FAILED, last.code, last.message)

    def canceled(self) -> Outcome:
        """The outcome of a cancel."""
        return self._outcome(TaskStatus.CANCELED, "Canceled", "canceled")

    def _outcome(self, status: TaskStatus, code: str = "", message: str = "", **made: Any) -> Outcome:
        first = datetime.fromtimestamp(self._first_us / 1e6, UTC) if self._first_us else None
        return Outcome(
            status,
            code,
            message,
            attempt=self.number,
            failed_attempts=tuple(self._failed),
            first_attempt_time=first,
            **made,
        )


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
            retry_policy=_ONCE,
        )
        return seen
