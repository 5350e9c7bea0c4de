"""Delivery of notifications: decides what is sent and when, and records the results. The engine runs it."""

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

# The extended message should exist when its notification is read, but unavailable storage must not delay it for long.
_FILE_WAIT = timedelta(seconds=30)
_FILE_POLL_SECONDS = 0.5
_MIN_PAUSE_SECONDS = 1.0
_MAX_PAUSE_SECONDS = 1800.0
_JITTER = 0.2
_PROGRESS_TRIES = 3  # by then there is newer progress
_OVERDUE = timedelta(seconds=60)
_ERROR_CHARACTERS = 300
_MAX_FILE_BYTES = 1_500_000  # the engine accepts 2 MB, with quotes escaped
_OUTDATED = Failure("the notification is outdated", counts=False)
_log = structlog.get_logger(__name__)


class NotificationDelivery:
    """Delivery of notifications to the recipients of tasks.

    `wake` makes the engine deliver what is due on a task's channel; `detail` returns a task as JSON, `credentials` those with
    which its files are written.
    """

    def __init__(
        self,
        *,
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

    async def deliver_pending(self, task_id: str) -> None:
        """Have the engine deliver the pending notifications of a task; what it cannot accept now, `deliver_overdue` retries."""
        for channel in await self._notifications.pending_channels(task_id):
            await self._try_wake(task_id, channel)

    async def progress(self, task_id: str, percent: int) -> None:
        """Record the progress of a running task and have it delivered."""
        await self._notifications.add_progress(task_id, percent, datetime.now(UTC))
        await self.deliver_pending(task_id)

    async def deliver_overdue(self) -> None:
        """Have the engine deliver everything overdue: after a crash, or if the engine lost it."""
        for task_id, channel in await self._notifications.overdue(datetime.now(UTC) - _OVERDUE):
            await self._try_wake(task_id, channel)

    async def next(self, task_id: str, channel: str) -> Step | None:
        """Return the next step on a task's channel, or None if nothing is due."""
        current = await self._notifications.first_pending(task_id, channel)
        if current is None:
            return None
        now = datetime.now(UTC)
        pause = (current.next_time - now).total_seconds() if current.next_time else 0.0
        if pause <= 0 and await self._waits_for_file(current, now):
            pause = _FILE_POLL_SECONDS
        if pause > 0:
            return Step(current.notification_id, pause_seconds=pause)
        if current.recipient.channel is not Channel.EXTENDED_MESSAGE:
            return Step(current.notification_id)
        record = await self._record(current)
        text = extended(record, self._detail(record))
        size = len(text.encode())
        if size > _MAX_FILE_BYTES:
            await self.note(
                current.notification_id,
                Failure(f"the result has {size} bytes, more than the engine accepts", retryable=False),
            )
            return None
        return Step(
            current.notification_id,
            uri=current.recipient.destination,
            text=text,
            credentials=self._credentials(record),
        )

    async def deliver(self, notification: str) -> Failure | None:
        """Send a notification once and return why it failed, or None."""
        current = await self._notifications.find(notification)
        if current is None or current.state is not DeliveryState.PENDING:
            return _OUTDATED  # or its task has expired
        content = message(
            await self._record(current),
            current.percent,
            current.create_time or datetime.now(UTC),
            self._origin,
        )
        try:
            await self._channels.send(current.recipient, content)
        except DeliveryFailed as error:
            return error.failure
        return None

    async def note(self, notification: str, failure: Failure | None) -> None:
        """Record the result of an attempt, and when the next one is due."""
        current = await self._notifications.find(notification)
        if current is None or (failure is not None and current.state is not DeliveryState.PENDING):
            return
        now = datetime.now(UTC)
        state, next_time = self._next_state(current, failure, now)
        error = failure.message[:_ERROR_CHARACTERS] if failure else ""
        counts = failure is None or failure.counts
        await self._notifications.note(notification, now, state=state, error=error, next_time=next_time, counts=counts)
        outcome = "Retried" if state is DeliveryState.PENDING else state.value
        self._metrics.notification_total.labels(current.recipient.channel.value, outcome).inc()
        log = _log.info if failure is None else _log.warning
        log("notification attempt ended", notification_id=notification, outcome=outcome, reason=error)

    def _next_state(
        self, current: Notification, failure: Failure | None, now: datetime
    ) -> tuple[DeliveryState, datetime | None]:
        """Return the state after an attempt, and when the next one is due."""
        if failure is None:
            return DeliveryState.DELIVERED, None
        since = current.since_time or now
        next_time = now + timedelta(seconds=_pause_seconds((now - since).total_seconds(), failure))
        stale = current.percent < END and current.attempts + failure.counts >= _PROGRESS_TRIES
        if stale or not failure.retryable or next_time > since + self._retry:
            return DeliveryState.FAILED, None
        return DeliveryState.PENDING, next_time

    async def _waits_for_file(self, current: Notification, now: datetime) -> bool:
        """Return whether a message should wait for its extended message."""
        if current.recipient.channel is Channel.EXTENDED_MESSAGE or current.percent != END:
            return False
        file = await self._notifications.find(notification_id(current.task_id, Channel.EXTENDED_MESSAGE, END))
        if file is None or file.state is not DeliveryState.PENDING:
            return False
        return now < (file.since_time or now) + _FILE_WAIT

    async def _record(self, current: Notification) -> TaskRecord:
        record = await self._tasks.find(current.task_id)
        assert record is not None  # notifications are deleted with their task
        return record

    async def _try_wake(self, task_id: str, channel: str) -> None:
        try:
            await self._wake(task_id, channel)
        except ReelmillError as error:
            _log.warning("the engine did not accept a notification", task_id=task_id, channel=channel, reason=error.message)


def _pause_seconds(elapsed_seconds: float, failure: Failure) -> float:
    """Return the seconds until the next attempt: the time spent so far, so that it doubles, or what the recipient asked for."""
    backoff = min(max(elapsed_seconds, _MIN_PAUSE_SECONDS), _MAX_PAUSE_SECONDS)
    return max(failure.pause_seconds, backoff * random.uniform(1.0, 1.0 + _JITTER))
