"""Numbers of changes: who follows them misses none, on SQLite and on PostgreSQL."""

import asyncio
from collections.abc import Callable

import pytest

from reelmill_server.model.project import Quotas
from reelmill_server.model.task import Outcome, TaskQuery, TaskRecord, TaskStatus
from reelmill_server.tasks.changes import ChangeStore
from reelmill_server.tasks.database import Database
from reelmill_server.tasks.projects import ProjectPatch, ProjectStore
from reelmill_server.tasks.selector import tag_digest
from reelmill_server.tasks.store import TaskStore

MakeRecord = Callable[..., TaskRecord]


@pytest.mark.sample(every=2)
async def test_whatever_watchers_see_is_numbered(database: Database, store: TaskStore, make_record: MakeRecord) -> None:
    """A new task, a cancel, a quota that lets it run, its end; not what nobody sees. The numbers of a project have no gaps."""
    changes, records = ChangeStore(database), [make_record(number) for number in range(3)]
    await ProjectStore(database).update("demo", ProjectPatch(quotas={"engine_concurrency": 2}))
    for record in records:
        await store.insert(record)
    names = [record.task_id for record in records]
    assert [(one.task_id, one.number, one.admitted) for one in await changes.after("demo", 0)] == [
        *((name, number + 1, number < 2) for number, name in enumerate(names))
    ]
    assert not await store.mark_started(names[0])
    assert await changes.after("demo", 3) == []
    await store.request_cancel(names[0])
    assert await store.mark_started(names[0])
    await store.finish(names[0], Outcome(TaskStatus.CANCELED), record.start_time)
    await store.admit("demo", 100)
    result = await changes.after("demo", 3)
    assert [(one.task_id, one.number, one.status) for one in result] == [
        (names[0], 5, TaskStatus.CANCELED),
        (names[2], 6, TaskStatus.RUNNING),
    ]
    assert await changes.after("demo", 5, names[0]) == result[1:] and await changes.of([names[0]]) == result[:1]
    assert (await changes.heads(["demo", "none"]))[0] == {"demo": 6}
    assert [one.task_id for one in await changes.running("demo")] == names[1:]


@pytest.mark.sample(every=2)
async def test_a_follower_misses_no_change(database: Database, store: TaskStore, make_record: MakeRecord) -> None:
    """However many are made at once: whoever sees a number has seen all smaller ones."""
    changes = ChangeStore(database)
    await ProjectStore(database).update("demo", ProjectPatch(quotas=vars(Quotas(1000, 1000))))

    async def one(number: int) -> None:
        record = make_record(number)
        await store.insert(record)
        await store.finish(record.task_id, Outcome(TaskStatus.SUCCEEDED), record.start_time)

    last, ended, count = 0, list[str](), 16  # fewer than connections: none waits for one
    async with asyncio.timeout(60), asyncio.TaskGroup() as writing:  # an error of one ends the wait for all
        for number in range(count):
            writing.create_task(one(number))
        while len(ended) < count:
            for change in await changes.after("demo", last):
                assert change.number > last
                last = change.number
                ended += [change.task_id] if change.status.final else []
    assert len(set(ended)) == count and (await changes.heads(["demo"]))[0] == {"demo": 2 * count}


async def test_what_is_shown_has_neither_request_nor_work(
    database: Database, store: TaskStore, make_record: MakeRecord
) -> None:
    """Tags are found by their digests, ids by the query of a watch."""
    changes, record = ChangeStore(database), make_record(1, tags={"kind": "a", "team": "b"})
    await store.insert(record)
    await store.insert(make_record(2))
    ((change, shown),) = await changes.shown([record.task_id, "none"])
    assert shown == await store.get("demo", record.task_id, request=False, work=False) and change.number == 1
    kind = tag_digest("kind", "a")
    assert await changes.tagged([record.task_id, "x"], [kind, "y"]) == {record.task_id: frozenset({kind})}
    query = TaskQuery("demo", tags=(("kind", "a"),))
    assert await changes.matching(query, "", 10) == [record.task_id]
    assert await changes.matching(query, record.task_id, 10) == []
