"""Quotas of projects: a limited number of tasks runs at once, and the others wait in order."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import bindparam, exists, false, func, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from reelmill_server.errors import QuotaExceeded, Violation
from reelmill_server.model.project import Quotas
from reelmill_server.model.task import TaskRecord
from reelmill_server.tasks.changes import counted, next_change
from reelmill_server.tasks.rows import task_record, to_microseconds
from reelmill_server.tasks.tables import IS_RUNNING, projects, tasks

_MOST_SURPLUS = 1.1  # what is beyond the limit is deleted soon, unless it ended lately
_QUOTAS = (projects.c.engine_concurrency, projects.c.max_queued_tasks, projects.c.fairness_weight)
# Made once: each new task needs them.
_COUNT = counted(projects.c.project_name == bindparam("name"), bindparam("size")).returning(
    *_QUOTAS, projects.c.record_bytes, projects.c.change_count
)
_ITS = (tasks.c.project_name == bindparam("name"), IS_RUNNING)
_SOME_RUNNING = select(tasks.c.task_id).where(*_ITS, tasks.c.admitted.is_(true())).limit(bindparam("concurrency")).subquery()
# No more tasks are counted than the quotas allow, however many there are.
_ROOM = select(
    exists().where(*_ITS, tasks.c.admitted.is_(false())).label("waits"),
    select(func.count()).select_from(_SOME_RUNNING).scalar_subquery().label("running"),
    select(tasks.c.task_id).where(*_ITS).offset(bindparam("last")).limit(1).exists().label("full"),
)
_UNFINISHED = select(tasks.c.admitted, func.count()).where(*_ITS).group_by(tasks.c.admitted)


async def admission(
    connection: AsyncConnection, project_name: str, size: int, defaults: Quotas, most_bytes: int = 0
) -> tuple[bool, int]:
    """Count a new task of `size` bytes; return whether it is admitted or waits, and the number of this change.

    Raises QuotaExceeded if no more may wait, or if the project's records have a tenth more than `most_bytes` (0: any number).
    The row of the project stays locked until the transaction ends, so that two replicas never admit too many. A project that
    does not exist admits all, as its tasks cannot be inserted.
    """
    row = (await connection.execute(_COUNT, {"name": project_name, "size": size})).one_or_none()
    if row is None:
        return True, 0
    quotas, stored_bytes = Quotas(*row[:3]).over(defaults), row.record_bytes - size
    if most_bytes and stored_bytes > most_bytes * _MOST_SURPLUS:
        kept = f"may have records of at most {most_bytes} bytes; ended tasks are kept for an hour"
        raise QuotaExceeded(violations=[Violation(f"project/{project_name}", kept)])
    if not quotas.engine_concurrency and not quotas.max_queued_tasks:
        return True, row.change_count
    limit = quotas.engine_concurrency + quotas.max_queued_tasks
    last = limit - 1 if quotas.max_queued_tasks else 0
    room = (
        await connection.execute(_ROOM, {"name": project_name, "concurrency": quotas.engine_concurrency, "last": last})
    ).one()
    if quotas.max_queued_tasks and room.full:
        raise QuotaExceeded(violations=[Violation(f"project/{project_name}", f"may have at most {limit} unfinished tasks")])
    admitted = not quotas.engine_concurrency or (room.running < quotas.engine_concurrency and not room.waits)
    return admitted, row.change_count


async def admit(connection: AsyncConnection, project_name: str, defaults: Quotas, most: int) -> Sequence[TaskRecord]:
    """Admit as many waiting tasks of a project as its quota allows, `most` of them, and return them: by priority, then first
    come, first served.
    """
    quotas = await _locked_quotas(connection, project_name, defaults)
    running, waiting = await unfinished(connection, project_name)
    free = min(most, quotas.engine_concurrency - running) if quotas.engine_concurrency else most
    if free <= 0 or not waiting:
        return ()
    query = (
        select(tasks)
        .where(tasks.c.project_name == project_name, tasks.c.admitted.is_(False), IS_RUNNING)
        .order_by(tasks.c.priority, tasks.c.start_time, tasks.c.task_id)
        .limit(free)
    )
    rows = (await connection.execute(query)).mappings().all()
    admitted = [replace(task_record(row), admitted=True) for row in rows]
    names = [record.task_id for record in admitted]
    now = to_microseconds(datetime.now(UTC))
    values = {"admitted": True, "admit_time": now, "change_number": await next_change(connection, project_name)}
    await connection.execute(update(tasks).where(tasks.c.task_id.in_(names)).values(values))
    return admitted


async def unfinished(connection: AsyncConnection, project_name: str) -> tuple[int, int]:
    """Return how many unfinished tasks of a project are admitted, and how many are waiting."""
    rows = await connection.execute(_UNFINISHED, {"name": project_name})
    counts = {bool(admitted): int(count) for admitted, count in rows}
    return counts.get(True, 0), counts.get(False, 0)


async def _locked_quotas(connection: AsyncConnection, project_name: str, defaults: Quotas) -> Quotas:
    """Lock the row of a project against concurrent admission; return its quotas, none for a project that does not exist."""
    query = select(*_QUOTAS).where(projects.c.project_name == project_name).with_for_update(key_share=True)
    row = (await connection.execute(query)).one_or_none()
    return Quotas(*row).over(defaults) if row else Quotas()
