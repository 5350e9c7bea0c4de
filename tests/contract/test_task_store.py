"""Tasks in a database: the same on SQLite and on PostgreSQL."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import update

from reelmill_server.errors import InvalidArgument, QuotaExceeded, ResourceAlreadyExists, ResourceNotFound
from reelmill_server.model.task import (
    Artifact,
    ArtifactStream,
    FailedAttempt,
    Outcome,
    StreamAdjustment,
    TaskQuery,
    TaskRecord,
    TaskStatus,
)
from reelmill_server.tasks.database import Database
from reelmill_server.tasks.projects import ProjectPatch, ProjectStore
from reelmill_server.tasks.store import TaskStore
from reelmill_server.tasks.tables import tasks

MakeRecord = Callable[..., TaskRecord]

START = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
END = START + timedelta(seconds=90, microseconds=1)
SUCCESS = Outcome(TaskStatus.SUCCEEDED)
ADJUSTED = (StreamAdjustment("encoder padding", 2, "packets"), StreamAdjustment("repeated", 2**40, "frames", added=True))
FULL_OUTCOME = Outcome(
    status=TaskStatus.FAILED,
    code="EncoderCrashed",
    message="Der Encoder ist abgestürzt.",
    artifacts=(
        Artifact(
            "file:///a.mp4",
            0,
            2**40,
            1.25,
            "mp4",
            (ArtifactStream("video", "h264", "libx264", "why", 3, 0.1, 640, 360, adjustments=ADJUSTED),),
        ),
    ),
    warnings=("one", "two"),
    attempt=2,
    failed_attempts=(FailedAttempt(1, "Stalled", "no frame for 120 s"),),
    first_attempt_time=START + timedelta(microseconds=1),
)


async def test_a_record_is_read_back_whole(store: TaskStore, make_record: MakeRecord) -> None:
    """Every field survives: exact times in UTC, scalar tags with their types, texts of any script, big texts."""
    tags = {"text": "ä,=\0", "yes": True, "no": None, "whole": 7, "real": 7.0, "small": 1e-7, "long": "x" * 10_000}
    record = make_record(1, tags=tags, user_data="✓" * 600, priority=5, request_id="r", work_json="w" * 200_000, retry_of="t")
    assert await store.insert(record) == (record, True)
    result = await store.get("demo", record.task_id)
    assert result == record == await store.find(record.task_id)
    assert {key: type(value) for key, value in result.tags.items()} == {key: type(value) for key, value in tags.items()}
    assert result.start_time.utcoffset() == timedelta(0)


async def test_times_of_other_zones_are_stored_as_utc(store: TaskStore, make_record: MakeRecord) -> None:
    """The same instant comes back; a time without a zone is a defect of the caller."""
    local = START.astimezone(timezone(timedelta(hours=8)))
    await store.insert(make_record(1, start_time=local))
    assert (await store.get("demo", "MediaConvert-0001")).start_time == START
    with pytest.raises(ValueError, match="zone"):
        await store.insert(make_record(2, start_time=START.replace(tzinfo=None)))


async def test_get_says_what_is_missing(store: TaskStore, projects: ProjectStore, make_record: MakeRecord) -> None:
    """An unknown id, another project's id and an unknown project are ResourceNotFound, in the contract's words."""
    await projects.create("other")
    await store.insert(make_record(1))
    for project, message in (("other", "project/other/task/MediaConvert-0001"), ("none", "project/none")):
        with pytest.raises(ResourceNotFound, match=f"The specified resource {message} is not found"):
            await store.get(project, "MediaConvert-0001")
    with pytest.raises(ResourceNotFound):
        await store.get("demo", "MediaConvert-9999")
    assert await store.find("MediaConvert-9999") is None


async def test_insert_refuses_an_unknown_project_and_a_taken_id(store: TaskStore, make_record: MakeRecord) -> None:
    """Nothing is stored in either case."""
    with pytest.raises(ResourceNotFound, match="project/none"):
        await store.insert(make_record(1, project_name="none"))
    await store.insert(make_record(1))
    for request_id in ("", "fresh"):
        with pytest.raises(ResourceAlreadyExists):
            await store.insert(make_record(1, request_id=request_id, user_data="second"))
    assert (await store.get("demo", "MediaConvert-0001")).user_data == ""


async def test_text_with_a_nul_is_refused_alike(store: TaskStore, make_record: MakeRecord) -> None:
    """PostgreSQL cannot hold U+0000, so SQLite may not either."""
    with pytest.raises(InvalidArgument, match=r"U\+0000"):
        await store.insert(make_record(1, user_data="a\0b"))
    with pytest.raises(InvalidArgument):
        await store.get("demo", "a\0b")


async def test_one_request_id_makes_one_task_under_concurrency(store: TaskStore, make_record: MakeRecord) -> None:
    """Of 20 inserts at once with one request_id, one makes the task and all give it."""
    results = await asyncio.gather(*(store.insert(make_record(number, request_id="same")) for number in range(20)))
    assert sum(created for _, created in results) == 1
    assert len({record.task_id for record, _ in results}) == 1
    assert await store.count_unfinished("demo") == (1, 0)


async def test_request_ids_are_of_a_project_and_empty_ones_never_the_same(
    store: TaskStore, projects: ProjectStore, make_record: MakeRecord
) -> None:
    """Two projects may use one request_id; tasks without one are all different."""
    await projects.create("other")
    results = [
        make_record(1, request_id="r"),
        make_record(2, request_id="r", project_name="other"),
        make_record(3),
        make_record(4),
    ]
    assert [(await store.insert(record))[1] for record in results] == [True] * 4


async def test_an_old_request_id_no_longer_counts(store: TaskStore, make_record: MakeRecord) -> None:
    """Within seven days of the first task its request_id gives that task; later it makes a new one, and the old stays."""
    first = make_record(1, request_id="r")
    await store.insert(first)
    within = make_record(2, request_id="r", start_time=START + timedelta(days=7, microseconds=-1))
    assert await store.insert(within) == (first, False)
    late = [make_record(number, request_id="r", start_time=START + timedelta(days=7)) for number in range(3, 9)]
    results = await asyncio.gather(*(store.insert(record) for record in late))
    assert sum(created for _, created in results) == 1
    assert await store.get("demo", first.task_id) == first
    assert await store.count_unfinished("demo") == (2, 0)


async def test_the_first_finish_wins_under_concurrency(store: TaskStore, make_record: MakeRecord) -> None:
    """Of many finishes at once one is told that it settled the task, and its outcome is the one that is kept."""
    await store.insert(make_record(1))
    outcomes = [replace(FULL_OUTCOME, message=f"number {number}") for number in range(12)]
    settled = await asyncio.gather(*(store.finish("MediaConvert-0001", outcome, END) for outcome in outcomes))
    assert sum(settled) == 1
    record = await store.get("demo", "MediaConvert-0001")
    assert record.outcome == outcomes[settled.index(True)]
    assert (record.status, record.end_time) == (TaskStatus.FAILED, END)
    assert not await store.finish("MediaConvert-0001", SUCCESS, END)
    assert not await store.finish("MediaConvert-none", SUCCESS, END)
    with pytest.raises(ValueError, match="final"):
        await store.finish("MediaConvert-0001", Outcome(TaskStatus.RUNNING), END)


async def test_cancel_is_noted_only_while_a_task_runs(store: TaskStore, make_record: MakeRecord) -> None:
    """The record comes back as it is: flagged while running, untouched once final."""
    await store.insert(make_record(1))
    assert (await store.request_cancel("MediaConvert-0001")).cancel_requested
    assert (await store.request_cancel("MediaConvert-0001")).status is TaskStatus.RUNNING
    await store.insert(make_record(2))
    await store.finish("MediaConvert-0002", SUCCESS, END)
    record = await store.request_cancel("MediaConvert-0002")
    assert (record.status, record.cancel_requested) == (TaskStatus.SUCCEEDED, False)
    with pytest.raises(ResourceNotFound):
        await store.request_cancel("MediaConvert-none")


async def test_unstarted_gives_what_the_engine_does_not_have(store: TaskStore, make_record: MakeRecord) -> None:
    """Oldest first; not those just made, not those started, not those that ended."""
    for number in range(6):
        await store.insert(make_record(number, start_time=START + timedelta(seconds=5 - number)))
    await store.mark_started("MediaConvert-0003")
    await store.finish("MediaConvert-0004", SUCCESS, END)
    results = [record.task_id async for record in store.unstarted(START + timedelta(seconds=5))]
    assert results == ["MediaConvert-0005", "MediaConvert-0002", "MediaConvert-0001"]
    assert (await store.get("demo", "MediaConvert-0003")).engine_started


async def test_started_tasks_are_gone_through_in_batches(
    store: TaskStore, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By task id; tasks may end while the caller is at it. What the engine does not have yet is left out, and what is new."""
    monkeypatch.setattr("reelmill_server.tasks.store._STARTED_BATCH", 3)
    assert not await store.any_started()
    for number in range(10):
        await store.insert(make_record(number))
        await store.mark_started(f"MediaConvert-{number:04d}") if number != 4 else None
    assert await store.any_started()
    late = END + timedelta(days=1)
    results = []
    async for task in store.started(late):
        results.append(task.task_id)
        await store.finish(task.task_id, SUCCESS, END)
    assert results == [f"MediaConvert-{number:04d}" for number in range(10) if number != 4]
    assert not await store.any_started()


async def test_a_task_that_was_just_admitted_is_not_started_by_another(
    database: Database, store: TaskStore, make_record: MakeRecord
) -> None:
    """However old it is: whoever admitted it is about to start it."""
    await ProjectStore(database).update("demo", ProjectPatch(quotas={"engine_concurrency": 1}))
    for number in range(2):
        await store.insert(make_record(number))
    await store.mark_started("MediaConvert-0000")
    await store.finish("MediaConvert-0000", SUCCESS, END)
    before = datetime.now(UTC)
    assert len(await store.admit("demo", 10)) == 1
    assert [record.task_id async for record in store.unstarted(before)] == []
    later = datetime.now(UTC) + timedelta(seconds=1)
    assert [record.task_id async for record in store.unstarted(later)] == ["MediaConvert-0001"]


async def test_counts_cover_every_status(store: TaskStore, make_record: MakeRecord) -> None:
    """A status without tasks counts 0."""
    for number in range(3):
        await store.insert(make_record(number))
    await store.finish("MediaConvert-0001", FULL_OUTCOME, END)
    assert await store.ended_counts() == {TaskStatus.SUCCEEDED: 0, TaskStatus.FAILED: 1, TaskStatus.CANCELED: 0}
    assert await store.counts_by_project() == {"demo": (2, 0)}
    assert await store.count_unfinished("demo") == (2, 0)
    assert await store.count_unfinished("none") == (0, 0)


async def test_expire_deletes_only_finished_tasks_that_began_before(
    store: TaskStore, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retention counts from the start of a task; a running one stays however old it is."""
    monkeypatch.setattr("reelmill_server.tasks.store._BATCH", 2)
    for number in range(8):
        await store.insert(make_record(number, start_time=START + timedelta(days=number), tags={"n": number}))
    for number in range(1, 8):
        await store.finish(f"MediaConvert-{number:04d}", SUCCESS, START + timedelta(days=30))
    assert await store.expire(START + timedelta(days=6)) == 5
    assert await store.expire(START + timedelta(days=6)) == 0
    left = (await store.list(TaskQuery("demo"))).tasks
    assert [record.task_id[-1] for record in left] == ["0", "6", "7"]
    with pytest.raises(ResourceNotFound):
        await store.get("demo", "MediaConvert-0001")


async def test_ended_tasks_count_by_their_bytes(database: Database, store: TaskStore, make_record: MakeRecord) -> None:
    """Beyond the limit the oldest are deleted, whatever the retention; nothing that runs, and nothing that ended lately."""
    bounded = TaskStore(database, most_bytes=100_000)
    records = [make_record(number, user_data="u" * 9_000) for number in range(12)]
    for number, record in enumerate(records[:10]):
        await store.insert(record)
        if number:  # the first, and oldest, runs
            await store.finish(record.task_id, SUCCESS, START + timedelta(seconds=number))
    assert await bounded.expire(START) == 2
    left = {record.task_id for record in (await store.list(TaskQuery("demo"))).tasks}
    assert left == {record.task_id for record in (records[0], *records[3:10])}
    assert await bounded.expire(START) == 0
    for record in records[10:]:
        await bounded.insert(record)
        await store.finish(record.task_id, SUCCESS, datetime.now(UTC))
    await bounded.expire(START)
    assert records[11].task_id in {record.task_id for record in (await store.list(TaskQuery("demo"))).tasks}


async def test_a_project_of_large_tasks_that_just_ended_is_refused_more(database: Database, projects: ProjectStore) -> None:
    """None of them may be deleted yet; other projects are not concerned, and there is room again when they are."""
    bounded, now = TaskStore(database, most_bytes=20_000), datetime.now(UTC)
    await projects.ensure("other")

    def record(number: int, project: str = "demo") -> TaskRecord:
        return TaskRecord(f"t{number}", project, "", "e", TaskStatus.RUNNING, now, "{}", "{}", user_data="u" * 21_000)

    await bounded.insert(record(1))
    await bounded.finish("t1", SUCCESS, now)
    assert await bounded.expire(START) == 0
    with pytest.raises(QuotaExceeded, match="20000 bytes"):
        await bounded.insert(record(2))
    await bounded.insert(record(3, "other"))
    async with database.write() as connection:
        await connection.execute(update(tasks).where(tasks.c.task_id == "t1").values(end_time=1))
    assert await bounded.expire(START) == 1
    await bounded.insert(record(2))
