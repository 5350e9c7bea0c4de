"""Quotas of projects: the same on SQLite and on PostgreSQL."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.dialects import sqlite

from reelmill_server.errors import QuotaExceeded, ResourceNotFound
from reelmill_server.model.project import Quotas
from reelmill_server.model.task import Outcome, TaskRecord, TaskStatus
from reelmill_server.tasks.database import Database
from reelmill_server.tasks.projects import FOR_NEW_TASK, ProjectPatch, ProjectStore
from reelmill_server.tasks.store import TaskStore

MakeRecord = Callable[..., TaskRecord]
START = datetime(2026, 1, 2, tzinfo=UTC)


def limited(database: Database, concurrency: int = 2, queued: int = 3) -> TaskStore:
    """A store whose projects have these quotas, if they say nothing themselves."""
    return TaskStore(database, quotas=Quotas(concurrency, queued, 1.0))


async def finish(store: TaskStore, number: int) -> None:
    """Ends a task."""
    assert await store.finish(f"MediaConvert-{number:04d}", Outcome(TaskStatus.SUCCEEDED), datetime.now(UTC))


async def test_more_than_may_be_at_work_wait_and_more_than_may_wait_are_refused(
    database: Database, projects: ProjectStore, make_record: MakeRecord
) -> None:
    """Two at work, three wait, the sixth is refused with the name of its project and nothing of it is kept."""
    store = limited(database)
    inserted = [(await store.insert(make_record(number)))[0].admitted for number in range(5)]
    assert inserted == [True, True, False, False, False]
    with pytest.raises(QuotaExceeded) as caught:
        await store.insert(make_record(5))
    assert caught.value.violations[0].field == "project/demo" and "5 unfinished" in caught.value.message
    assert await store.find("MediaConvert-0005") is None
    assert await store.count_unfinished("demo") == (2, 3)
    assert await store.counts_by_project() == {"demo": (2, 3)}
    await finish(store, 0)
    assert await store.counts_by_project() == {"demo": (1, 3)}


async def test_a_new_task_is_told_what_its_project_has_to_do(
    database: Database, projects: ProjectStore, make_record: MakeRecord
) -> None:
    """The priorities of unfinished tasks, of those that wait for the quota, too; found in an index, however many there are."""
    store = limited(database, 2, 9)
    for number, priority in enumerate((1, 3, 5, 3)):
        await store.insert(replace(make_record(number), priority=priority))
    project, priorities = await projects.for_new_task("demo")
    assert project.project_name == "demo" and list(priorities) == [1, 3, 5]
    await finish(store, 0)
    assert list((await projects.for_new_task("demo"))[1]) == [3, 5]
    with pytest.raises(ResourceNotFound):
        await projects.for_new_task("none")
    if database.is_sqlite:  # PostgreSQL plans by what is in the tables
        text = FOR_NEW_TASK.params(name="demo").compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
        async with database.read() as connection:
            plan = [str(row[-1]) for row in await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
        assert len([step for step in plan if "admitted=? AND priority=?" in step]) == 5
        assert not [step for step in plan if "SCAN" in step]


async def test_the_same_request_is_not_refused(database: Database, projects: ProjectStore, make_record: MakeRecord) -> None:
    """A full queue still knows the tasks that it has."""
    store = limited(database, 1, 1)
    await store.insert(make_record(0))
    await store.insert(make_record(1, request_id="again"))
    assert (await store.insert(make_record(2, request_id="again")))[0].task_id == "MediaConvert-0001"


async def test_those_that_wait_follow_by_priority_and_then_in_their_order(
    database: Database, projects: ProjectStore, make_record: MakeRecord
) -> None:
    """Each end lets one follow, and nobody follows twice."""
    store = limited(database, 1, 9)
    for number, priority in enumerate((3, 3, 3, 1)):
        await store.insert(make_record(number, priority=priority, start_time=START + timedelta(seconds=number)))
    followed = []
    for number in (0, 3, 1):
        assert await store.admit("demo", 100) == ()
        await finish(store, number)
        followed += [record.task_id for record in await store.admit("demo", 100)]
    assert followed == ["MediaConvert-0003", "MediaConvert-0001", "MediaConvert-0002"]


async def test_a_project_has_quotas_of_its_own(database: Database, projects: ProjectStore, make_record: MakeRecord) -> None:
    """They win over the server's; a wider one lets those follow that wait."""
    store = limited(database, 5, 5)
    await projects.update("demo", ProjectPatch(quotas={"engine_concurrency": 1}))
    assert (await projects.get("demo")).quotas == Quotas(1, 0, 0.0)
    for number in range(4):
        await store.insert(make_record(number))
    assert await store.count_unfinished("demo") == (1, 3)
    assert await store.projects_with_waiting_tasks() == ["demo"]
    await projects.update("demo", ProjectPatch(quotas={"engine_concurrency": 3}))
    assert len(await store.admit("demo", 100)) == 2
    assert await store.count_unfinished("demo") == (3, 1)


async def test_replicas_that_admit_at_the_same_time_admit_no_more_than_may_be(
    database: Database, projects: ProjectStore, make_record: MakeRecord
) -> None:
    """Twenty calls at once, and then ten that let others follow."""
    store = limited(database, 3, 100)
    await asyncio.gather(*(store.insert(make_record(number)) for number in range(20)))
    assert await store.count_unfinished("demo") == (3, 17)
    working = [number for number in range(20) if (await store.get("demo", f"MediaConvert-{number:04d}")).admitted]
    await finish(store, working[0])
    await finish(store, working[1])
    followed = await asyncio.gather(*(store.admit("demo", 100) for _ in range(10)))
    assert sum(map(len, followed)) == 2
    assert await store.count_unfinished("demo") == (3, 15)


async def test_what_waits_is_not_taken_for_lost(database: Database, projects: ProjectStore, make_record: MakeRecord) -> None:
    """Only tasks that may be at work, or shall be canceled, are to be handed to the engine by who mends."""
    store = limited(database, 1, 9)
    for number in range(3):
        await store.insert(make_record(number))
    await store.request_cancel("MediaConvert-0002")
    results = [record.task_id async for record in store.unstarted(datetime.now(UTC))]
    assert results == ["MediaConvert-0000", "MediaConvert-0002"]
