"""Decisions of a watch, without any I/O: which states to pass on, and when to reconnect.

Both clients use these two classes, one with threads, one with asyncio.
"""

import random
import time
from collections.abc import Callable
from typing import cast

import grpc

from reelmill.v1.task_pb2 import TASK_STATUS_CANCELED, TASK_STATUS_FAILED, TASK_STATUS_SUCCEEDED, Task
from reelmill_client.errors import DeadlineExceeded, ReelmillError, Unavailable, from_rpc_error

# Called with each error that a watch survives, and with None once the server answers again.
OnOutage = Callable[[ReelmillError | None], None]

FINAL_STATUSES = frozenset({TASK_STATUS_SUCCEEDED, TASK_STATUS_FAILED, TASK_STATUS_CANCELED})

DEFAULT_MAX_OUTAGE_SECONDS = 60.0
_MOST_ENDED = 100_000  # of which a watch remembers the ids, about 15 MB
_FIRST_DELAY_SECONDS = 0.2
_LONGEST_DELAY_SECONDS = 10.0

# Statuses of a stream that was reset before the server could send one; UNAVAILABLE always means try again.
_RESET_STREAM = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.CANCELLED})


def is_final(task: Task) -> bool:
    """Return whether a task has reached a status that no longer changes."""
    return task.status in FINAL_STATUSES


class StateFilter:
    """Filter of a watch: drops repeated and outdated states of tasks, and everything after a final one.

    After a reconnect another replica of the server may answer, with an older view of a task than was already seen. As a watch
    may last for months, only the latest of the ended tasks are remembered: after a reconnect older ones may be passed on again.
    """

    def __init__(self) -> None:
        self._last: dict[str, Task] = {}
        self._ended: dict[str, None] = {}  # the latest come last

    def accept(self, task: Task) -> Task | None:
        """Return the task to pass on, or None if the state is repeated or outdated."""
        if task.task_id in self._ended:
            self._remember(task.task_id)
            return None
        last = self._last.get(task.task_id)
        if is_final(task):
            self._remember(task.task_id)
            self._last.pop(task.task_id, None)
        elif last is not None and (task == last or _age(task) < _age(last)):
            return None
        else:
            self._last[task.task_id] = task
        if last is not None and task.progress < last.progress:
            task.progress = last.progress
        return task

    def _remember(self, task_id: str) -> None:
        self._ended.pop(task_id, None)
        self._ended[task_id] = None
        if len(self._ended) > _MOST_ENDED:
            del self._ended[next(iter(self._ended))]


class ReconnectPolicy:
    """Policy of a watch: whether to reconnect after each end of a stream, and how long to wait first.

    `timeout_seconds` limits the whole watch (None: no limit), `max_outage_seconds` the time without a response from the server.
    `on_outage` hears of outages that are survived.
    """

    def __init__(
        self,
        timeout_seconds: float | None = None,
        max_outage_seconds: float = DEFAULT_MAX_OUTAGE_SECONDS,
        now: Callable[[], float] = time.monotonic,
        on_outage: OnOutage | None = None,
    ) -> None:
        self._now = now
        self._on_outage = on_outage
        self._out = False
        self._deadline = None if timeout_seconds is None else now() + timeout_seconds
        self._timeout_seconds = timeout_seconds
        self._max_outage_seconds = max_outage_seconds
        self._last_response = now()
        self._delay = _FIRST_DELAY_SECONDS

    def received(self, *, changed: bool) -> None:
        """Note that the server sent something, which ends an outage; only a changed state resets the delay.

        A stream that repeats itself and then breaks, again and again, must not be reopened in haste.
        """
        self._last_response = self._now()
        if self._out:
            self._report(None)
        if changed:
            self._delay = _FIRST_DELAY_SECONDS

    def remaining_seconds(self) -> float | None:
        """Return how long the next stream may last; raises DeadlineExceeded if no time is left."""
        if self._deadline is None:
            return None
        remaining = self._deadline - self._now()
        if remaining <= 0:
            raise DeadlineExceeded(f"the watch did not end within {self._timeout_seconds:g} seconds")
        return remaining

    def after_error(self, error: grpc.RpcError) -> float:
        """Return the seconds to wait before reconnecting; raises the typed error if that would not help."""
        typed = from_rpc_error(error)
        status = cast(grpc.Call, error).code()
        broken = status is grpc.StatusCode.UNAVAILABLE or (status in _RESET_STREAM and not typed.code)
        if not broken or self._now() - self._last_response >= self._max_outage_seconds:
            raise typed from error
        self._report(typed)
        return self._next_delay()

    def after_end(self) -> float:
        """Return the seconds to wait before reconnecting after a stream that ended without a final state."""
        if self._now() - self._last_response >= self._max_outage_seconds:
            raise Unavailable("the server keeps ending the stream before the task ends")
        self._report(Unavailable("the server ended the stream before the task ended"))
        return self._next_delay()

    def _report(self, error: ReelmillError | None) -> None:
        self._out = error is not None
        if self._on_outage:
            self._on_outage(error)

    def _next_delay(self) -> float:
        """Return the next delay: exponential, with jitter so that the watchers of a restarted server return spread out."""
        delay, self._delay = self._delay, min(self._delay * 2, _LONGEST_DELAY_SECONDS)
        jittered = delay * random.uniform(0.5, 1.0)
        return jittered if self._deadline is None else min(jittered, max(0.0, self._deadline - self._now()))


def _age(task: Task) -> tuple[int, int, float]:
    """Return a key that grows while a task advances; a smaller one is an older state."""
    return (task.attempt, task.progress, sum(target.percent for target in task.targets))
