"""Previews of unfinished tasks, on SQLite and PostgreSQL."""

from datetime import UTC, datetime

from sqlalchemy import update

from reelmill_server.model.preview import Preview
from reelmill_server.model.task import Outcome, TaskRecord, TaskStatus
from reelmill_server.tasks.database import Database
from reelmill_server.tasks.previews import MOST, PreviewStore
from reelmill_server.tasks.projects import ProjectStore
from reelmill_server.tasks.store import TaskStore
from reelmill_server.tasks.tables import tasks


async def test_the_latest_previews_are_kept_until_the_end(database: Database, projects: ProjectStore) -> None:
    """In the order of the media, whatever came first; of tasks that have ended, none, whoever ended them."""
    store, previews = TaskStore(database), PreviewStore(database)
    for name in ("first", "second"):
        await store.insert(TaskRecord(name, "demo", "", "e", TaskStatus.RUNNING, datetime.now(UTC), "{}", "{}"))
    for number in range(MOST + 5):
        await previews.add({"first": Preview(number, 100.0 - number, "jpeg"), "gone": Preview(number, 0.0, "jpeg")})
    await previews.add({"first": Preview(MOST + 4, 0.0, "again"), "second": Preview(1, 0.0, "jpeg")})
    result = await previews.of("first")
    assert [preview.taken_us for preview in result] == list(range(MOST + 4, 4, -1))
    assert {preview.jpeg for preview in result} == {"jpeg"} and await previews.of("gone") == []
    await store.finish("first", Outcome(TaskStatus.FAILED), datetime.now(UTC))
    await previews.add({"first": Preview(99, 0.0, "late")})
    assert await previews.of("first") == [] and len(await previews.of("second")) == 1
    async with database.write() as connection:  # as a replica does that knows no previews
        await connection.execute(update(tasks).where(tasks.c.task_id == "second").values(status="Succeeded"))
    await previews.forget_ended()
    assert await previews.of("second") == []
