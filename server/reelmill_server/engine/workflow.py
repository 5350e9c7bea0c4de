"""Workflows: deterministic code that the engine replays. All effects are in activities."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutError, TimeoutType, is_cancelled_exception
from temporalio.workflow import ActivityCancellationType

with workflow.unsafe.imports_passed_through():
    from reelmill_server.engine import CONTROL_QUEUE, ENCODE_QUEUE, INSPECT_QUEUE
    from reelmill_server.engine.work import AttemptResult, Inspected, Inspection, Work
    from reelmill_server.model.task import FailedAttempt, Outcome, TaskStatus

CONVERT, RECORD, INSPECT = "convert", "record_outcome", "inspect"
WORKER_LOST, WORKER_DRAINING = "WorkerLost", "WorkerDraining"

_ONCE = RetryPolicy(maximum_attempts=1)
# The end of a task must be recorded however long the database is away.
_UNTIL_DONE = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30))
# The loss of a worker is not the task's fault, until it happens again and again.
_MAX_WORKERS_LOST = 10
_BACKOFF_SECONDS = (1, 5, 15)
_GRACE_SECONDS = 60  # the worker ends an attempt by its own clock first
_INSPECT_QUEUED_SECONDS = 15
_INSPECT_SECONDS = 60


@workflow.defn(name="MediaConvert")
class MediaConvertWorkflow:
    """One task: attempts until one succeeds, fails for good or is canceled; then its outcome is recorded."""

    @workflow.run
    async def run(self, work: Work) -> str:
        """Returns the final status's word."""
        outcome = await self._attempts(work)
        await workflow.execute_activity(
            RECORD,
            args=[work.request.task_id, outcome],
            task_queue=CONTROL_QUEUE,
            start_to_close_timeout=timedelta(seconds=30),
            retry_policy=_UNTIL_DONE,
            # A second cancel must not lose the record of the first.
            cancellation_type=ActivityCancellationType.ABANDON,
        )
        return outcome.status

    async def _attempts(self, work: Work) -> Outcome:
        failed: list[FailedAttempt] = []
        number = 0
        while True:
            number += 1
            try:
                result = await self._attempt(replace(work, attempt=number))
            except (ActivityError, asyncio.CancelledError) as error:
                if is_cancelled_exception(error):
                    return Outcome(TaskStatus.CANCELED, "Canceled", "canceled", attempt=number, failed_attempts=tuple(failed))
                code, message, retryable = _describe(error)
                failed.append(FailedAttempt(number, code, message))
                if not retryable or _exhausted(failed, work.max_attempts):
                    return Outcome(TaskStatus.FAILED, code, message, attempt=number, failed_attempts=tuple(failed[:-1]))
            else:
                return Outcome(
                    TaskStatus.SUCCEEDED,
                    artifacts=result.artifacts,
                    warnings=result.warnings,
                    attempt=number,
                    failed_attempts=tuple(failed),
                )
            try:
                await asyncio.sleep(_pause(failed))
            except asyncio.CancelledError:
                return Outcome(TaskStatus.CANCELED, "Canceled", "canceled", attempt=number, failed_attempts=tuple(failed))

    async def _attempt(self, work: Work) -> AttemptResult:
        result: AttemptResult = await workflow.execute_activity(
            CONVERT,
            work,
            task_queue=ENCODE_QUEUE,
            result_type=AttemptResult,
            start_to_close_timeout=timedelta(seconds=work.timeout_seconds + _GRACE_SECONDS),
            heartbeat_timeout=timedelta(seconds=work.heartbeat_seconds),
            retry_policy=_ONCE,
            # The child must be gone before the task is called canceled.
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            priority=Priority(priority_key=work.priority),
        )
        return result


def _describe(error: BaseException) -> tuple[str, str, bool]:
    """Code, message, and whether another attempt may succeed."""
    cause = error.__cause__
    if isinstance(cause, ApplicationError):
        return cause.type or "InternalError", cause.message, not cause.non_retryable
    if isinstance(cause, TimeoutError):
        if cause.type is TimeoutType.HEARTBEAT:
            return WORKER_LOST, "the worker was lost", True
        return "Timeout", "the attempt took longer than a task may", False
    return "InternalError", str(cause or error), True


def _exhausted(failed: list[FailedAttempt], max_attempts: int) -> bool:
    """Whether there were too many attempts. One that a draining worker handed back counts for nothing."""
    lost = sum(attempt.code == WORKER_LOST for attempt in failed)
    own = sum(attempt.code not in (WORKER_LOST, WORKER_DRAINING) for attempt in failed)
    return own >= max_attempts or lost >= _MAX_WORKERS_LOST


def _pause(failed: list[FailedAttempt]) -> float:
    """Seconds before the next attempt: at once when the worker was the cause, longer each time when it was not."""
    if failed[-1].code in (WORKER_LOST, WORKER_DRAINING):
        return 0.1
    return _BACKOFF_SECONDS[min(len(failed), len(_BACKOFF_SECONDS)) - 1]


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
