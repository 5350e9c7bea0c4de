"""Project records."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, delete, exists, false, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from reelmill_server.errors import LimitExceeded, ResourceAlreadyExists, ResourceNotFound, StatusConflict
from reelmill_server.model.project import DATASET_LIMITS, Project, ProjectPage
from reelmill_server.tasks.database import Database, Lock
from reelmill_server.tasks.page_tokens import decode_token, encode_token, query_digest
from reelmill_server.tasks.rows import project_record, to_microseconds
from reelmill_server.tasks.tables import IS_RUNNING, project_tags, projects, tasks

_LAST_CHARACTER = chr(0x10FFFF)
_EVERY = "*"
_PRIORITIES = range(1, 6)


def _has_unfinished(priority: int) -> ColumnElement[bool]:
    """Look for an unfinished task of a priority: some steps in an index, however many there are."""
    its = (tasks.c.project_name == projects.c.project_name, IS_RUNNING, tasks.c.admitted.in_((True, False)))
    return exists().where(*its, tasks.c.priority == priority).label(f"has_{priority}")


FOR_NEW_TASK = select(projects, *map(_has_unfinished, _PRIORITIES)).where(projects.c.project_name == bindparam("name"))
"""Query of what a new task needs of the project `name`; built once, as each submit runs it."""


def no_such_project(project_name: str) -> ResourceNotFound:
    """Return the contract's error for a project that does not exist."""
    return ResourceNotFound(f"The specified resource project/{project_name} is not found.")


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class ProjectPatch:
    """Changes to a project; None: unchanged. `tags` replace all tags, `dataset_limits` and `quotas` (by the names of Quotas)
    only those named."""

    description: str | None = None
    tags: Mapping[str, str] | None = None
    dataset_limits: Mapping[str, int] | None = None
    service_role: str | None = None
    quotas: Mapping[str, float] = field(default_factory=dict)


class ProjectStore:
    """Projects in a database. The API validates names; here any text without U+0000 is allowed."""

    def __init__(self, database: Database, max_projects: int = 100, clock: Callable[[], datetime] = _utc_now) -> None:
        """Store projects in `database`, at most `max_projects`; `clock` returns the time in UTC."""
        self._database = database
        self._max_projects = max_projects
        self._clock = clock

    async def create(self, project_name: str, patch: ProjectPatch = ProjectPatch()) -> Project:
        """Create a project. Raises ResourceAlreadyExists if the name is taken, LimitExceeded if there are too many projects."""
        return await self._create(project_name, patch, self._max_projects)

    async def ensure(self, project_name: str) -> Project:
        """Return the project with this name, creating it if necessary, without a limit: the operator requests it."""
        try:
            return await self.get(project_name)
        except ResourceNotFound:
            pass
        try:
            return await self._create(project_name, ProjectPatch(), None)
        except ResourceAlreadyExists:  # another replica was faster
            return await self.get(project_name)

    async def get(self, project_name: str) -> Project:
        """Return a project. Raises ResourceNotFound."""
        async with self._database.read() as connection:
            return await self._read(connection, project_name)

    async def for_new_task(self, project_name: str) -> tuple[Project, Collection[int]]:
        """Return a project, without its tags, and the priorities of its unfinished tasks. Raises ResourceNotFound."""
        async with self._database.read() as connection:
            row = (await connection.execute(FOR_NEW_TASK, {"name": project_name})).mappings().one_or_none()
        if row is None:
            raise no_such_project(project_name)
        return project_record(row, {}), [priority for priority in _PRIORITIES if row[f"has_{priority}"]]

    async def update(self, project_name: str, patch: ProjectPatch) -> Project:
        """Change what the patch names. Raises ResourceNotFound."""
        async with self._database.write() as connection:
            before = await self._read(connection, project_name, lock=True)
            values: dict[str, Any] = {
                "update_time": max(to_microseconds(self._clock()), to_microseconds(before.update_time) + 1)
            }
            if patch.description is not None:
                values["description"] = patch.description
            if patch.service_role is not None:
                values["service_role"] = patch.service_role
            if patch.dataset_limits is not None:
                values["dataset_limits"] = json.dumps({**before.dataset_limits, **patch.dataset_limits})
            values.update(patch.quotas)
            await connection.execute(update(projects).where(projects.c.project_name == project_name).values(values))
            if patch.tags is not None:
                await connection.execute(delete(project_tags).where(project_tags.c.project_name == project_name))
                await _insert_tags(connection, project_name, patch.tags)
            return await self._read(connection, project_name)

    async def list(
        self,
        prefix: str = "",
        tags: Sequence[tuple[str, str]] = (),
        limit: int = 100,
        next_token: str = "",
        visible: Sequence[str] = (_EVERY,),
    ) -> ProjectPage:
        """Return a page of the projects whose names begin with `prefix` and that have all the tags, by name.

        `limit` is 1 to 200 projects; `visible` are names, and prefixes that end in `*`: other projects are left out. Raises
        InvalidArgument for a token of another query.
        """
        digest = query_digest("projects", prefix, sorted(tags), *([] if _EVERY in visible else [sorted(visible)]))
        query = select(projects).order_by(projects.c.project_name).limit(limit + 1)
        if _EVERY not in visible:
            query = query.where(or_(false(), *map(_named, visible)))
        if prefix:
            query = query.where(_begins(prefix))
        for key, value in tags:
            query = query.where(projects.c.project_name.in_(_tagged(key, value)))
        if next_token:
            query = query.where(projects.c.project_name > decode_token(next_token, digest, (str,))[0])
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
            page = rows[:limit]
            tags_by_project = await _read_tags(connection, [row["project_name"] for row in page])
        token = encode_token((page[-1]["project_name"],), digest) if len(rows) > limit else ""
        return ProjectPage(tuple(project_record(row, tags_by_project.get(row["project_name"], {})) for row in page), token)

    async def delete(self, project_name: str) -> None:
        """Delete a project with its finished tasks. Raises ResourceNotFound, and StatusConflict while tasks are running."""
        async with self._database.write() as connection:
            # The lock blocks new tasks of the project, which refer to its row, until it is deleted.
            await self._read(connection, project_name, lock=True)
            running = select(func.count()).where(tasks.c.project_name == project_name, IS_RUNNING)
            count = (await connection.execute(running)).scalar_one()
            if count:
                raise StatusConflict(f"The project {project_name} has {count} running tasks: wait for them or cancel them.")
            await connection.execute(delete(tasks).where(tasks.c.project_name == project_name))
            await connection.execute(delete(projects).where(projects.c.project_name == project_name))

    async def _create(self, project_name: str, patch: ProjectPatch, quota: int | None) -> Project:
        now = to_microseconds(self._clock())
        row = {
            "project_name": project_name,
            "description": patch.description or "",
            "service_role": patch.service_role or "",
            "dataset_limits": json.dumps({**DATASET_LIMITS, **(patch.dataset_limits or {})}),
            "create_time": now,
            "update_time": now,
            **patch.quotas,
        }
        try:
            async with self._database.write(Lock.CREATE_PROJECT) as connection:
                await connection.execute(insert(projects).values(row))
                count = (await connection.execute(select(func.count()).select_from(projects))).scalar_one()
                if quota is not None and count > quota:
                    raise LimitExceeded(f"The resource count exceeds the limit of {quota} projects.")
                await _insert_tags(connection, project_name, patch.tags or {})
                return await self._read(connection, project_name)
        except IntegrityError:
            raise ResourceAlreadyExists(f"The specified resource project/{project_name} already exists.") from None

    async def _read(self, connection: AsyncConnection, project_name: str, lock: bool = False) -> Project:
        query = select(projects).where(projects.c.project_name == project_name)
        row = (await connection.execute(query.with_for_update() if lock else query)).mappings().one_or_none()
        if row is None:
            raise no_such_project(project_name)
        return project_record(row, (await _read_tags(connection, [project_name])).get(project_name, {}))


def _tagged(key: str, value: str) -> Select[tuple[str]]:
    return select(project_tags.c.project_name).where(project_tags.c.key == key, project_tags.c.value == value)


def _begins(prefix: str) -> ColumnElement[bool]:
    return and_(projects.c.project_name >= prefix, projects.c.project_name < prefix + _LAST_CHARACTER)


def _named(pattern: str) -> ColumnElement[bool]:
    return _begins(pattern[:-1]) if pattern.endswith("*") else projects.c.project_name == pattern


async def _insert_tags(connection: AsyncConnection, project_name: str, tags: Mapping[str, str]) -> None:
    if tags:
        rows = [{"project_name": project_name, "key": key, "value": value} for key, value in tags.items()]
        await connection.execute(insert(project_tags), rows)


async def _read_tags(connection: AsyncConnection, names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    """Return the tags of those of the projects that have any, by key."""
    query = select(project_tags).where(project_tags.c.project_name.in_(names)).order_by(project_tags.c.key)
    tags: dict[str, dict[str, str]] = {}
    for row in (await connection.execute(query)).mappings() if names else ():
        tags.setdefault(row["project_name"], {})[row["key"]] = row["value"]
    return tags
