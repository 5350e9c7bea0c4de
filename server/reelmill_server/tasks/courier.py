"""Brings notifications to their recipients: decides what is told when, and notes what became of it. The engine runs it."""

import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from reelmill_server.errors import ReelmillError
from reelmill_server.model.notification import END, Channel, DeliveryState, Failure, Notification, Step
from reelmill_server.model.request import Credentials
from reelmill_server.model.task import TaskRecord
from reelmill_server.notify.base import DeliveryFailed
from reelmill_server.notify.message import Origin, extended, message
from reelmill_server.notify.registry import Channels
from reelmill_server.tasks.notifications import NotificationStore, notification_id
from reelmill_server.tasks.store import TaskStore
from reelmill_server.telemetry.metrics import Metrics

# The file of a result should be there when its message is read; storage that is away must not hold the message up for long.
_FILE_FIRST = timedelta(seconds=30)
_FILE_POLL_SECONDS = 0.5
_SHORTEST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 1800.0
_JITTER = 0.2
_PROGRESS_TRIES = 3  # by then there is news
_OVERDUE = timedelta(seconds=60)
_ERROR_CHARACTERS = 300
_MOST_FILE_BYTES = 1_500_000  # the engine takes 2 MB, with quotes escaped
_OLD_NEWS = Failure("there is news", counts=False)
_log = structlog.get_logger(__name__)


class Courier:
    """Tells recipients of tasks. `wake` has the engine deliver what is due on a task's channel; `detail` is a task as JSON,
    `credentials` whose name its files are written in."""

    def __init__(
        self,
        tasks: TaskStore,
        notifications: NotificationStore,
        channels: Channels,
        wake: Callable[[str, str], Awaitable[None]],
        detail: Callable[[TaskRecord], Mapping[str, Any]],
        credentials: Callable[[TaskRecord], Credentials],
        origin: Origin,
        retry: timedelta,
        metrics: Metrics,
    ) -> None:
        self._tasks, self._notifications, self._channels = tasks, notifications, channels
        self._credentials = credentials
        self._wake, self._detail, self._origin, self._retry, self._metrics = wake, detail, origin, retry, metrics

    async def told(self, task_id: str) -> None:
        """There is something to tell of a task: has it delivered. What the engine does not take now it gets from `mend`."""
        for channel in await self._notifications.pending_channels(task_id):
            await self._try_wake(task_id, channel)

    async def progress(self, task_id: str, percent: int) -> None:
        """A running task came so far."""
        await self._notifications.add_progress(task_id, percent, datetime.now(UTC))
        await self.told(task_id)

    async def mend(self) -> None:
        """Has everything delivered that is overdue: a crash kept it from the engine, or the engine lost it."""
        for task_id, channel in await self._notifications.overdue(datetime.now(UTC) - _OVERDUE):
            await self._try_wake(task_id, channel)

    async def next(self, task_id: str, channel: str) -> Step | None:
        """What to do next on a task's channel; None: nothing."""
        found = await self._notifications.first_pending(task_id, channel)
        if found is None:
            return None
        now = datetime.now(UTC)
        wait = (found.next_time - now).total_seconds() if found.next_time else 0.0
        if wait <= 0 and await self._file_comes_first(found, now):
            wait = _FILE_POLL_SECONDS
        if wait > 0:
            return Step(found.notification_id, pause_seconds=wait)
        if found.recipient.channel is not Channel.EXTENDED_MESSAGE:
            return Step(found.notification_id)
        record = await self._record(found)
        text = extended(record, self._detail(record))
        size = len(text.encode())
        if size > _MOST_FILE_BYTES:
            await self.note(
                found.notification_id, Failure(f"the result has {size} bytes: too many to hand on", retryable=False)
            )
            return None
        return Step(found.notification_id, uri=found.recipient.destination, text=text, credentials=self._credentials(record))

    async def deliver(self, notification: str) -> Failure | None:
        """Sends a notification once; gives why it was not taken."""
        found = await self._notifications.find(notification)
        if found is None or found.state is not DeliveryState.PENDING:
            return _OLD_NEWS  # or its task was forgotten
        said = message(await self._record(found), found.percent, found.create_time or datetime.now(UTC), self._origin)
        try:
            await self._channels.send(found.recipient, said)
        except DeliveryFailed as error:
            return error.failure
        return None

    async def note(self, notification: str, failure: Failure | None) -> None:
        """Notes how an attempt ended, and when the next one is due."""
        found = await self._notifications.find(notification)
        if found is None or (failure is not None and found.state is not DeliveryState.PENDING):
            return
        now = datetime.now(UTC)
        state, next_time = self._verdict(found, failure, now)
        error = failure.message[:_ERROR_CHARACTERS] if failure else ""
        counts = failure is None or failure.counts
        await self._notifications.note(notification, now, state=state, error=error, next_time=next_time, counts=counts)
        outcome = "Retried" if state is DeliveryState.PENDING else state.value
        self._metrics.notification_total.labels(found.recipient.channel.value, outcome).inc()
        log = _log.info if failure is None else _log.warning
        log("notification attempt ended", notification_id=notification, outcome=outcome, reason=error)

    def _verdict(self, found: Notification, failure: Failure | None, now: datetime) -> tuple[DeliveryState, datetime | None]:
        """The state after an attempt, and when the next one is due."""
        if failure is None:
            return DeliveryState.DELIVERED, None
        since = found.since_time or now
        next_time = now + timedelta(seconds=_pause_seconds((now - since).total_seconds(), failure))
        stale = found.percent < END and found.attempts + failure.counts >= _PROGRESS_TRIES
        if stale or not failure.retryable or next_time > since + self._retry:
            return DeliveryState.FAILED, None
        return DeliveryState.PENDING, next_time

    async def _file_comes_first(self, found: Notification, now: datetime) -> bool:
        """Whether a message should wait for the file of its result."""
        if found.recipient.channel is Channel.EXTENDED_MESSAGE or found.percent != END:
            return False
        file = await self._notifications.find(notification_id(found.task_id, Channel.EXTENDED_MESSAGE, END))
        if file is None or file.state is not DeliveryState.PENDING:
            return False
        return now < (file.since_time or now) + _FILE_FIRST

    async def _record(self, found: Notification) -> TaskRecord:
        record = await self._tasks.find(found.task_id)
        assert record is not None  # a task takes its notifications with it
        return record

    async def _try_wake(self, task_id: str, channel: str) -> None:
        try:
            await self._wake(task_id, channel)
        except ReelmillError as error:
            _log.warning("the engine did not take a notification", task_id=task_id, channel=channel, reason=error.message)


def _pause_seconds(elapsed_seconds: float, failure: Failure) -> float:
    """Seconds until the next attempt: as long as was tried already, so that it doubles, or what the recipient asked for."""
    usual = min(max(elapsed_seconds, _SHORTEST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)
    return max(failure.pause_seconds, usual * random.uniform(1.0, 1.0 + _JITTER))
