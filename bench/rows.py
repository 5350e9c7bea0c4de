"""Measure what reads and housekeeping cost where many ended tasks are on record.

    python -m bench.rows [--tasks 1000000] [--postgres] [--folder DIR]

Fills a database with ended tasks of one project, all of one size, and 100 unfinished ones; one task in a thousand has the tag
`rare`, one in two `common`. Then asks the store for what calls and housekeeping ask for. Prints CPU time, with SQLite of this
process, which SQLite is a part of, and with PostgreSQL also of its servers; and the time of each call, the best of five. A
million tasks take 5 GB of disk.
"""

import argparse
import asyncio
import os
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, Insert, String, case, cast, func, insert, literal, null, select, update

from examples.local_cluster.postgres import PrivatePostgres
from examples.local_cluster.processes import processes
from reelmill_server.model.task import Artifact, ArtifactStream, Outcome, TaskPage, TaskQuery, TaskRecord, TaskStatus
from reelmill_server.tasks.database import Database
from reelmill_server.tasks.listing import page_of
from reelmill_server.tasks.migrate import upgrade
from reelmill_server.tasks.projects import ProjectStore
from reelmill_server.tasks.rows import task_row
from reelmill_server.tasks.selector import tag_digest
from reelmill_server.tasks.store import TaskStore
from reelmill_server.tasks.tables import NOT_ENDED, projects, task_tags, tasks

_BATCH = 5_000
_UNFINISHED = 100
_BYTES = 4_000  # of a row
_BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
_CALLS = 5
_PAGES_DEEP = 10_000
_TICKS = os.sysconf("SC_CLK_TCK")


def pattern() -> TaskRecord:
    """Return a task with two outputs, and texts of their usual length."""
    streams = tuple(ArtifactStream(kind, "codec", "encoder", "chosen because", 1500, 60.0) for kind in ("video", "audio"))
    files = tuple(Artifact(f"s3://bucket/folder/{n}.mp4", n, 10**7, 60.0, "mp4", streams, sha256="0" * 64) for n in range(2))
    outcome = Outcome(TaskStatus.SUCCEEDED, artifacts=files, attempt=1, first_attempt_time=_BEGUN)
    filler = random.Random(1).randbytes((_BYTES - 1600) // 4).hex()  # which PostgreSQL hardly compresses
    return TaskRecord(
        "", "default", "", "event", outcome.status, _BEGUN, filler, filler, outcome=outcome, admitted=True, engine_started=True
    )


def rows(begin: int, end: int, count: int) -> tuple[Insert, list[Insert]]:
    """Return statements that record these of so many tasks, a second apart, and their tags."""
    first = select(literal(begin, BigInteger).label("number")).cte("numbers", recursive=True)
    numbers = first.union_all(select(first.c.number + 1).where(first.c.number < end - 1))
    number = numbers.c.number
    name = literal("MediaConvert-") + func.substr(cast(number + 10**9, String), 2)
    like = task_row(pattern())
    running, start = number >= count - _UNFINISHED, number * 1_000_000 + like["start_time"]
    columns: dict[str, Any] = {
        **{key: literal(value, tasks.c[key].type) for key, value in like.items()},
        "task_id": name,
        "start_time": start,
        "end_time": case((running, NOT_ENDED), else_=start + 60_000_000),
        "status": case((running, TaskStatus.RUNNING.value), else_=like["status"]),
        "outcome": case((running, null()), else_=like["outcome"]),
        "change_number": number,
        "record_bytes": literal(sum(len(str(value)) for value in like.values())),
    }
    tagged = [
        insert(task_tags).from_select(("task_id", "tag_digest"), select(name, literal(tag_digest("kind", tag))).where(some))
        for some, tag in ((number % 2 == 0, "common"), (number % 1000 == 0, "rare"))
    ]
    return insert(tasks).from_select(list(columns), select(*columns.values())), tagged


async def fill(database: Database, count: int) -> None:
    """Record the tasks."""
    await ProjectStore(database).ensure("default")
    for begin in range(0, count, _BATCH):
        recorded, tagged = rows(begin, min(begin + _BATCH, count), count)
        async with database.write() as connection:
            for statement in (recorded, *tagged):
                await connection.execute(statement)
    async with database.write() as connection:
        await connection.execute(update(projects).values(record_bytes=count * _BYTES))


class Meter:
    """Measures calls."""

    def __init__(self, server: int) -> None:
        """`server`: the process of the database, 0 if it is this one."""
        self._server = server

    def _cpu(self) -> float:
        spent = time.process_time()
        for number in [self._server, *processes(self._server)] if self._server else []:
            fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
            spent += (int(fields[11]) + int(fields[12])) / _TICKS
        return spent

    async def measure(self, name: str, call: Callable[[], Awaitable[object]], calls: int = _CALLS) -> None:
        """Make calls, and print what one takes."""
        times = list[float]()
        before = self._cpu()
        for _ in range(calls):
            begin = time.monotonic()
            result = await call()
            times.append(time.monotonic() - begin)
        spent = (self._cpu() - before) / calls
        results = len(result.tasks) if isinstance(result, TaskPage) else result if isinstance(result, int) else ""
        print(f"| {name} | {spent * 1000:.0f} ms | {min(times) * 1000:.0f} ms | {results} |", flush=True)


async def deep(database: Database, query: TaskQuery, rows: int) -> TaskQuery:
    """Return the query of the page that comes after so many rows."""
    order = tasks.c.start_time.desc() if query.descending else tasks.c.start_time
    async with database.read() as connection:
        result = (await connection.execute(select(tasks).order_by(order).offset(rows - 1).limit(2))).mappings().all()
    return replace(query, next_token=page_of(replace(query, limit=1), result).next_token)


async def measure(database: Database, meter: Meter, count: int) -> None:
    """Print a table."""
    store = TaskStore(database, most_bytes=10**12)
    newest = TaskQuery("default", sort="start_time", descending=True)
    depth = min(_PAGES_DEEP * newest.limit, count * 9 // 10)
    queries = {
        "the newest 100": newest,
        f"100 after {depth:,}": await deep(database, newest, depth),
        "the newest 100 that failed: none": replace(newest, statuses=frozenset({TaskStatus.FAILED})),
        "the newest 100 unfinished": replace(newest, statuses=frozenset({TaskStatus.RUNNING})),
        "the last 100 to succeed": replace(newest, statuses=frozenset({TaskStatus.SUCCEEDED}), sort="end_time"),
        "the newest 100 with a tag of every other task": replace(newest, tags=(("kind", "common"),)),
        "the newest 100 with a tag of every 1,000th": replace(newest, tags=(("kind", "rare"),)),
        "100 with a tag that none has": replace(newest, tags=(("kind", "none"),)),
    }
    print("| what | CPU | fastest | tasks |\n|---|---|---|---|")
    for name, query in queries.items():
        await meter.measure(name, partial(store.list, query))
    await meter.measure("GetTask", lambda: store.get("default", f"MediaConvert-{count // 2:09}"))
    await meter.measure("counts of ended tasks, for metrics", store.ended_counts)
    await meter.measure("counts of unfinished ones by project", store.counts_by_project)
    await meter.measure("retention, nothing to delete", lambda: store.expire(_BEGUN))
    old = _BEGUN + timedelta(seconds=count // 100)
    await meter.measure("retention of a hundredth", lambda: store.expire(old), 1)


async def run(url: str, server: int, count: int, tidy: Callable[[], None]) -> None:
    """Fill a database, `tidy` it, and measure it."""
    await upgrade(url)
    database = Database(url, transaction_seconds=600)
    begin, before = time.monotonic(), time.process_time()
    await fill(database, count)
    print(
        f"{count:,} tasks recorded in {time.monotonic() - begin:.0f} s, {time.process_time() - before:.0f} s of CPU", flush=True
    )
    tidy()
    await measure(database, Meter(server), count)
    await database.close()


def main() -> None:
    """Make a database, and remove it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--folder", type=Path, help="where SQLite's file is made (default: where temporary files are)")
    options = parser.parse_args()
    if options.postgres:
        postgres = PrivatePostgres()
        postgres.start()
        try:
            postgres.execute("CREATE DATABASE rows")
            vacuum = partial(postgres.execute, "VACUUM ANALYZE", "rows")  # as PostgreSQL does itself, sooner or later
            asyncio.run(run(postgres.url("rows"), postgres.pid, options.tasks, vacuum))
        finally:
            postgres.stop()
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "reelmill.db"
        asyncio.run(run(f"sqlite+aiosqlite:///{path}", 0, options.tasks, lambda: None))
        print(f"{path.stat().st_size / options.tasks:.0f} bytes for each task")


if __name__ == "__main__":
    main()
