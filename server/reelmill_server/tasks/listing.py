"""ListTasks as SQL: filters, sort orders and pages."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, FromClause, RowMapping, Select, exists, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from reelmill_server.errors import InvalidArgument, Violation
from reelmill_server.model.task import TaskPage, TaskQuery
from reelmill_server.tasks.page_tokens import Position, decode_token, encode_token, query_digest
from reelmill_server.tasks.rows import shown_tasks, task_record, to_microseconds
from reelmill_server.tasks.selector import tag_digest
from reelmill_server.tasks.tables import NOT_ENDED, task_tags, tasks

_SORT_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "task_id": ("task_id",),
    "start_time": ("start_time", "task_id"),
    "end_time": ("end_time", "task_id"),
}
MAX_PAGE_BYTES = 3 << 20
"""Most bytes of a page of several tasks: gRPC's clients accept messages of 4 MiB by default."""
_RARE = 5_000
"""Tasks with a tag that are looked at one by one, rather than all tasks in the order of the list until a page is full."""
_SEARCHED = (tasks.c.task_id, tasks.c.project_name, tasks.c.status, tasks.c.start_time, tasks.c.end_time)
_KINDS: Mapping[str, type[int] | type[str]] = {"task_id": str, "start_time": int, "end_time": int}


def page_query(query: TaskQuery, source: FromClause) -> Select[Any]:
    """Return the statement that selects a page, plus one row to determine whether another page follows.

    `source`: what is to be searched. Raises InvalidArgument for an unknown sort key and for a token of another query.
    """
    names = _sort_columns(query)
    columns = [source.c[name] for name in names]
    conditions = filters(query, source.c)
    if not is_first_page(query):
        position = decode_token(query.next_token, _digest(query), tuple(_KINDS[name] for name in names))
        key, last = tuple_(*columns), tuple_(*position)
        conditions.append(key < last if query.descending else key > last)
    if source is tasks:
        return _first(shown_tasks(query.requests).where(*conditions), columns, query)
    ids = _first(select(source.c.task_id).where(*conditions), columns, query)
    return _first(shown_tasks(query.requests).where(tasks.c.task_id.in_(ids)), [tasks.c[name] for name in names], query)


def _first(statement: Select[Any], columns: Sequence[ColumnElement[Any]], query: TaskQuery) -> Select[Any]:
    order = (column.desc() if query.descending else column.asc() for column in columns)
    return statement.order_by(*order).limit(query.limit + 1)


async def searched(connection: AsyncConnection, query: TaskQuery) -> FromClause:
    """Return what to search for the tasks of a query: those with a tag of it that few have, else all of them."""
    for tag in query.tags:
        having = select(task_tags.c.task_id).where(task_tags.c.tag_digest == tag_digest(*tag))
        count = select(func.count()).select_from(having.limit(_RARE + 1).subquery())
        if (await connection.execute(count)).scalar_one() <= _RARE:
            # A LIMIT, of more than there are, keeps databases from walking through all tasks in the order of the list.
            return select(*_SEARCHED).where(tasks.c.task_id.in_(having)).limit(2 * _RARE).subquery()
    return tasks


def page_of(query: TaskQuery, rows: Sequence[RowMapping]) -> TaskPage:
    """Return the page for the rows of page_query's statement: fewer than the query asks for if they would not fit into a
    message.
    """
    count = _fitting(rows[: query.limit])
    page, token = rows[:count], ""
    if len(rows) > count:
        position: Position = tuple(page[-1][name] for name in _sort_columns(query))
        token = encode_token(position, _digest(query))
    return TaskPage(tuple(task_record(row) for row in page), token)


def _fitting(rows: Sequence[RowMapping]) -> int:
    """Return how many of the rows fit into a page, at least one."""
    total = 0
    for number, row in enumerate(rows):
        total += sum(len(str(value).encode()) for value in row.values())
        if number and total > MAX_PAGE_BYTES:
            return number
    return len(rows)


def is_first_page(query: TaskQuery) -> bool:
    """Return whether a query requests the first page."""
    return not query.next_token


def _sort_columns(query: TaskQuery) -> tuple[str, ...]:
    if query.sort not in _SORT_COLUMNS:
        raise InvalidArgument(violations=[Violation("sort", f"expected one of {', '.join(_SORT_COLUMNS)}")])
    return _SORT_COLUMNS[query.sort]


def filters(query: TaskQuery, columns: ReadOnlyColumnCollection[str, Any] = tasks.c) -> list[ColumnElement[bool]]:
    """Return the conditions of a query, without its position, on these columns of tasks."""
    conditions: list[ColumnElement[bool]] = [columns.project_name == query.project_name]
    if query.statuses:
        conditions.append(columns.status.in_(sorted(status.value for status in query.statuses)))
    for key, text in query.tags:
        same = (task_tags.c.task_id == columns.task_id, task_tags.c.tag_digest == tag_digest(key, text))
        conditions.append(exists().where(*same))
    bounds = (
        (columns.start_time, query.start_from, query.start_to),
        (columns.end_time, query.end_from, query.end_to),
    )
    for column, first, last in bounds:
        if first is not None:
            conditions.append(column >= to_microseconds(first))
        if last is not None:
            conditions.append(column <= to_microseconds(last))
    if query.end_from is not None or query.end_to is not None:
        conditions.append(columns.end_time < NOT_ENDED)  # a running task has no end time that could be in the range
    return conditions


def _digest(query: TaskQuery) -> str:
    def microseconds(time: datetime | None) -> int | None:
        return None if time is None else to_microseconds(time)

    return query_digest(
        "tasks",
        query.project_name,
        sorted(query.statuses),
        sorted(query.tags),
        microseconds(query.start_from),
        microseconds(query.start_to),
        microseconds(query.end_from),
        microseconds(query.end_to),
        query.sort,
        query.descending,
    )
