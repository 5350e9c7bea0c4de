"""Count tasks by status and project, and list those that wait."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, false, func, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from reelmill_server.model.task import TaskStatus
from reelmill_server.tasks.tables import IS_RUNNING, projects, task_progress, tasks


async def with_waiting_tasks(connection: AsyncConnection, *conditions: ColumnElement[bool]) -> Sequence[str]:
    """Return the projects that meet `conditions` and have waiting tasks."""
    its = tasks.c.project_name == projects.c.project_name
    waiting_task = select(tasks.c.task_id).where(its, tasks.c.admitted.is_(false()), IS_RUNNING).exists()
    names = await connection.execute(select(projects.c.project_name).where(waiting_task, *conditions))
    return [str(name) for name in names.scalars()]


async def waiting(connection: AsyncConnection, project_name: str, limit: int) -> Sequence[str]:
    """Return the ids of the unfinished tasks of a project that no worker has, in the order of their turns, `limit` at most."""
    at_work = select(task_progress.c.task_id).where(task_progress.c.working.is_(true()))
    query = select(tasks.c.task_id).where(tasks.c.project_name == project_name, IS_RUNNING, tasks.c.task_id.not_in(at_work))
    order = (tasks.c.admitted.desc(), tasks.c.priority, tasks.c.start_time, tasks.c.task_id)
    return [str(name) for name in (await connection.execute(query.order_by(*order).limit(limit))).scalars()]


async def ended(connection: AsyncConnection) -> Mapping[TaskStatus, int]:
    """Return the number of tasks of each final status, over all projects."""
    final = [status.value for status in TaskStatus if status.final]
    query = select(tasks.c.status, func.count()).where(tasks.c.status.in_(final)).group_by(tasks.c.status)
    counts = {status: int(count) for status, count in await connection.execute(query)}
    return {TaskStatus(status): counts.get(status, 0) for status in final}


async def by_project(connection: AsyncConnection) -> Mapping[str, tuple[int, int]]:
    """Return, for each project with unfinished tasks, how many are admitted and how many are waiting."""
    query = (
        select(tasks.c.project_name, tasks.c.admitted, func.count())
        .where(IS_RUNNING)
        .group_by(tasks.c.project_name, tasks.c.admitted)
    )
    counts: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for project, admitted, count in await connection.execute(query):
        counts[project][0 if admitted else 1] = int(count)
    return {project: (admitted, waiting) for project, (admitted, waiting) in counts.items()}
