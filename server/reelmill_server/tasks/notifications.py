"""Notification records: one for each message to each recipient.

The message that reports a task's end is inserted with the task and made due in the transaction that records the end, so that
none is lost and none is sent early.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, and_, bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from reelmill_server.errors import ResourceNotFound, StatusConflict
from reelmill_server.model.notification import (
    END,
    Channel,
    DeliveryState,
    Notification,
    NotificationPage,
    NotificationQuery,
    Recipient,
)
from reelmill_server.model.task import TaskRecord, TaskStatus
from reelmill_server.tasks.database import Database
from reelmill_server.tasks.page_tokens import decode_token, encode_token, query_digest
from reelmill_server.tasks.rows import from_microseconds, to_microseconds
from reelmill_server.tasks.tables import notifications, tasks

_OVERDUE_BATCH = 200
_REDELIVERED = (DeliveryState.PENDING, DeliveryState.DELIVERED, DeliveryState.FAILED)
_IS_PENDING: ColumnElement[bool] = notifications.c.state == DeliveryState.PENDING.value
_ITS = notifications.c.task_id == bindparam("id")
# Made once, as each task needs them at its end.
_SUPERSEDE = (
    update(notifications).where(_ITS, _IS_PENDING, notifications.c.percent < END).values(state=DeliveryState.SUPERSEDED.value)
)


def notification_id(task_id: str, channel: str, percent: int) -> str:
    """Return the id of a notification; a task's ids sort by channel, then in the order in which they are sent."""
    return f"{task_id}.{channel}.{percent:03d}"


async def insert_waiting(connection: AsyncConnection, record: TaskRecord, recipients: Sequence[Recipient]) -> None:
    """Insert the messages that report the end of a new task, to wait for it."""
    if recipients:
        rows = [_row(record.task_id, record.project_name, recipient, END, DeliveryState.WAITING) for recipient in recipients]
        await connection.execute(insert(notifications), rows)


async def make_due(connection: AsyncConnection, task_id: str, now: datetime) -> None:
    """Make the messages that report a task's end due; progress not yet sent is superseded."""
    await connection.execute(_SUPERSEDE, {"id": task_id})
    await connection.execute(_MAKE_DUE, {"id": task_id, "now": to_microseconds(now)})


class NotificationStore:
    """Notifications in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_progress(self, task_id: str, percent: int, now: datetime) -> None:
        """Insert a progress message of a running task for every channel, superseding those not yet sent.

        Does nothing for a task that has ended, and for progress not greater than what was sent.
        """
        async with self._database.write() as connection:
            locked = select(tasks.c.status).where(tasks.c.task_id == task_id).with_for_update()
            if (await connection.execute(locked)).scalar_one_or_none() != TaskStatus.RUNNING.value:
                return
            of_task = notifications.c.task_id == task_id
            last_percent = select(func.max(notifications.c.percent)).where(of_task, notifications.c.percent < END)
            if percent <= ((await connection.execute(last_percent)).scalar_one() or 0):
                return
            end_messages = select(notifications).where(of_task, notifications.c.percent == END)
            rows = (await connection.execute(end_messages)).mappings().all()
            recipients = [row for row in rows if row["channel"] != Channel.EXTENDED_MESSAGE]
            await connection.execute(_SUPERSEDE, {"id": task_id})
            new_rows = [
                _row(task_id, row["project_name"], _recipient(row), percent, DeliveryState.PENDING) | _due(to_microseconds(now))
                for row in recipients
            ]
            if new_rows:
                await connection.execute(insert(notifications), new_rows)

    async def pending_channels(self, task_id: str) -> Sequence[str]:
        """Return the channels of a task with pending notifications."""
        query = select(notifications.c.channel).distinct().where(notifications.c.task_id == task_id, _IS_PENDING)
        async with self._database.read() as connection:
            return [str(channel) for (channel,) in await connection.execute(query)]

    async def oldest_pending(self) -> datetime | None:
        """Return since when the oldest pending notification is due, or None if there is none."""
        query = select(func.min(notifications.c.since_time)).where(_IS_PENDING)
        async with self._database.read() as connection:
            return _time((await connection.execute(query)).scalar_one())

    async def first_pending(self, task_id: str, channel: str) -> Notification | None:
        """Return the notification to send next on a task's channel, or None."""
        query = (
            select(notifications)
            .where(notifications.c.task_id == task_id, notifications.c.channel == channel, _IS_PENDING)
            .order_by(notifications.c.notification_id)
            .limit(1)
        )
        async with self._database.read() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        return None if row is None else _notification(row)

    async def find(self, notification: str) -> Notification | None:
        """Return a notification of any project, or None."""
        async with self._database.read() as connection:
            return await _find(connection, notifications.c.notification_id == notification)

    async def note(
        self,
        notification: str,
        now: datetime,
        *,
        state: DeliveryState,
        error: str = "",
        next_time: datetime | None = None,
        counts: bool = True,
    ) -> None:
        """Record the result of an attempt. A notification superseded meanwhile stays so, unless it was delivered."""
        values: dict[str, Any] = {"state": state.value, "last_error": error, "next_time": _micros(next_time)}
        if counts:
            values |= {"attempts": notifications.c.attempts + 1, "last_attempt_time": to_microseconds(now)}
        same_id = notifications.c.notification_id == notification
        condition = same_id if state is DeliveryState.DELIVERED else and_(same_id, _IS_PENDING)
        async with self._database.write() as connection:
            await connection.execute(update(notifications).where(condition).values(values))

    async def redeliver(self, project_name: str, notification: str, now: datetime) -> Notification:
        """Make a notification due again. Raises ResourceNotFound; StatusConflict if it is waiting or superseded."""
        same_id = and_(notifications.c.notification_id == notification, notifications.c.project_name == project_name)
        values = {"state": DeliveryState.PENDING.value, "since_time": to_microseconds(now), "next_time": to_microseconds(now)}
        async with self._database.write() as connection:
            allowed = notifications.c.state.in_([state.value for state in _REDELIVERED])
            await connection.execute(update(notifications).where(same_id, allowed).values(values))
            current = await _find(connection, same_id)
        if current is None:
            raise ResourceNotFound(f"The specified resource project/{project_name}/notification/{notification} is not found.")
        if current.state is not DeliveryState.PENDING:
            raise StatusConflict(f"the notification {notification} is {current.state} and cannot be sent")
        return current

    async def list(self, query: NotificationQuery) -> NotificationPage:
        """Return one page of a project's notifications, by id. Raises InvalidArgument for a token of another query."""
        table = notifications.c
        filters = [table.project_name == query.project_name]
        if query.task_id:
            filters.append(table.task_id == query.task_id)
        if query.state is not None:
            filters.append(table.state == query.state.value)
        digest = query_digest("notifications", query.project_name, query.task_id, query.state)
        if query.next_token:
            filters.append(table.notification_id > decode_token(query.next_token, digest, (str,))[0])
        statement = select(notifications).where(*filters).order_by(table.notification_id).limit(query.limit + 1)
        async with self._database.read() as connection:
            rows = (await connection.execute(statement)).mappings().all()
        page = tuple(_notification(row) for row in rows[: query.limit])
        has_next = len(rows) > query.limit
        return NotificationPage(page, encode_token((page[-1].notification_id,), digest) if has_next else "")

    async def overdue(self, before: datetime) -> Sequence[tuple[str, str]]:
        """Return tasks and channels with notifications due before this time, a limited number."""
        query = (
            select(notifications.c.task_id, notifications.c.channel)
            .distinct()
            .where(_IS_PENDING, notifications.c.next_time < to_microseconds(before))
            .limit(_OVERDUE_BATCH)
        )
        async with self._database.read() as connection:
            return [(str(task_id), str(channel)) for task_id, channel in await connection.execute(query)]


async def _find(connection: AsyncConnection, condition: ColumnElement[bool]) -> Notification | None:
    row = (await connection.execute(select(notifications).where(condition))).mappings().one_or_none()
    return None if row is None else _notification(row)


def _due(time: Any) -> dict[str, Any]:
    """Return the values of a message that is due since `time`, in microseconds."""
    return {"state": DeliveryState.PENDING.value, "create_time": time, "since_time": time, "next_time": time}


_MAKE_DUE = (
    update(notifications).where(_ITS, notifications.c.state == DeliveryState.WAITING.value).values(_due(bindparam("now")))
)


def _row(task_id: str, project_name: str, recipient: Recipient, percent: int, state: DeliveryState) -> dict[str, Any]:
    return {
        "notification_id": notification_id(task_id, recipient.channel, percent),
        "task_id": task_id,
        "project_name": project_name,
        "channel": recipient.channel.value,
        "destination": recipient.destination,
        "qualifier": recipient.qualifier,
        "percent": percent,
        "state": state.value,
        "attempts": 0,
        "last_error": "",
    }


def _recipient(row: RowMapping) -> Recipient:
    return Recipient(Channel(row["channel"]), row["destination"], row["qualifier"])


def _notification(row: RowMapping) -> Notification:
    return Notification(
        notification_id=row["notification_id"],
        task_id=row["task_id"],
        recipient=_recipient(row),
        percent=row["percent"],
        state=DeliveryState(row["state"]),
        attempts=row["attempts"],
        last_error=row["last_error"],
        create_time=_time(row["create_time"]),
        since_time=_time(row["since_time"]),
        next_time=_time(row["next_time"]),
        last_attempt_time=_time(row["last_attempt_time"]),
    )


def _micros(time: datetime | None) -> int | None:
    return None if time is None else to_microseconds(time)


def _time(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else from_microseconds(microseconds)
