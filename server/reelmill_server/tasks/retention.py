"""Deletion of ended tasks: of those that are old, and of a project's oldest when its records have too many bytes.

Tasks that ended in the last hour are kept in any case, so that watchers see their end.
"""

from collections import Counter
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Select, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from reelmill_server.model.task import TaskStatus
from reelmill_server.tasks.database import Database
from reelmill_server.tasks.rows import to_microseconds
from reelmill_server.tasks.tables import projects, tasks

_BATCH = 500
_KEPT_AFTER_END = timedelta(hours=1)
_KEPT_SHARE = 0.9  # of the bytes that a project may have, so that not every new task needs another round


def _deletable() -> ColumnElement[bool]:
    ended = to_microseconds(datetime.now(UTC) - _KEPT_AFTER_END)
    return (tasks.c.end_time < ended) & (tasks.c.status != TaskStatus.RUNNING.value)


async def expire(database: Database, before: datetime) -> int:
    """Delete the ended tasks created before this time, a batch per transaction, and return their number."""
    old = select(tasks.c.task_id).where(tasks.c.start_time < to_microseconds(before), _deletable()).limit(_BATCH)
    total = 0
    while True:
        async with database.write() as connection:
            deleted = await _delete(connection, old)
        total += deleted
        if deleted < _BATCH:
            return total


async def expire_surplus(database: Database, most_bytes: int) -> int:
    """Delete the oldest ended tasks of projects whose records have more than `most_bytes`, and return their number."""
    query = select(projects.c.project_name).where(projects.c.record_bytes > most_bytes)
    async with database.read() as connection:
        names = [str(name) for name in (await connection.execute(query)).scalars()]
    total = 0
    for name in names:
        deleted = _BATCH
        while deleted == _BATCH:
            async with database.write() as connection:
                deleted = await _delete(connection, await _oldest(connection, name, int(most_bytes * _KEPT_SHARE)))
            total += deleted
    return total


async def _oldest(connection: AsyncConnection, project_name: str, kept_bytes: int) -> Collection[str]:
    """Return as many of the oldest ended tasks of a project as leave `kept_bytes`, a batch at most."""
    of_project = select(projects.c.record_bytes).where(projects.c.project_name == project_name)
    surplus = (await connection.execute(of_project)).scalar_one_or_none() or 0
    surplus -= kept_bytes
    query = select(tasks.c.task_id, tasks.c.record_bytes).where(tasks.c.project_name == project_name, _deletable())
    task_ids: list[str] = []
    for task_id, size in await connection.execute(query.order_by(tasks.c.end_time, tasks.c.task_id).limit(_BATCH)):
        if surplus <= 0:
            break
        task_ids.append(task_id)
        surplus -= size
    return task_ids


async def _delete(connection: AsyncConnection, task_ids: Collection[str] | Select[tuple[str]]) -> int:
    """Delete tasks, and subtract their bytes from those of their projects."""
    removed = delete(tasks).where(tasks.c.task_id.in_(task_ids)).returning(tasks.c.project_name, tasks.c.record_bytes)
    rows = (await connection.execute(removed)).all()
    sizes: Counter[str] = Counter()
    for name, size in rows:
        sizes[name] += size
    for name, size in sorted(sizes.items()):
        await connection.execute(
            update(projects).where(projects.c.project_name == name).values(record_bytes=projects.c.record_bytes - size)
        )
    return len(rows)
