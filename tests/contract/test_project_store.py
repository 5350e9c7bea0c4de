"""Projects in a database: the same on SQLite and on PostgreSQL."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from reelmill_server.errors import (
    InvalidArgument,
    LimitExceeded,
    ResourceAlreadyExists,
    ResourceNotFound,
    StatusConflict,
)
from reelmill_server.model.project import DATASET_LIMITS
from reelmill_server.model.task import Outcome, TaskRecord, TaskStatus
from reelmill_server.tasks.database import Database
from reelmill_server.tasks.projects import ProjectPatch, ProjectStore
from reelmill_server.tasks.store import TaskStore

NOW = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)


async def test_create_gives_back_what_get_reads(database: Database) -> None:
    """A created project is read back whole: exact UTC times, tags, limits with defaults."""
    projects = ProjectStore(database, clock=lambda: NOW)
    patch = ProjectPatch("films — ünï", {"b": "2", "a": "ö"}, {"dataset_max_bind_count": 3}, "arn:role")
    created = await projects.create("demo", patch)
    assert created == await projects.get("demo")
    assert created.create_time == created.update_time == NOW
    assert created.create_time.utcoffset() == timedelta(0)
    assert (created.description, created.tags) == ("films — ünï", {"a": "ö", "b": "2"})
    assert created.service_role == "arn:role"
    assert created.dataset_limits == {**DATASET_LIMITS, "dataset_max_bind_count": 3}


async def test_create_refuses_a_name_that_is_taken(projects: ProjectStore) -> None:
    """A second project of a name is ResourceAlreadyExists, in the contract's words, and changes nothing."""
    before = await projects.get("demo")
    with pytest.raises(ResourceAlreadyExists, match="The specified resource project/demo already exists"):
        await projects.create("demo", ProjectPatch("other"))
    assert await projects.get("demo") == before


async def test_names_differ_by_case(projects: ProjectStore) -> None:
    """demo and Demo are two projects, and a prefix tells them apart."""
    await projects.create("Demo")
    assert [project.project_name for project in (await projects.list("d")).projects] == ["demo"]


async def test_quota_holds_under_concurrency(database: Database) -> None:
    """Of ten projects created at once with room for three, three are made."""
    projects = ProjectStore(database, max_projects=3)
    results = await asyncio.gather(*(projects.create(f"p{number}") for number in range(10)), return_exceptions=True)
    assert sum(isinstance(result, LimitExceeded) for result in results) == 7
    assert len((await projects.list()).projects) == 3


async def test_ensure_is_idempotent_and_above_the_quota(database: Database) -> None:
    """Many replicas may ensure one project at once, even when callers have used up the quota."""
    projects = ProjectStore(database, max_projects=1)
    await projects.create("first")
    ensured = await asyncio.gather(*(projects.ensure("default") for _ in range(8)))
    assert len({project.create_time for project in ensured}) == 1
    assert len((await projects.list()).projects) == 2


async def test_update_changes_only_what_the_patch_names(projects: ProjectStore) -> None:
    """Absent fields stay; tags are replaced as a whole; limits are merged; update_time moves on, create_time does not."""
    await projects.update("demo", ProjectPatch("text", {"a": "1", "b": "2"}))
    before = await projects.update("demo", ProjectPatch(dataset_limits={"dataset_max_bind_count": 2}))
    assert (before.description, before.tags) == ("text", {"a": "1", "b": "2"})
    after = await projects.update("demo", ProjectPatch(tags={"c": ""}, service_role="r"))
    assert (after.description, after.tags) == ("text", {"c": ""})
    assert after.dataset_limits["dataset_max_bind_count"] == 2
    assert after.create_time == before.create_time < before.update_time < after.update_time
    assert (await projects.update("demo", ProjectPatch(tags={}))).tags == {}
    assert (before.service_role, (await projects.get("demo")).service_role) == ("", "r")
    with pytest.raises(ResourceNotFound, match="project/none is not found"):
        await projects.update("none", ProjectPatch("x"))


async def test_list_pages_in_lexicographic_order(projects: ProjectStore) -> None:
    """Pages joined are all names in the order of their bytes, whatever the database's locale; a prefix is literal."""
    names = ["a", "A", "a-b", "a_b", "aB", "ab", "b", "_x", "demo", "Z9", "z-0"]
    for name in names:
        await projects.ensure(name)
    walked: list[str] = []
    token = ""
    while True:
        page = await projects.list(limit=3, next_token=token)
        walked += [project.project_name for project in page.projects]
        token = page.next_token
        if not token:
            break
        assert len(page.projects) == 3
    assert walked == sorted(names)
    assert [project.project_name for project in (await projects.list("a_")).projects] == ["a_b"]
    assert (await projects.list("%")).projects == ()


async def test_list_matches_all_tags(projects: ProjectStore) -> None:
    """Every tag asked for must be there with that value."""
    await projects.create("p1", ProjectPatch(tags={"env": "prod", "team": "x"}))
    await projects.create("p2", ProjectPatch(tags={"env": "prod"}))
    result = await projects.list(tags=[("env", "prod"), ("team", "x")])
    assert [(project.project_name, project.tags) for project in result.projects] == [("p1", {"env": "prod", "team": "x"})]
    assert len((await projects.list(tags=[("env", "prod")])).projects) == 2
    assert (await projects.list(tags=[("env", "PROD")])).projects == ()


async def test_list_refuses_a_token_of_another_query(projects: ProjectStore) -> None:
    """A token is good for its own query only; the page size may change."""
    for name in ("p1", "p2", "p3"):
        await projects.create(name)
    token = (await projects.list("p", limit=1)).next_token
    assert [project.project_name for project in (await projects.list("p", limit=5, next_token=token)).projects] == ["p2", "p3"]
    with pytest.raises(InvalidArgument, match="another query"):
        await projects.list("", next_token=token)


async def test_delete_waits_for_running_tasks_and_takes_the_finished(
    projects: ProjectStore, store: TaskStore, make_record: Callable[..., TaskRecord]
) -> None:
    """StatusConflict while a task runs; afterwards the project and its tasks are gone."""
    await store.insert(make_record(1, tags={"a": "b"}))
    with pytest.raises(StatusConflict, match="1 running task"):
        await projects.delete("demo")
    await store.finish("MediaConvert-0001", Outcome(TaskStatus.SUCCEEDED), NOW)
    await projects.delete("demo")
    assert await store.find("MediaConvert-0001") is None
    for action in (projects.get, projects.delete):
        with pytest.raises(ResourceNotFound):
            await action("demo")


@pytest.mark.sample(every=2)
async def test_delete_and_insert_at_once_lose_no_task(
    projects: ProjectStore, store: TaskStore, make_record: Callable[..., TaskRecord]
) -> None:
    """Whichever comes first: either the delete is refused, or the insert is; never is a task accepted and deleted."""

    async def race(number: int) -> None:
        name = f"race{number}"
        await projects.create(name)
        await store.insert(make_record(2 * number, project_name=name))
        await store.finish(f"MediaConvert-{2 * number:04d}", Outcome(TaskStatus.SUCCEEDED), NOW)
        deletion = projects.delete(name)
        insertion = store.insert(make_record(2 * number + 1, project_name=name))
        deleted, inserted = await asyncio.gather(deletion, insertion, return_exceptions=True)
        if deleted is None:
            assert isinstance(inserted, ResourceNotFound)
        else:
            assert isinstance(deleted, StatusConflict) and isinstance(inserted, tuple)

    for first in range(0, 24, 8):
        await asyncio.gather(*(race(number) for number in range(first, first + 8)))


async def test_text_with_a_nul_is_refused_alike(projects: ProjectStore) -> None:
    """PostgreSQL cannot hold U+0000, so SQLite may not either."""
    with pytest.raises(InvalidArgument, match=r"U\+0000"):
        await projects.create("a\0b")
