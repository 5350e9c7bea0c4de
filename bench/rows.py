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
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select, update

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
from reelmill_server.tasks.tables import projects, task_tags, tasks

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
    text = "x" * ((_BYTES - 1600) // 2)
    return TaskRecord(
        "", "default", "", "event", outcome.status, _BEGUN, text, text, outcome=outcome, admitted=True, engine_started=True
    )


def batches(count: int) -> Iterator[tuple[list[dict[str, Any]], list[dict[str, str]]]]:
    """Yield rows of tasks, a second apart, and of their tags."""
    like = task_row(pattern())
    first, size = like["start_time"], sum(len(str(value)) for value in like.values())
    kept = {**like, "record_bytes": size}
    digests = {every: tag_digest("kind", name) for every, name in ((2, "common"), (1000, "rare"))}
    running = {"status": "Running", "outcome": None, "end_time": task_row(replace(pattern(), end_time=None))["end_time"]}
    for begin in range(0, count, _BATCH):
        rows, tags = [], []
        for number in range(begin, min(begin + _BATCH, count)):
            start, name = first + number * 1_000_000, f"MediaConvert-{number:09}"
            row = {**kept, "task_id": name, "start_time": start, "end_time": start + 60_000_000, "change_number": number}
            rows.append({**row, **running} if number >= count - _UNFINISHED else row)
            tags += [{"task_id": name, "tag_digest": digest} for every, digest in digests.items() if number % every == 0]
        yield rows, tags


async def fill(database: Database, count: int) -> None:
    """Record the tasks."""
    await ProjectStore(database).ensure("default")
    for rows, tags in batches(count):
        async with database.write() as connection:
            await connection.execute(insert(tasks), rows)
            await connection.execute(insert(task_tags), tags)
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
        found = len(result.tasks) if isinstance(result, TaskPage) else result if isinstance(result, int) else ""
        print(f"| {name} | {spent * 1000:.0f} ms | {min(times) * 1000:.0f} ms | {found} |", flush=True)


async def deep(database: Database, query: TaskQuery, rows: int) -> TaskQuery:
    """Return the query of the page that comes after so many rows."""
    order = tasks.c.start_time.desc() if query.descending else tasks.c.start_time
    async with database.read() as connection:
        found = (await connection.execute(select(tasks).order_by(order).offset(rows - 1).limit(2))).mappings().all()
    return replace(query, next_token=page_of(replace(query, limit=1), found).next_token)


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
        "the newest 100 with a tag of every other task": replace(newest, tags=(("kind", "common"),)),
        "the newest 100 with a tag of every 1,000th": replace(newest, tags=(("kind", "rare"),)),
        "100 with a tag that none has": replace(newest, tags=(("kind", "none"),)),
    }
    print("| what | CPU | fastest | tasks |\n|---|---|---|---|")
    for name, query in queries.items():
        await meter.measure(name, partial(store.list, query))
    await meter.measure("GetTask", lambda: store.get("default", f"MediaConvert-{count // 2:09}"))
    await meter.measure("a round of metrics: counts by status", store.counts)
    await meter.measure("counts by project", store.counts_by_project)
    await meter.measure("retention, nothing to delete", lambda: store.expire(_BEGUN))
    old = _BEGUN + timedelta(seconds=count // 100)
    await meter.measure("retention of a hundredth", lambda: store.expire(old), 1)


async def run(url: str, server: int, count: int) -> None:
    """Fill a database, and measure it."""
    await upgrade(url)
    database = Database(url, transaction_seconds=600)
    begin, before = time.monotonic(), time.process_time()
    await fill(database, count)
    print(
        f"{count:,} tasks recorded in {time.monotonic() - begin:.0f} s, {time.process_time() - before:.0f} s of CPU", flush=True
    )
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
            asyncio.run(run(postgres.url("rows"), postgres.pid, options.tasks))
        finally:
            postgres.stop()
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "reelmill.db"
        asyncio.run(run(f"sqlite+aiosqlite:///{path}", 0, options.tasks))
        print(f"{path.stat().st_size / options.tasks:.0f} bytes for each task")


if __name__ == "__main__":
    main()
