"""Task records."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import RowMapping, Select, bindparam, delete, insert, select, true, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from reelmill_server.errors import ResourceAlreadyExists, ResourceNotFound
from reelmill_server.model.notification import Recipient
from reelmill_server.model.project import NO_QUOTAS, Quotas
from reelmill_server.model.task import Outcome, TaskPage, TaskQuery, TaskRecord, TaskStatus, tag_text
from reelmill_server.tasks import counts, retention
from reelmill_server.tasks.changes import next_change_of
from reelmill_server.tasks.database import Database
from reelmill_server.tasks.listing import is_first_page, page_of, page_query, searched
from reelmill_server.tasks.notifications import insert_waiting, make_due
from reelmill_server.tasks.projects import no_such_project
from reelmill_server.tasks.quotas import admission, admit, unfinished
from reelmill_server.tasks.rows import encode_outcome, record_bytes, shown_tasks, task_record, task_row, to_microseconds
from reelmill_server.tasks.selector import tag_digest
from reelmill_server.tasks.tables import IS_RUNNING, TO_START, projects, task_previews, task_progress, task_tags, tasks

_INSERT_TRIES = 5
# Made once, as each task needs them: to make them takes as long as to run them.
_INSERT, _INSERT_TAGS = insert(tasks), insert(task_tags)
_ITS_ID = tasks.c.task_id == bindparam("id")
_START = update(tasks).where(_ITS_ID).values(engine_started=True).returning(tasks.c.cancel_requested)
_FORGET = delete(task_progress).where(task_progress.c.task_id == bindparam("id")).returning(task_progress.c.percent)
_FORGET_PREVIEWS = delete(task_previews).where(task_previews.c.task_id == bindparam("id"))
_FINISH = (
    update(tasks)
    .where(_ITS_ID, IS_RUNNING)
    .values(
        status=bindparam("final"),
        end_time=bindparam("ended"),
        outcome=bindparam("told"),
        record_bytes=tasks.c.record_bytes + bindparam("size"),
        change_number=bindparam("number"),
    )
)
_BATCH = 500
_STARTED_BATCH = 5_000  # of two columns
_ROW_BYTES = 2000  # of a record without texts: columns and indexes


def no_such_task(project_name: str, task_id: str) -> ResourceNotFound:
    """Return the contract's error for a task that does not exist."""
    return ResourceNotFound(f"The specified resource project/{project_name}/task/{task_id} is not found.")


@dataclass(frozen=True, slots=True)
class StartedTask:
    """An unfinished task that the engine should have."""

    task_id: str
    cancel_requested: bool


class TaskStore:
    """Tasks in a database. A task is inserted as RUNNING, finished once, and deleted when it expires."""

    def __init__(
        self,
        database: Database,
        request_window: timedelta = timedelta(days=7),
        quotas: Quotas = NO_QUOTAS,
        most_bytes: int = 0,
    ) -> None:
        """Store tasks in `database`.

        Within `request_window` of a task's start, its request_id refers to it; `quotas` are the defaults of projects, whose
        records may have `most_bytes` (0: any number).
        """
        self._most_bytes = most_bytes
        self._database, self._request_window, self._quotas = database, request_window, quotas

    async def insert(self, record: TaskRecord, recipients: Sequence[Recipient] = ()) -> tuple[TaskRecord, bool]:
        """Insert a task with the recipients of its notifications, unless its project has a task with the same request_id.

        Returns the stored task, and whether it is new. Empty request_ids never match; neither do those of tasks older than the
        window. Raises ResourceNotFound if the project does not exist, ResourceAlreadyExists if the task id is taken, and
        QuotaExceeded if the project has too many tasks.
        """
        for _ in range(_INSERT_TRIES):
            try:
                async with self._database.write() as connection:
                    earlier = await self._same_request(connection, record)
                    if earlier is None:
                        record = await self._insert_admitted(connection, record)
                        await insert_waiting(connection, record, recipients)
                    return earlier or record, earlier is None
            except IntegrityError:
                # The project or the id is wrong, or another call with this request_id was faster: try again.
                await self._raise_refusal(record)
        raise ResourceAlreadyExists(f"The specified resource task/{record.task_id} already exists.")

    async def get(self, project_name: str, task_id: str, *, request: bool = True, work: bool = True) -> TaskRecord:
        """Return a task of a project; without `request` or `work`, these texts are empty. Raises ResourceNotFound."""
        async with self._database.read() as connection:
            # One query, so that a task of another project takes as long as one that nobody has.
            record = await _find(connection, task_id, request, work, project_name)
            if record is None:
                await _require_project(connection, project_name)
                raise no_such_task(project_name, task_id)
            return record

    async def find(self, task_id: str, *, request: bool = True, work: bool = True) -> TaskRecord | None:
        """Return a task of any project, or None; otherwise like `get`."""
        async with self._database.read() as connection:
            return await _find(connection, task_id, request, work)

    async def list(self, query: TaskQuery) -> TaskPage:
        """Return one page of a project's tasks, filtered and sorted by the query; ties by task id, in the same direction.

        A running task sorts as if it ended last. All pages together contain every task that matched throughout exactly once,
        whatever is inserted meanwhile. Raises ResourceNotFound if the project does not exist, InvalidArgument for an unknown
        sort key and for a token of another query.
        """
        async with self._database.read() as connection:
            statement = page_query(query, await searched(connection, query))
            rows = (await connection.execute(statement)).mappings().all()
            if not rows and is_first_page(query):
                await _require_project(connection, query.project_name)
        return page_of(query, rows)

    async def mark_started(self, task_id: str) -> bool:
        """Record that the engine has the task; return whether it was to be canceled before."""
        async with self._database.write() as connection:
            return bool((await connection.execute(_START, {"id": task_id})).scalar_one_or_none())

    async def request_cancel(self, task_id: str) -> TaskRecord:
        """Record that a running task is to be canceled, and return its current state. Raises ResourceNotFound."""
        async with self._database.write() as connection:
            values = {"cancel_requested": True, "change_number": await next_change_of(connection, task_id)}
            await connection.execute(update(tasks).where(tasks.c.task_id == task_id, IS_RUNNING).values(values))
            record = await _find(connection, task_id, request=False, work=False)
        if record is None:
            raise ResourceNotFound(f"The specified resource task/{task_id} is not found.")
        return record

    async def finish(self, task_id: str, outcome: Outcome, end_time: datetime) -> bool:
        """Record the outcome of a running task and make its notifications due.

        Returns whether this call did so: the first one wins, and an unknown id returns False.
        """
        if not outcome.status.final:
            raise ValueError(f"expected a final status, not {outcome.status}")
        async with self._database.write() as connection:
            percent = (await connection.execute(_FORGET, {"id": task_id})).scalar_one_or_none() or 0
            await connection.execute(_FORGET_PREVIEWS, {"id": task_id})
            text = encode_outcome(replace(outcome, percent=max(percent, outcome.percent)))
            size = record_bytes({"outcome": text})
            values = {"final": outcome.status.value, "ended": to_microseconds(end_time), "told": text, "size": size}
            number = await next_change_of(connection, task_id, size)
            result = await connection.execute(_FINISH, {"id": task_id, "number": number, **values})
            if result.rowcount == 1:
                await make_due(connection, task_id, end_time)
        return result.rowcount == 1

    async def unstarted(self, older_than: datetime) -> AsyncIterator[TaskRecord]:
        """Yield the running tasks created before `older_than` that the engine does not have, oldest first.

        Tasks that wait for their project's quota are skipped, unless they are to be canceled.
        """
        key = tuple_(tasks.c.start_time, tasks.c.task_id)
        query = (
            select(tasks)
            .where(TO_START, tasks.c.start_time < to_microseconds(older_than))
            .where(tasks.c.admit_time < to_microseconds(older_than))  # else it is just being started
            .order_by(tasks.c.start_time, tasks.c.task_id)
        )
        async for row in self._walk(query, key, ("start_time", "task_id")):
            yield task_record(row)

    async def started(self, older_than: datetime) -> AsyncIterator[StartedTask]:
        """Yield the unfinished tasks created before `older_than` that the engine should have, by task id."""
        columns = (tasks.c.task_id, tasks.c.cancel_requested)
        query = select(*columns).where(IS_RUNNING, tasks.c.engine_started.is_(true()))
        query = query.where(tasks.c.start_time < to_microseconds(older_than)).order_by(tasks.c.task_id)
        async for row in self._walk(query, tuple_(tasks.c.task_id), ("task_id",), _STARTED_BATCH):
            yield StartedTask(row["task_id"], row["cancel_requested"])

    async def any_started(self) -> bool:
        """Return whether the engine should have any task."""
        query = select(select(tasks.c.task_id).where(IS_RUNNING, tasks.c.engine_started.is_(true())).exists())
        async with self._database.read() as connection:
            return bool((await connection.execute(query)).scalar_one())

    async def count_unfinished(self, project_name: str) -> tuple[int, int]:
        """Return how many unfinished tasks of a project are admitted, and how many are waiting."""
        async with self._database.read() as connection:
            return await unfinished(connection, project_name)

    async def admit(self, project_name: str, most: int) -> Sequence[TaskRecord]:
        """Admit waiting tasks of a project as far as its quotas allow, `most` of them, and return them."""
        async with self._database.read() as connection:
            if not await counts.with_waiting_tasks(connection, projects.c.project_name == project_name):
                return ()  # mostly nothing waits, and nobody else has to
        async with self._database.write() as connection:
            return await admit(connection, project_name, self._quotas, most)

    async def projects_with_waiting_tasks(self) -> Sequence[str]:
        """Return the projects with waiting tasks."""
        async with self._database.read() as connection:
            return await counts.with_waiting_tasks(connection)

    async def waiting(self, project_name: str, limit: int) -> Sequence[str]:
        """Return the ids of the unfinished tasks of a project that no worker has, in the order of their turns, `limit` at most.

        Those that wait for the quota of their project come last.
        """
        async with self._database.read() as connection:
            return await counts.waiting(connection, project_name, limit)

    async def ended_counts(self) -> Mapping[TaskStatus, int]:
        """Return the number of tasks of each final status, over all projects, by walking through an index of all of them."""
        async with self._database.read() as connection:
            return await counts.ended(connection)

    async def counts_by_project(self) -> Mapping[str, tuple[int, int]]:
        """Return, for each project with unfinished tasks, how many are admitted and how many are waiting."""
        async with self._database.read() as connection:
            return await counts.by_project(connection)

    async def expire(self, before: datetime) -> int:
        """Delete the ended tasks created before this time, and the oldest of projects whose records have too many bytes; return
        their number. Those that ended in the last hour are kept.
        """
        deleted = await retention.expire(self._database, before)
        return deleted + (await retention.expire_surplus(self._database, self._most_bytes) if self._most_bytes else 0)

    async def _insert_admitted(self, connection: AsyncConnection, record: TaskRecord) -> TaskRecord:
        """Insert a new task, and return it as admitted or waiting."""
        row = task_row(record)
        size = _ROW_BYTES + record_bytes(row)
        admitted, number = await admission(connection, record.project_name, size, self._quotas, self._most_bytes)
        # Not by `values`, which would look at all columns for each task anew.
        await connection.execute(_INSERT, row | {"admitted": admitted, "change_number": number, "record_bytes": size})
        digests = {tag_digest(key, tag_text(value)) for key, value in record.tags.items()}
        if digests:
            rows = [{"task_id": record.task_id, "tag_digest": digest} for digest in sorted(digests)]
            await connection.execute(_INSERT_TAGS, rows)
        return replace(record, admitted=admitted)

    async def _same_request(self, connection: AsyncConnection, record: TaskRecord) -> TaskRecord | None:
        """Return the task that an earlier call with this request_id created. An expired task loses its request_id."""
        if not record.request_id:
            return None
        same = (tasks.c.project_name == record.project_name, tasks.c.request_key == record.request_id)
        row = (await connection.execute(select(tasks).where(*same))).mappings().one_or_none()
        if row is None:
            return None
        earlier = task_record(row)
        if earlier.start_time > record.start_time - self._request_window:
            return earlier
        await connection.execute(update(tasks).where(*same, tasks.c.task_id == earlier.task_id).values(request_key=None))
        return None

    async def _raise_refusal(self, record: TaskRecord) -> None:
        """Raise the reason why the database refused a record; return if inserting it again may succeed."""
        async with self._database.read() as connection:
            await _require_project(connection, record.project_name)
            if not record.request_id and await _find(connection, record.task_id) is not None:
                raise ResourceAlreadyExists(f"The specified resource task/{record.task_id} already exists.")

    async def _walk(
        self, query: Select[Any], key: Any, names: tuple[str, ...], size: int = _BATCH
    ) -> AsyncIterator[RowMapping]:
        """Yield a long result in batches, so that no connection is held while the caller works on a row."""
        position: tuple[Any, ...] | None = None
        while True:
            batch = query.where(key > tuple_(*position)) if position is not None else query
            async with self._database.read() as connection:
                rows = (await connection.execute(batch.limit(size))).mappings().all()
            for row in rows:
                yield row
            if len(rows) < size:
                return
            position = tuple(rows[-1][name] for name in names)


async def _find(
    connection: AsyncConnection, task_id: str, request: bool = True, work: bool = True, project_name: str | None = None
) -> TaskRecord | None:
    query = _one_task(request, work, project_name is not None)
    row = (await connection.execute(query, {"id": task_id, "project": project_name})).mappings().one_or_none()
    return None if row is None else task_record(row)


@cache
def _one_task(request: bool, work: bool, of_project: bool) -> Select[Any]:
    """Return the statement that finds a task by `id`, and by `project`: made once, which takes longer than to run it."""
    query = shown_tasks(request, work).where(tasks.c.task_id == bindparam("id"))
    return query.where(tasks.c.project_name == bindparam("project")) if of_project else query


async def _require_project(connection: AsyncConnection, project_name: str) -> None:
    query = select(projects.c.project_name).where(projects.c.project_name == project_name)
    if (await connection.execute(query)).one_or_none() is None:
        raise no_such_project(project_name)
