"""Task records."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, func, insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from reelmill_server.errors import ResourceAlreadyExists, ResourceNotFound
from reelmill_server.model.notification import Recipient
from reelmill_server.model.project import NO_QUOTAS, Quotas
from reelmill_server.model.task import Outcome, TaskPage, TaskQuery, TaskRecord, TaskStatus, tag_text
from reelmill_server.tasks.codec import encode_outcome, task_record, task_row, to_microseconds
from reelmill_server.tasks.database import Database
from reelmill_server.tasks.listing import is_first_page, page_of, page_query
from reelmill_server.tasks.notifications import insert_waiting, release
from reelmill_server.tasks.projects import no_such_project
from reelmill_server.tasks.quotas import admit, placed, unfinished
from reelmill_server.tasks.selector import tag_digest
from reelmill_server.tasks.tables import projects, task_tags, tasks

_INSERT_TRIES = 5
_BATCH = 500
_KEPT_AFTER_END = timedelta(hours=1)
_IS_RUNNING: ColumnElement[bool] = tasks.c.status == TaskStatus.RUNNING.value


def no_such_task(project_name: str, task_id: str) -> ResourceNotFound:
    """Make the error for a task that does not exist, in the contract's words."""
    return ResourceNotFound(f"The specified resource project/{project_name}/task/{task_id} is not found.")


class TaskStore:
    """Tasks in a database. A task is inserted RUNNING, is finished once, and is deleted when its time is over."""

    def __init__(self, database: Database, request_window: timedelta = timedelta(days=7), quotas: Quotas = NO_QUOTAS) -> None:
        """Keep tasks in `database`; within `request_window` of a task's start its request_id stands for it; `quotas` hold for
        projects that have none of their own."""
        self._database, self._request_window, self._quotas = database, request_window, quotas

    async def insert(self, record: TaskRecord, recipients: Sequence[Recipient] = ()) -> tuple[TaskRecord, bool]:
        """Insert a task, with those who shall hear of its end, unless its project has one of the same request_id.

        Give the task that is there, and whether it is new. An empty request_id is never the same. One of a task that started
        more than the window before `record` no longer counts. ResourceNotFound when the project does not exist,
        ResourceAlreadyExists when the task id is taken, QuotaExceeded when the project has as many tasks as it may have.
        """
        for _ in range(_INSERT_TRIES):
            try:
                async with self._database.write() as connection:
                    earlier = await self._same_request(connection, record)
                    if earlier is None:
                        record = await placed(connection, record, self._quotas)
                        await _insert_task(connection, record)
                        await insert_waiting(connection, record, recipients)
                    return earlier or record, earlier is None
            except IntegrityError:
                # Either the project or the id is wrong, or another call with this request_id was faster: look again.
                await self._refuse(record)
        raise ResourceAlreadyExists(f"The specified resource task/{record.task_id} already exists.")

    async def get(self, project_name: str, task_id: str) -> TaskRecord:
        """Read a task of a project; ResourceNotFound when there is none."""
        async with self._database.read() as connection:
            record = await _find(connection, task_id)
            if record is None or record.project_name != project_name:
                await _require_project(connection, project_name)
                raise no_such_task(project_name, task_id)
            return record

    async def find(self, task_id: str) -> TaskRecord | None:
        """Read a task of any project; None when there is none."""
        async with self._database.read() as connection:
            return await _find(connection, task_id)

    async def list(self, query: TaskQuery) -> TaskPage:
        """Give one page of a project's tasks, filtered and sorted as the query says; ties go by task id, in the same direction.

        A running task has no end yet and sorts as if it ended last. Going through all pages gives every task that matched
        all the while exactly once, whatever is inserted meanwhile. ResourceNotFound when the project does not exist,
        InvalidArgument for an unknown sort and for a token that is not of this query.
        """
        statement = page_query(query)
        async with self._database.read() as connection:
            rows = (await connection.execute(statement)).mappings().all()
            if not rows and is_first_page(query):
                await _require_project(connection, query.project_name)
        return page_of(query, rows)

    async def mark_started(self, task_id: str) -> None:
        """Note that the engine has the task."""
        async with self._database.write() as connection:
            await connection.execute(update(tasks).where(tasks.c.task_id == task_id).values(engine_started=True))

    async def request_cancel(self, task_id: str) -> TaskRecord:
        """Note that a task shall be canceled, if it runs, and give it as it is then; ResourceNotFound when there is none."""
        async with self._database.write() as connection:
            await connection.execute(update(tasks).where(tasks.c.task_id == task_id, _IS_RUNNING).values(cancel_requested=True))
            record = await _find(connection, task_id)
        if record is None:
            raise ResourceNotFound(f"The specified resource task/{task_id} is not found.")
        return record

    async def finish(self, task_id: str, outcome: Outcome, end_time: datetime) -> bool:
        """Bring a running task to its final status, and make its notifications due.

        Give whether this call did it: the first wins, an unknown id is False.
        """
        if not outcome.status.final:
            raise ValueError(f"expected a final status, not {outcome.status}")
        values = {"status": outcome.status.value, "end_time": to_microseconds(end_time), "outcome": encode_outcome(outcome)}
        async with self._database.write() as connection:
            result = await connection.execute(update(tasks).where(tasks.c.task_id == task_id, _IS_RUNNING).values(values))
            if result.rowcount == 1:
                await release(connection, task_id, end_time)
        return result.rowcount == 1

    async def unstarted(self, older_than: datetime) -> AsyncIterator[TaskRecord]:
        """Go through the running tasks that started before `older_than` and that the engine lacks, oldest first.

        Those that wait for others of their project are not meant, unless they shall be canceled.
        """
        key = tuple_(tasks.c.start_time, tasks.c.task_id)
        query = (
            select(tasks)
            .where(tasks.c.engine_started.is_(False), _IS_RUNNING, tasks.c.start_time < to_microseconds(older_than))
            .where(tasks.c.admitted | tasks.c.cancel_requested)
            .order_by(tasks.c.start_time, tasks.c.task_id)
        )
        async for record in self._walk(query, key, ("start_time", "task_id")):
            yield record

    async def running(self, limit: int | None = None, after: str = "") -> AsyncIterator[TaskRecord]:
        """Go through the running tasks by task id, those after the id `after`, at most `limit`."""
        query = select(tasks).where(_IS_RUNNING, tasks.c.task_id > after).order_by(tasks.c.task_id)
        async for record in self._walk(query, tuple_(tasks.c.task_id), ("task_id",)):
            if limit is not None:
                if limit <= 0:
                    return
                limit -= 1
            yield record

    async def count_unfinished(self, project_name: str) -> tuple[int, int]:
        """Count the unfinished tasks of a project: those that may be at work, and those that wait for them."""
        async with self._database.read() as connection:
            return await unfinished(connection, project_name)

    async def admit(self, project_name: str) -> Sequence[TaskRecord]:
        """Let waiting tasks of a project follow those that ended, as its quotas say; give those that may now be started."""
        async with self._database.write() as connection:
            return await admit(connection, project_name, self._quotas)

    async def projects_that_wait(self) -> Sequence[str]:
        """Name the projects of which tasks wait for others."""
        query = select(tasks.c.project_name).where(tasks.c.admitted.is_(False), _IS_RUNNING).distinct()
        async with self._database.read() as connection:
            return [str(name) for name in (await connection.execute(query)).scalars()]

    async def counts(self) -> Mapping[TaskStatus, int]:
        """Count the tasks of each status, over all projects; 0 where there are none."""
        query = select(tasks.c.status, func.count()).group_by(tasks.c.status)
        async with self._database.read() as connection:
            found = {TaskStatus(status): int(count) for status, count in await connection.execute(query)}
        return {status: found.get(status, 0) for status in TaskStatus}

    async def counts_by_project(self) -> Mapping[str, tuple[int, int]]:
        """Count the unfinished tasks of each project that has some: those that may be at work, and those that wait for them."""
        query = (
            select(tasks.c.project_name, tasks.c.admitted, func.count())
            .where(_IS_RUNNING)
            .group_by(tasks.c.project_name, tasks.c.admitted)
        )
        found: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        async with self._database.read() as connection:
            for project, admitted, count in await connection.execute(query):
                found[project][0 if admitted else 1] = int(count)
        return {project: (admitted, waiting) for project, (admitted, waiting) in found.items()}

    async def expire(self, before: datetime) -> int:
        """Delete the finished tasks that started before this time, a batch a transaction; give how many.

        One that ended in the last hour stays, however long it took: whoever watches it must see its end.
        """
        ended = to_microseconds(datetime.now(UTC) - _KEPT_AFTER_END)
        old = (tasks.c.start_time < to_microseconds(before), tasks.c.end_time < ended, ~_IS_RUNNING)
        batch = select(tasks.c.task_id).where(*old).limit(_BATCH)
        total = 0
        while True:
            async with self._database.write() as connection:
                deleted = (await connection.execute(delete(tasks).where(tasks.c.task_id.in_(batch)))).rowcount
            total += deleted
            if deleted < _BATCH:
                return total

    async def _same_request(self, connection: AsyncConnection, record: TaskRecord) -> TaskRecord | None:
        """The task that this request already made. One that is too old loses the request_id, so that it is free again."""
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

    async def _refuse(self, record: TaskRecord) -> None:
        """Raise what is wrong with a record that the database refused; nothing when it may be taken now."""
        async with self._database.read() as connection:
            await _require_project(connection, record.project_name)
            if not record.request_id and await _find(connection, record.task_id) is not None:
                raise ResourceAlreadyExists(f"The specified resource task/{record.task_id} already exists.")

    async def _walk(self, query: Select[Any], key: Any, names: tuple[str, ...]) -> AsyncIterator[TaskRecord]:
        """Read a long result in batches, so that no connection is held while the caller works on a record."""
        position: tuple[Any, ...] | None = None
        while True:
            batch = query.where(key > tuple_(*position)) if position is not None else query
            async with self._database.read() as connection:
                rows = (await connection.execute(batch.limit(_BATCH))).mappings().all()
            for row in rows:
                yield task_record(row)
            if len(rows) < _BATCH:
                return
            position = tuple(rows[-1][name] for name in names)


async def _insert_task(connection: AsyncConnection, record: TaskRecord) -> None:
    await connection.execute(insert(tasks).values(task_row(record)))
    labels = {tag_digest(key, tag_text(value)) for key, value in record.tags.items()}
    if labels:
        rows = [{"task_id": record.task_id, "tag_digest": label} for label in sorted(labels)]
        await connection.execute(insert(task_tags), rows)


async def _find(connection: AsyncConnection, task_id: str) -> TaskRecord | None:
    row = (await connection.execute(select(tasks).where(tasks.c.task_id == task_id))).mappings().one_or_none()
    return None if row is None else task_record(row)


async def _require_project(connection: AsyncConnection, project_name: str) -> None:
    query = select(projects.c.project_name).where(projects.c.project_name == project_name)
    if (await connection.execute(query)).one_or_none() is None:
        raise no_such_project(project_name)
