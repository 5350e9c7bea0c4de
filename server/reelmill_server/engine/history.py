"""Results of a task's attempts, and whether there is another one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, TimeoutError, TimeoutType

from reelmill_server.engine.work import AttemptResult, Continuation
from reelmill_server.errors import InternalError
from reelmill_server.model.task import FailedAttempt, Outcome, TaskStatus
from reelmill_server.model.time import MICROSECONDS

WORKER_LOST, WORKER_DRAINING = "WorkerLost", "WorkerDraining"
UNKNOWN_ACTIVITY = "NotFoundError"
"""Of the engine's library, on a worker of an earlier version, which has no samples: the next attempt asks for none."""
_OF_WORKERS = (WORKER_LOST, WORKER_DRAINING, UNKNOWN_ACTIVITY)

# The loss of a worker is not the task's fault, until it happens again and again. Nor is a stop, until it is clear that the task
# takes longer than workers are given.
_MAX_WORKERS_LOST = 10
_MAX_WORKERS_STOPPED = 10
_LIMITED_STOPS = "limited-stops"
OF_CHUNK = "unit "
"""How the message of a chunk's failure begins."""
_BACKOFF_SECONDS = (1, 5, 15)
_NO_DETAILS: tuple[Any, ...] = ((), 0, 0, 0, ())  # workers of earlier versions send fewer


@dataclass(frozen=True)
class Failure:
    """Failure of one attempt; `started_us` is 0 when unknown, `percent` how far it had come, 0..100; `memory_bytes`: the most
    memory that it took, if it ran out of it; `encoders`: those whose driver failed.
    """

    code: str
    message: str
    retryable: bool
    started_us: int = 0
    percent: int = 0
    memory_bytes: int = 0
    encoders: tuple[str, ...] = ()

    @classmethod
    def of(cls, error: FailureError) -> "Failure":
        """Return how an attempt failed, from what the engine raises for it."""
        cause = error.cause if isinstance(error, ActivityError) else error
        if isinstance(cause, ApplicationError):
            details = (*cause.details, *_NO_DETAILS[len(cause.details) :])
            unknown = cause.type == UNKNOWN_ACTIVITY
            return cls(
                cause.type or InternalError.code,
                "a worker of an earlier version cannot encode samples" if unknown else cause.message,
                not cause.non_retryable,
                started_us=int(details[1]),
                percent=int(details[2]),
                memory_bytes=int(details[3]),
                encoders=tuple(map(str, details[4])),
            )
        if isinstance(cause, TimeoutError):
            percent = _last_percent(cause.last_heartbeat_details)
            if cause.type is TimeoutType.HEARTBEAT:
                return cls(WORKER_LOST, "the worker was lost", True, percent=percent)
            return cls("Timeout", "the attempt took longer than a task may", False, percent=percent)
        return cls(InternalError.code, str(cause or error), True)


def announced_by(error: FailureError) -> str:
    """Return the files, packed, that an attempt which was lost had announced in its last heartbeat; empty if it had not."""
    cause = error.cause if isinstance(error, ActivityError) else None
    details = cause.last_heartbeat_details if isinstance(cause, TimeoutError) else ()
    return str(details[1]) if len(details) > 1 else ""


def _last_percent(heartbeat: Sequence[Any]) -> int:
    """Return the percent of the progress in an attempt's last heartbeat, which the engine keeps as plain data; 0: none."""
    progress = heartbeat[0] if heartbeat else None
    return int(progress.get("percent", 0)) if isinstance(progress, Mapping) else 0


class History:
    """The attempts of a task so far, those of earlier runs of its workflow included."""

    def __init__(self, earlier: Continuation) -> None:
        self.number = earlier.number
        self.winner = ""
        """The activity of the attempt that succeeded."""
        self._failed = list(earlier.failed)
        self._first_us = earlier.first_us
        self._percent = earlier.percent

    def continued(self, continuation: Continuation) -> Continuation:
        """Return what the next run of the workflow must know of the attempts, added to `continuation`."""
        return replace(
            continuation,
            number=self.number,
            first_us=self._first_us,
            failed=tuple(self._failed),
            percent=self._percent,
        )

    def deferred(self, result: AttemptResult) -> None:
        """Note that the current attempt only found out what a task that is not small needs."""
        self._first_us = self._first_us or result.started_us

    def add(self, failure: Failure, where: str = "") -> None:
        """Add the failure of the current attempt; `where` names the part of the task it worked on."""
        self._failed.append(FailedAttempt(self.number, failure.code, f"{where}{failure.message}"))
        self._first_us = self._first_us or failure.started_us
        self._percent = max(self._percent, failure.percent)

    def exhausted(self, max_attempts: int) -> bool:
        """Return whether no attempt is left. One whose worker was lost, stopped or too old does not count, but for ten lost
        or stopped."""
        lost = sum(attempt.code == WORKER_LOST for attempt in self._failed)
        own = sum(attempt.code not in _OF_WORKERS for attempt in self._failed)
        if own >= max_attempts or lost >= _MAX_WORKERS_LOST:
            return True
        # A chunk of many that meets a stop says nothing about the length of the others.
        stopped = sum(failure.code == WORKER_DRAINING and not failure.message.startswith(OF_CHUNK) for failure in self._failed)
        return stopped >= _MAX_WORKERS_STOPPED and workflow.patched(_LIMITED_STOPS)

    def pause(self) -> float:
        """Return the seconds before the next attempt: none when the worker was the cause, else longer each time."""
        if self._failed[-1].code in _OF_WORKERS:
            return 0.1
        return _BACKOFF_SECONDS[min(len(self._failed), len(_BACKOFF_SECONDS)) - 1]

    def succeeded(self, result: AttemptResult) -> Outcome:
        """Return the outcome of a success."""
        self._first_us, self.winner = self._first_us or result.started_us, result.activity_id
        return self._outcome(TaskStatus.SUCCEEDED, artifacts=result.artifacts, warnings=result.warnings)

    def failed(self) -> Outcome:
        """Return the outcome of the last failure, which is not repeated among the failed attempts."""
        last = self._failed.pop()
        return self._outcome(TaskStatus.FAILED, last.code, last.message, percent=self._percent)

    def canceled(self) -> Outcome:
        """Return the outcome of a cancel."""
        return self._outcome(TaskStatus.CANCELED, "Canceled", "canceled", percent=self._percent)

    def _outcome(self, status: TaskStatus, code: str = "", message: str = "", **fields: Any) -> Outcome:
        first = datetime.fromtimestamp(self._first_us / MICROSECONDS, UTC) if self._first_us else None
        return Outcome(
            status,
            code,
            message,
            attempt=self.number,
            failed_attempts=tuple(self._failed),
            first_attempt_time=first,
            **fields,
        )
