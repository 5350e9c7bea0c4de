"""Progress of unfinished tasks, kept beside their rows: written by one replica, read by all."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, case, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from reelmill_server.model.task import UNREPORTED, ReportedProgress
from reelmill_server.tasks.database import Database
from reelmill_server.tasks.leases import HOUSEKEEPING, Lease
from reelmill_server.tasks.rows import encode_progress, report_columns, report_of
from reelmill_server.tasks.tables import IS_RUNNING, leases, task_progress, tasks

_BATCH = 500


def _select_progress(condition: ColumnElement[bool]) -> Select[Any]:
    return select(task_progress.c.task_id, *report_columns()).where(condition)


def _write(insert: Any) -> Any:
    new, old = insert.excluded, task_progress.c
    values: dict[str, Any] = {name: new[name] for name in ("round", "progress", "working", "lane")}
    values["percent"] = case((old.percent > new.percent, old.percent), else_=new.percent)
    return insert.on_conflict_do_update(index_elements=["task_id"], set_=values)


# Made once: each task that is worked on needs most of these.
_ROUND = select(leases.c.round).where(leases.c.name == HOUSEKEEPING)
_SINCE = _select_progress(task_progress.c.round > bindparam("number"))
_OF = _select_progress(task_progress.c.task_id.in_(bindparam("tasks", expanding=True)))
_WORKING = _select_progress(task_progress.c.working.is_(True))
_UNFINISHED = select(tasks.c.task_id).where(tasks.c.task_id.in_(bindparam("tasks", expanding=True)), IS_RUNNING)
_WRITE_SQLITE, _WRITE_POSTGRESQL = _write(sqlite.insert(task_progress)), _write(postgresql.insert(task_progress))


class ProgressStore:
    """Progress in the database."""

    def __init__(self, database: Database, lease: Lease) -> None:
        """Write as long as `lease` is held."""
        self._database, self._lease, self._lanes = database, lease, ""

    async def tell(self, reports: Mapping[str, ReportedProgress]) -> None:
        """Write what is told of tasks, as far as they are unfinished; percentages never decrease. Raises ServiceUnavailable."""
        ids = sorted(reports)
        async with self._database.write() as connection:
            number = await self._lease.advance(connection)
            for begin in range(0, len(ids) if number else 0, _BATCH):
                await self._write(connection, number, {name: reports[name] for name in ids[begin : begin + _BATCH]})

    async def tell_problems(self, problems: Mapping[str, str]) -> None:
        """Write why these tasks do not go on, and that all others do. Raises ServiceUnavailable."""
        query = select(task_progress.c.task_id, task_progress.c.problem).where(task_progress.c.problem != "")
        async with self._database.read() as connection:
            known = {str(task_id): str(problem) for task_id, problem in await connection.execute(query)}
        changed = {
            name: problems.get(name, "") for name in {*known, *problems} if known.get(name, "") != problems.get(name, "")
        }
        if not changed:
            return
        async with self._database.write() as connection:
            number = await self._lease.advance(connection)
            if number:
                have = await _known(connection, changed)
                missing = {name: UNREPORTED for name in changed if name not in have}
                await self._write(connection, number, missing)
                for name, problem in changed.items():
                    row = update(task_progress).where(task_progress.c.task_id == name)
                    await connection.execute(row.values(problem=problem, round=number))

    async def since(self, number: int) -> tuple[int, Mapping[str, ReportedProgress]]:
        """Return the last round, and what was told after the round `number`."""
        async with self._database.read() as connection:
            head = int((await connection.execute(_ROUND)).scalar_one())
            return head, await _reported(connection, _SINCE, {"number": number}) if head > number else {}

    async def of(self, task_ids: Collection[str]) -> Mapping[str, ReportedProgress]:
        """Return what is told of these tasks."""
        async with self._database.read() as connection:
            return await _reported(connection, _OF, {"tasks": list(task_ids)})

    async def working(self) -> Mapping[str, ReportedProgress]:
        """Return what is told of the tasks that workers have."""
        async with self._database.read() as connection:
            return await _reported(connection, _WORKING, {})

    async def tell_lanes(self, lanes: Mapping[str, int]) -> None:
        """Write how many workers serve each lane, if that has changed. Raises ServiceUnavailable."""
        text = json.dumps(lanes, sort_keys=True)
        if text != self._lanes:
            async with self._database.write() as connection:
                if await self._lease.advance(connection):
                    await connection.execute(update(leases).where(leases.c.name == HOUSEKEEPING).values(state=text))
                    self._lanes = text

    async def lanes(self) -> Mapping[str, int]:
        """Return how many workers serve each lane; empty: nobody has looked yet."""
        async with self._database.read() as connection:
            state = select(leases.c.state).where(leases.c.name == HOUSEKEEPING)
            text = (await connection.execute(state)).scalar_one()
        workers: dict[str, int] = json.loads(text or "{}")
        return workers

    async def forget_ended(self) -> None:
        """Delete what is told of tasks that replicas of an earlier version have finished."""
        ended = select(task_progress.c.task_id).join(tasks).where(~IS_RUNNING)
        async with self._database.read() as connection:
            ids = (await connection.execute(ended.limit(_BATCH))).scalars().all()
        if ids:
            async with self._database.write() as connection:
                await connection.execute(delete(task_progress).where(task_progress.c.task_id.in_(ids)))

    async def _write(self, connection: AsyncConnection, number: int, reports: Mapping[str, ReportedProgress]) -> None:
        rows = [
            {
                "task_id": task_id,
                "round": number,
                "percent": reports[task_id].progress.percent,
                "progress": encode_progress(reports[task_id].progress),
                "working": reports[task_id].working,
                "lane": reports[task_id].lane,
            }
            for task_id in (await connection.execute(_UNFINISHED, {"tasks": list(reports)})).scalars()
        ]
        if rows:
            await connection.execute(_WRITE_SQLITE if self._database.is_sqlite else _WRITE_POSTGRESQL, rows)


async def _reported(connection: AsyncConnection, query: Select[Any], values: Mapping[str, Any]) -> dict[str, ReportedProgress]:
    rows = await connection.execute(query, values)
    return {row["task_id"]: report_of(row) for row in rows.mappings()}


async def _known(connection: AsyncConnection, task_ids: Collection[str]) -> set[str]:
    query = select(task_progress.c.task_id).where(task_progress.c.task_id.in_(task_ids))
    return set((await connection.execute(query)).scalars())
