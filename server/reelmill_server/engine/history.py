"""How the attempts of a task went, and whether there is another one."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from temporalio.exceptions import ActivityError, ApplicationError, FailureError, TimeoutError, TimeoutType

from reelmill_server.engine.work import AttemptResult, Continuation
from reelmill_server.model.task import FailedAttempt, Outcome, TaskStatus
from reelmill_server.model.time import MICROSECONDS

WORKER_LOST, WORKER_DRAINING = "WorkerLost", "WorkerDraining"

# The loss of a worker is not the task's fault, until it happens again and again.
_MAX_WORKERS_LOST = 10
_BACKOFF_SECONDS = (1, 5, 15)


@dataclass(frozen=True)
class Failure:
    """How one attempt failed; `started_us` is 0 when nobody knows."""

    code: str
    message: str
    retryable: bool
    started_us: int = 0

    @classmethod
    def of(cls, error: FailureError) -> "Failure":
        """How an attempt failed, from what the engine raises for it."""
        cause = error.cause if isinstance(error, ActivityError) else error
        if isinstance(cause, ApplicationError):
            started_us = int(cause.details[1]) if len(cause.details) > 1 else 0
            return cls(cause.type or "InternalError", cause.message, not cause.non_retryable, started_us)
        if isinstance(cause, TimeoutError):
            if cause.type is TimeoutType.HEARTBEAT:
                return cls(WORKER_LOST, "the worker was lost", True)
            return cls("Timeout", "the attempt took longer than a task may", False)
        return cls("InternalError", str(cause or error), True)


class History:
    """The attempts of a task so far, those of earlier runs of its workflow included."""

    def __init__(self, earlier: Continuation) -> None:
        self.number = earlier.number
        self.winner = ""
        """The activity of the attempt that succeeded."""
        self._failed = list(earlier.failed)
        self._first_us = earlier.first_us

    def continued(self, continuation: Continuation) -> Continuation:
        """Return what the next run of the workflow must know of the attempts, added to `continuation`."""
        return replace(continuation, number=self.number, first_us=self._first_us, failed=tuple(self._failed))

    def looked(self, result: AttemptResult) -> None:
        """The present attempt was a look at a task that is not small."""
        self._first_us = self._first_us or result.started_us

    def add(self, failure: Failure, where: str = "") -> None:
        """The present attempt failed, `where` in the task's work."""
        self._failed.append(FailedAttempt(self.number, failure.code, f"{where}{failure.message}"))
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
        self._first_us, self.winner = self._first_us or result.started_us, result.activity_id
        return self._outcome(TaskStatus.SUCCEEDED, artifacts=result.artifacts, warnings=result.warnings)

    def failed(self) -> Outcome:
        """The outcome when the last failure stands; it is not repeated among the failed attempts."""
        last = self._failed.pop()
        return self._outcome(TaskStatus.FAILED, last.code, last.message)

    def canceled(self) -> Outcome:
        """The outcome of a cancel."""
        return self._outcome(TaskStatus.CANCELED, "Canceled", "canceled")

    def _outcome(self, status: TaskStatus, code: str = "", message: str = "", **made: Any) -> Outcome:
        first = datetime.fromtimestamp(self._first_us / MICROSECONDS, UTC) if self._first_us else None
        return Outcome(
            status,
            code,
            message,
            attempt=self.number,
            failed_attempts=tuple(self._failed),
            first_attempt_time=first,
            **made,
        )
