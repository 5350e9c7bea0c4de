"""ListTasks: filters, sort orders and pages, the same on SQLite and on PostgreSQL."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from sqlalchemy.dialects import sqlite

from reelmill_server.errors import InvalidArgument, ResourceNotFound
from reelmill_server.model.task import Outcome, TagValue, TaskQuery, TaskRecord, TaskStatus, tag_text
from reelmill_server.tasks import listing
from reelmill_server.tasks.changes import ChangeStore
from reelmill_server.tasks.database import Database
from reelmill_server.tasks.listing import MAX_PAGE_BYTES, page_query
from reelmill_server.tasks.page_tokens import encode_token
from reelmill_server.tasks.selector import matches, parse_selector
from reelmill_server.tasks.store import TaskStore

MakeRecord = Callable[..., TaskRecord]

START = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
FINAL = (TaskStatus.SUCCEEDED, TaskStatus.FAILED, TaskStatus.CANCELED)
ORDERS = [(sort, descending) for sort in ("task_id", "start_time", "end_time") for descending in (False, True)]


async def insert_all(store: TaskStore, records: list[TaskRecord]) -> None:
    """Insert records, finished ones by way of finish."""
    for record in records:
        await store.insert(replace(record, status=TaskStatus.RUNNING, end_time=None))
        if record.end_time is not None:
            await store.finish(record.task_id, Outcome(record.status), record.end_time)


def random_records(make_record: MakeRecord, count: int, first: int = 0) -> list[TaskRecord]:
    """Tasks whose times often tie, some of them running, with ids whose order depends on a locale."""
    chance = random.Random(count + first)
    records = []
    for number in range(first, first + count):
        start = START + timedelta(microseconds=chance.randrange(4))
        status = chance.choice([TaskStatus.RUNNING, *FINAL])
        end = None if status is TaskStatus.RUNNING else START + timedelta(seconds=1, microseconds=chance.randrange(4))
        task_id = f"MediaConvert-{chance.choice('aAbB_-')}{chance.choice('xX-')}{number}"
        records.append(make_record(task_id=task_id, start_time=start, status=status, end_time=end))
    return records


def sort_key(sort: str) -> Callable[[TaskRecord], tuple[object, str]]:
    """The order that ListTasks promises: a running task ends last; ties go by id."""
    never = datetime.max.replace(tzinfo=UTC)
    values: dict[str, Callable[[TaskRecord], object]] = {
        "task_id": lambda record: "",
        "start_time": lambda record: record.start_time,
        "end_time": lambda record: record.end_time or never,
    }
    return lambda record: (values[sort](record), record.task_id)


async def walk(store: TaskStore, query: TaskQuery, between: Callable[[], object] = lambda: None) -> list[str]:
    """The ids of all pages; `between` may give an awaitable to run after each page."""
    results: list[str] = []
    while True:
        page = await store.list(query)
        results += [record.task_id for record in page.tasks]
        if not page.next_token:
            return results
        assert len(page.tasks) == query.limit
        step = between()
        if step is not None:
            await step  # type: ignore[misc]
        query = replace(query, next_token=page.next_token)


@pytest.mark.slow
async def test_pages_joined_are_the_full_sort(store: TaskStore, make_record: MakeRecord) -> None:
    """For every sort, direction and page size, ties and running tasks included."""
    records = random_records(make_record, 40)
    await insert_all(store, records)
    for sort, descending in ORDERS:
        expected = [record.task_id for record in sorted(records, key=sort_key(sort), reverse=descending)]
        for limit in (1, 7, 39, 40, 100):
            query = TaskQuery("demo", sort=sort, descending=descending, limit=limit)
            assert await walk(store, query) == expected, (sort, descending, limit)


@pytest.mark.sample(every=15)
@pytest.mark.parametrize(("sort", "descending"), ORDERS)
async def test_inserts_between_pages_neither_hide_nor_repeat_a_task(
    store: TaskStore, make_record: MakeRecord, sort: str, descending: bool
) -> None:
    """What was there before the first page is given exactly once, in order, and nothing is given twice."""
    records = random_records(make_record, 24)
    await insert_all(store, records)
    later = iter(random_records(make_record, 200, first=1000))

    async def insert_some() -> None:
        await asyncio.gather(*(insert_all(store, [next(later)]) for _ in range(5)))

    result = await walk(store, TaskQuery("demo", sort=sort, descending=descending, limit=3), insert_some)
    expected = [record.task_id for record in sorted(records, key=sort_key(sort), reverse=descending)]
    assert [task_id for task_id in result if task_id in set(expected)] == expected
    assert len(result) == len(set(result))


async def test_running_tasks_sort_as_if_they_ended_last(store: TaskStore, make_record: MakeRecord) -> None:
    """At the end when ascending, at the beginning when descending."""
    ended = make_record(1, status=TaskStatus.FAILED, end_time=START + timedelta(days=10_000))
    await insert_all(store, [make_record(0), ended, make_record(2)])
    for descending, expected in ((False, "102"), (True, "201")):
        tasks = (await store.list(TaskQuery("demo", sort="end_time", descending=descending))).tasks
        assert "".join(record.task_id[-1] for record in tasks) == expected
    assert tasks[0].end_time is None


async def test_a_page_holds_whole_records(store: TaskStore, make_record: MakeRecord) -> None:
    """A listed task equals the one that get reads, but for what nobody is shown; its request is read only if asked for."""
    await insert_all(store, [make_record(1, tags={"a": 1.5}, status=TaskStatus.FAILED, end_time=START)])
    for requests in (False, True):
        (record,) = (await store.list(TaskQuery("demo", requests=requests))).tasks
        whole = await store.get("demo", record.task_id)
        assert record == await store.get("demo", record.task_id, request=requests, work=False)
        assert record == replace(whole, work_json="", request_json=whole.request_json if requests else "")


async def test_filters_by_status_and_times(store: TaskStore, make_record: MakeRecord) -> None:
    """Both ends of a range count; a running task has no end that could lie in one."""
    records = [
        make_record(
            number,
            start_time=START + timedelta(seconds=number),
            status=status,
            end_time=None if number == 0 else START + timedelta(minutes=number),
        )
        for number, status in enumerate([TaskStatus.RUNNING, *FINAL])
    ]
    await insert_all(store, records)
    second, minute = timedelta(seconds=1), timedelta(minutes=1)
    cases: list[tuple[TaskQuery, str]] = [
        (TaskQuery("demo", statuses=frozenset({TaskStatus.RUNNING})), "0"),
        (TaskQuery("demo", statuses=frozenset({TaskStatus.SUCCEEDED, TaskStatus.CANCELED})), "13"),
        (TaskQuery("demo", start_from=START + second, start_to=START + 2 * second), "12"),
        (TaskQuery("demo", start_from=START + second + timedelta(microseconds=1)), "23"),
        (TaskQuery("demo", end_from=START + minute), "123"),
        (TaskQuery("demo", end_to=START + 2 * minute), "12"),
        (TaskQuery("demo", end_from=START + 2 * minute, end_to=START + 2 * minute), "2"),
        (TaskQuery("demo", end_to=datetime.max.replace(tzinfo=UTC)), "123"),
        (TaskQuery("demo", end_from=START + minute, statuses=frozenset({TaskStatus.RUNNING})), ""),
    ]
    for query, expected in cases:
        assert "".join(record.task_id[-1] for record in (await store.list(query)).tasks) == expected, query


async def test_tag_selectors_match_the_text_of_a_value(store: TaskStore, make_record: MakeRecord) -> None:
    """All pairs must match exactly: case, spaces and all; numbers by their JSON form."""
    tags: list[dict[str, TagValue]] = [
        {"k": "1", "env": "prod"},
        {"k": 1, "env": "test"},
        {"k": 1.0, "env": "prod "},
        {"k": True, "long": "x" * 5000},
        {"k": None},
        {"k": 2.5, "e": ""},
        {"K": "1"},
        {"k": "a=b"},
    ]
    await insert_all(store, [make_record(number, tags=tag) for number, tag in enumerate(tags)])
    cases = {
        "k=1": "012",
        "k=1,env=prod": "0",
        "env=prod ,k=1": "2",
        "k=true": "3",
        "k=True": "",
        "k=null": "4",
        "k=2.5": "5",
        "e=": "5",
        "k=a=b": "7",
        "long=" + "x" * 5000: "3",
        "long=" + "x" * 4999: "",
        "": "01234567",
    }
    for selector, expected in cases.items():
        result = (await store.list(TaskQuery("demo", tags=parse_selector(selector)))).tasks
        assert "".join(record.task_id[-1] for record in result) == expected, selector
        alike = [number for number, tag in enumerate(tags) if matches(tag, parse_selector(selector))]
        assert "".join(map(str, alike)) == expected, selector
    pages = await walk(store, TaskQuery("demo", tags=parse_selector("k=1"), limit=1, sort="start_time", descending=True))
    assert [task_id[-1] for task_id in pages] == ["2", "1", "0"]


@pytest.mark.parametrize("few", [0, 1, 10])
async def test_a_tag_selects_the_same_tasks_whether_few_have_it_or_many(
    few: int, store: TaskStore, database: Database, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In all orders and pages, with a status and for watchers, too; a second tag counts as well."""
    monkeypatch.setattr(listing, "_RARE", few)
    records = random_records(make_record, 24)
    tagged = [
        replace(record, tags={"all": "yes", "some": str(number % 4), "number": number % 12})
        for number, record in enumerate(records)
    ]
    await insert_all(store, tagged)
    for selector, (sort, descending) in product(("all=yes", "all=yes,some=2", "number=2,some=2", "number=2,all=no"), ORDERS):
        pairs = parse_selector(selector)
        having = [record for record in tagged if matches(record.tags, pairs)]
        for statuses in ([], [TaskStatus.FAILED]):
            query = TaskQuery("demo", frozenset(statuses), pairs, sort=sort, descending=descending, limit=3)
            wanted = [record for record in having if not statuses or record.status in statuses]
            expected = [record.task_id for record in sorted(wanted, key=sort_key(sort), reverse=descending)]
            assert await walk(store, query) == expected, (selector, sort, descending, statuses)
        assert await ChangeStore(database).matching(query, "", 100) == sorted(r.task_id for r in wanted)


@pytest.mark.parametrize(("sort", "descending"), ORDERS)
async def test_no_list_walks_through_tasks_of_another_status(
    sort: str, descending: bool, store: TaskStore, database: Database
) -> None:
    """An index has the tasks of a status in each order; nothing is sorted."""
    if not database.is_sqlite:
        pytest.skip("PostgreSQL plans by what is in the tables")
    query = TaskQuery("demo", frozenset({TaskStatus.FAILED}), sort=sort, descending=descending)
    async with database.read() as connection:
        listed = page_query(query, await listing.searched(connection, query))
        text = str(listed.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
        plan = [str(row[-1]) for row in await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
    assert "(project_name=? AND status=?)" in plan[0] and "ix_tasks_by_status" in plan[0]
    assert not [step for step in plan if "B-TREE" in step]


@pytest.mark.parametrize("selector", ["a", "=1", "a=1,", ",", "a=1, b=2", "a=1,a=1", ",".join(f"k{n}=1" for n in range(21))])
def test_a_malformed_selector_is_invalid_argument(selector: str) -> None:
    """The message names the field and what was expected."""
    with pytest.raises(InvalidArgument, match=r"^tag_selector: "):
        parse_selector(selector)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1"), (-0.0, "0"), (10**20, "100000000000000000000"), (0.5, "0.5"), (False, "false"), ("1.0", "1.0")],
)
def test_tag_text_writes_scalars_as_json(value: TagValue, text: str) -> None:
    """Texts stay as they are; a whole number has no fraction."""
    assert tag_text(value) == text


async def test_projects_do_not_see_each_other(store: TaskStore, make_record: MakeRecord) -> None:
    """An empty project gives an empty page; one that does not exist is ResourceNotFound."""
    assert (await store.list(TaskQuery("demo"))).tasks == ()
    await store.insert(make_record(1))
    with pytest.raises(ResourceNotFound, match="project/none"):
        await store.list(TaskQuery("none"))


async def test_a_token_is_good_for_its_own_query_only(store: TaskStore, make_record: MakeRecord) -> None:
    """The page size may change; anything else is InvalidArgument, as is a token that we did not make."""
    await insert_all(store, random_records(make_record, 5))
    query = TaskQuery("demo", limit=2, sort="start_time")
    token = (await store.list(query)).next_token
    assert len((await store.list(replace(query, limit=50, next_token=token))).tasks) == 3
    others = [
        replace(query, sort="end_time"),
        replace(query, descending=True),
        replace(query, statuses=frozenset({TaskStatus.RUNNING})),
        replace(query, tags=(("a", "b"),)),
        replace(query, start_from=START),
        replace(query, project_name="other"),
    ]
    for other in others:
        with pytest.raises(InvalidArgument, match="next_token: belongs to another query"):
            await store.list(replace(other, next_token=token))
    for broken in (token[:-1], token + "A", "!", "ünï", "bnVsbA", "WzFd", "x" * 1000, "0"):
        with pytest.raises(InvalidArgument, match="next_token"):
            await store.list(replace(query, next_token=broken))
    with pytest.raises(InvalidArgument, match="sort"):
        await store.list(replace(query, sort="priority"))


async def test_a_made_up_token_cannot_reach_the_database(store: TaskStore, make_record: MakeRecord) -> None:
    """Even with the right digest, values that the database could not take are refused."""
    await insert_all(store, random_records(make_record, 3))
    query = TaskQuery("demo", limit=1, sort="start_time")
    from reelmill_server.tasks.listing import _digest

    for position in ((2**63, "a"), (1,), (1, "a", "b"), ("1", "a"), (True, "a"), (1, "a\0"), (1, "\ud800"), (1, 2)):
        with pytest.raises(InvalidArgument, match="is invalid: pass the next_token"):
            await store.list(replace(query, next_token=encode_token(position, _digest(query))))


async def test_a_page_fits_into_a_message(store: TaskStore, make_record: MakeRecord) -> None:
    """Large records make it shorter than was asked for; no task is lost, and one that is too large is a page of its own."""
    large = '{"ProjectName":"' + "é" * (MAX_PAGE_BYTES // 5) + '"}'  # two bytes each: two records fit
    for number in range(5):
        await store.insert(make_record(number, request_json=large))
    await store.insert(make_record(5, request_json='{"x":"' + "y" * 2 * MAX_PAGE_BYTES + '"}'))
    pages, token = [], ""
    while not pages or token:
        page = await store.list(TaskQuery("demo", limit=100, next_token=token, requests=True))
        pages.append([record.task_id[-1] for record in page.tasks])
        token = page.next_token
    assert pages == [["0", "1"], ["2", "3"], ["4"], ["5"]]
