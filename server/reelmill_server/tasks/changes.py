"""Changes of tasks, numbered within each project: whoever follows a project reads what has changed, and nothing else.

A change takes the next number while it holds the row of its project, until it is committed. So whoever sees a number sees all
smaller ones, on both databases.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, Update, bindparam, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningUpdate

from reelmill_server.model.task import TaskQuery, TaskRecord, TaskStatus
from reelmill_server.tasks.database import Database
from reelmill_server.tasks.leases import HOUSEKEEPING
from reelmill_server.tasks.listing import filters, searched
from reelmill_server.tasks.rows import shown_tasks, task_record
from reelmill_server.tasks.tables import IS_RUNNING, leases, projects, task_tags, tasks

BATCH = 500
_ROUND = select(leases.c.round).where(leases.c.name == HOUSEKEEPING).scalar_subquery()
_NUMBER, _ID, _PROJECT = tasks.c.change_number, tasks.c.task_id, tasks.c.project_name == bindparam("project")


def _changes(*conditions: ColumnElement[bool], order: Sequence[ColumnElement[Any]] = ()) -> Select[Any]:
    columns = (_ID, _NUMBER, tasks.c.status, tasks.c.admitted)
    return select(*columns).where(*conditions).order_by(*order, _ID).limit(BATCH)


# Made once: each watched task needs most of these, and to make them takes as long as to run them.
_HEADS = select(projects.c.project_name, projects.c.change_count, _ROUND).where(
    projects.c.project_name.in_(bindparam("projects", expanding=True))
)
_AFTER = _changes(_PROJECT, bindparam("number") < _NUMBER, order=[_NUMBER])
_AFTER_TASK = _changes(
    _PROJECT,
    tuple_(_NUMBER, _ID) > tuple_(bindparam("number", type_=_NUMBER.type), bindparam("task", type_=_ID.type)),
    order=[_NUMBER],
)
_RUNNING = _changes(_PROJECT, IS_RUNNING & tasks.c.admitted, bindparam("task") < _ID)
_OF = _changes(_ID.in_(bindparam("tasks", expanding=True)))
_SHOWN = shown_tasks().where(_ID.in_(bindparam("tasks", expanding=True)))


@dataclass(frozen=True, slots=True)
class Change:
    """The last change of a task: its number, and what the task is since."""

    task_id: str
    number: int
    status: TaskStatus
    admitted: bool


async def next_change(connection: AsyncConnection, project_name: str) -> int:
    """Return the next number of a project, whose row stays locked until the transaction ends; 0 if there is no project."""
    return await _number(connection, _NEXT, project_name)


async def next_change_of(connection: AsyncConnection, task_id: str, more_bytes: int = 0) -> int:
    """Return the number of a change of this task, while it runs. Its project is locked before it is, as everywhere.

    `more_bytes` are added to those of the project's records.
    """
    return await _number(connection, _NEXT_OF, task_id, more_bytes)


async def _number(connection: AsyncConnection, statement: ReturningUpdate[Any], name: str, more_bytes: int = 0) -> int:
    return (await connection.execute(statement, {"name": name, "size": more_bytes})).scalar_one_or_none() or 0


def counted(project: ColumnElement[bool], more_bytes: ColumnElement[int]) -> Update:
    """Return the statement that counts a change of a project, and `more_bytes`, and locks its row."""
    values = {"change_count": projects.c.change_count + 1, "record_bytes": projects.c.record_bytes + more_bytes}
    return update(projects).where(project).values(values)


def _next(name: Any) -> ReturningUpdate[Any]:
    return counted(projects.c.project_name == name, bindparam("size")).returning(projects.c.change_count)


_NEXT = _next(bindparam("name"))
_NEXT_OF = _next(select(tasks.c.project_name).where(tasks.c.task_id == bindparam("name"), IS_RUNNING).scalar_subquery())


class ChangeStore:
    """Read which tasks of a project have changed since a number, and what watchers are shown of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def heads(self, project_names: Collection[str]) -> tuple[Mapping[str, int], int]:
        """Return the number of the last change of each of these projects that exists, and the last round of progress, 0 if
        there is none of them: whoever has seen those has seen all, by one query.
        """
        async with self._database.read() as connection:
            rows = (await connection.execute(_HEADS, {"projects": list(project_names)})).all()
        return {str(name): int(count) for name, count, _ in rows}, max((int(number) for *_, number in rows), default=0)

    async def after(self, project_name: str, number: int, task_id: str = "") -> Sequence[Change]:
        """Return the next changes of a project after this one, by number, BATCH at most; "": after all of `number`."""
        position = {"project": project_name, "number": number, "task": task_id}
        return await self._read(_AFTER_TASK if task_id else _AFTER, position)

    async def running(self, project_name: str, task_id: str = "") -> Sequence[Change]:
        """Return the running tasks of a project that wait for no quota, after this id, BATCH at most."""
        return await self._read(_RUNNING, {"project": project_name, "task": task_id})

    async def of(self, task_ids: Collection[str]) -> Sequence[Change]:
        """Return the last changes of these tasks, as far as they exist."""
        return await self._read(_OF, {"tasks": list(task_ids)})

    async def matching(self, query: TaskQuery, task_id: str, limit: int) -> Sequence[str]:
        """Return the next ids of the tasks that match a query, after this one."""
        async with self._database.read() as connection:
            columns = (await searched(connection, query)).c
            statement = select(columns.task_id).where(*filters(query, columns), columns.task_id > task_id)
            rows = await connection.execute(statement.order_by(columns.task_id).limit(limit))
            return [str(name) for name in rows.scalars()]

    async def tagged(self, task_ids: Collection[str], digests: Collection[str]) -> Mapping[str, frozenset[str]]:
        """Return which of these digests of tags each of the tasks has that has any."""
        query = select(task_tags).where(task_tags.c.task_id.in_(task_ids), task_tags.c.tag_digest.in_(digests))
        digests_of: defaultdict[str, set[str]] = defaultdict(set)
        async with self._database.read() as connection:
            for task_id, digest in await connection.execute(query):
                digests_of[task_id].add(digest)
        return {task_id: frozenset(its) for task_id, its in digests_of.items()}

    async def shown(self, task_ids: Collection[str]) -> Sequence[tuple[Change, TaskRecord]]:
        """Return these tasks with their last changes, without their requests and work, as far as they exist."""
        async with self._database.read() as connection:
            rows = (await connection.execute(_SHOWN, {"tasks": list(task_ids)})).mappings().all()
        return [
            (_change(row["task_id"], row["change_number"], row["status"], row["admitted"]), task_record(row)) for row in rows
        ]

    async def _read(self, query: Select[Any], values: Mapping[str, Any]) -> Sequence[Change]:
        async with self._database.read() as connection:
            return [_change(*row) for row in await connection.execute(query, values)]


def _change(task_id: str, number: int, status: str, admitted: bool) -> Change:
    return Change(task_id, number, TaskStatus(status), admitted)
