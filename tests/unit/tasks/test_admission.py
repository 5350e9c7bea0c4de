"""Waiting tasks follow in the background, each once, though several replicas look."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from reelmill_server.model.task import Outcome, TaskRecord, TaskStatus
from reelmill_server.tasks.admission import Admission
from reelmill_server.tasks.database import Database
from reelmill_server.tasks.leases import Lease
from reelmill_server.tasks.migrate import upgrade
from reelmill_server.tasks.projects import ProjectPatch, ProjectStore
from reelmill_server.tasks.rows import to_microseconds
from reelmill_server.tasks.store import TaskStore
from reelmill_server.tasks.tables import leases


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """With our tables, and 120 tasks of a project that runs one at a time."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'records.db'}"
    await upgrade(url)
    opened = Database(url)
    projects = ProjectStore(opened)
    await projects.create("default", ProjectPatch(quotas={"engine_concurrency": 1}))
    for number in range(120):
        now = datetime.now(UTC)
        await TaskStore(opened).insert(TaskRecord(f"t{number:03}", "default", "", "e", TaskStatus.RUNNING, now, "{}", "{}"))
    yield opened
    await opened.close()


async def test_a_raised_quota_is_used_by_one_replica(database: Database) -> None:
    """All that wait are started, none twice, by the one that holds the lease; the end of a task is followed anywhere."""
    started: list[tuple[int, str]] = []
    store = TaskStore(database)
    leases = [Lease(database, str(number)) for number in range(2)]
    for lease in leases:
        await lease.renew()

    def admission(number: int) -> Admission:
        async def start(record: TaskRecord) -> None:
            started.append((number, record.task_id))

        return Admission(store, leases[number], start)

    replicas = [admission(number) for number in range(2)]
    await store.finish("t000", Outcome(TaskStatus.SUCCEEDED), datetime.now(UTC))
    await replicas[1].next("default")
    assert started == [(1, "t001")]
    await ProjectStore(database).update("default", ProjectPatch(quotas={"engine_concurrency": 1000}))
    looking = [asyncio.create_task(replica.once()) for replica in replicas]
    async with asyncio.timeout(20):
        while len(started) < 119:
            await asyncio.sleep(0.01)
    for replica in replicas:
        replica.wake()
    await asyncio.gather(*looking)
    assert sorted(started[1:]) == [(0, f"t{number:03}") for number in range(2, 120)]


@pytest.mark.parametrize(("seconds", "taken"), [(-1, True), (5, False), (3600, True)])
async def test_a_lease_ends_however_clocks_jump(database: Database, seconds: int, taken: bool) -> None:
    """Its holder died when the database's clock was an hour ahead: another replica need not wait for an hour."""
    async with database.write() as connection:
        until = to_microseconds(datetime.now(UTC) + timedelta(seconds=seconds))
        await connection.execute(update(leases).values(holder="dead", expire_time=until))
    lease = Lease(database, "living")
    await lease.renew()
    assert lease.held is taken
