"""Previews of unfinished tasks: the latest few of each, written by one replica, read by all."""

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from reelmill_server.model.preview import Preview
from reelmill_server.tasks.database import Database
from reelmill_server.tasks.tables import IS_RUNNING, task_previews, tasks

MOST = 12
"""Most previews that are kept of a task."""
_BATCH = 200


class PreviewStore:
    """Previews in the database. `TaskStore.finish` deletes those of a task that ends."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, previews: Mapping[str, Preview]) -> None:
        """Keep a preview of each task that is unfinished, in place of its oldest. Raises ServiceUnavailable."""
        dialect = sqlite if self._database.is_sqlite else postgresql
        row = task_previews.c
        async with self._database.write() as connection:
            unfinished = select(tasks.c.task_id).where(tasks.c.task_id.in_(previews), IS_RUNNING)
            for task_id in (await connection.execute(unfinished)).scalars().all():
                new = previews[task_id]
                values = {"task_id": task_id, "taken_time": new.taken_us, "seconds": new.seconds, "jpeg": new.jpeg}
                await connection.execute(dialect.insert(task_previews).values(values).on_conflict_do_nothing())
                outdated = select(row.taken_time).where(row.task_id == task_id).order_by(row.taken_time.desc()).offset(MOST)
                # In a table of its own, as SQLite has no OFFSET without LIMIT.
                old = outdated.limit(_BATCH).subquery()
                await connection.execute(
                    delete(task_previews).where(row.task_id == task_id, row.taken_time.in_(select(old.c.taken_time)))
                )

    async def of(self, task_id: str) -> Sequence[Preview]:
        """Return the previews of a task, in the order of the media."""
        row = task_previews.c
        query = select(row.taken_time, row.seconds, row.jpeg).where(row.task_id == task_id)
        async with self._database.read() as connection:
            return [Preview(*values) for values in await connection.execute(query.order_by(row.seconds, row.taken_time))]

    async def forget_ended(self) -> None:
        """Delete previews of tasks that replicas of an earlier version have finished."""
        ended = select(task_previews.c.task_id).distinct().join(tasks).where(~IS_RUNNING).limit(_BATCH)
        async with self._database.read() as connection:
            ids = (await connection.execute(ended)).scalars().all()
        if ids:
            async with self._database.write() as connection:
                await connection.execute(delete(task_previews).where(task_previews.c.task_id.in_(ids)))
