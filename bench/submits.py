"""Measure the CPU of a new task and of GetTask, of the event loop and of the process, without gRPC and without an engine.

    python -m bench.submits [--tasks 500] [--rounds 3] [--unfinished 0]

Records are in SQLite, in a temporary folder; `--unfinished`: so many tasks of the project wait already.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any, cast

from sqlalchemy import insert, select

from reelmill.v1 import media_convert_service_pb2 as pb
from reelmill.vendor_json import parse
from reelmill_server.api.caller import set_caller
from reelmill_server.api.submission import Submissions, TaskDefaults
from reelmill_server.app.records import Records
from reelmill_server.engine.client import Engine
from reelmill_server.model.access import ANYONE
from reelmill_server.notify.registry import Channels
from reelmill_server.settings import Settings
from reelmill_server.storage.build import build_storage
from reelmill_server.tasks.migrate import upgrade
from reelmill_server.tasks.tables import tasks
from reelmill_server.telemetry.metrics import Metrics

_PROJECT = "default"


class _NoEngine:
    async def start(self, work: object) -> None:
        """Start nothing."""


async def per_call(call: Callable[[], Awaitable[Any]], count: int) -> tuple[float, float]:
    """Return the milliseconds of CPU for one of `count` calls: of this thread, and of all."""
    loop, process = time.thread_time(), time.process_time()
    for _ in range(count):
        await call()
    return (time.thread_time() - loop) / count * 1000, (time.process_time() - process) / count * 1000


async def crowd(records: Records, count: int) -> None:
    """Let so many copies of the project's task wait."""
    async with records.database.write() as connection:
        row = dict((await connection.execute(select(tasks).limit(1))).mappings().one())
        if count:
            rows = [row | {"task_id": f"MediaConvert-{at}", "admitted": False} for at in range(count)]
            await connection.execute(insert(tasks), rows)


async def measure(folder: Path, options: argparse.Namespace) -> None:
    """Print the figures."""
    (folder / "files").mkdir()
    settings = Settings(data_dir=folder / "data", file_root=(folder / "files",), project_concurrency=20, project_queue=0)
    await upgrade(settings.resolved_database_url())
    records, metrics = Records(settings, alone=True), Metrics()
    await records.projects.ensure(_PROJECT)
    submissions = Submissions(
        tasks=records.tasks,
        projects=records.projects,
        engine=cast(Engine, _NoEngine()),
        storage=build_storage(settings, metrics),
        channels=Channels(settings),
        defaults=TaskDefaults(3, 3600, 30, 300, 0),
        started=lambda: None,
        metrics=metrics,
    )
    set_caller(ANYONE)
    uri = (folder / "files").as_uri()
    request = {"ProjectName": _PROJECT, "Sources": [{"URI": f"{uri}/clip.mp4"}], "Tags": {"team": "video"}}
    request["Targets"] = [{"URI": f"{uri}/out", "Container": "mp4"}]
    create = parse(request, pb.CreateMediaConvertTaskRequest)
    first = await submissions.create(create)
    await crowd(records, options.unfinished)
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "CreateMediaConvertTask": lambda: submissions.create(create),
        "GetTask": lambda: records.tasks.get(_PROJECT, first.task_id, request=False, work=False),
    }
    for name, call in calls.items():
        await per_call(call, 50)  # statements are compiled
        results = [await per_call(call, options.tasks) for _ in range(options.rounds)]
        loop, process = (median(figures) for figures in zip(*results, strict=True))
        print(f"{name:22} {loop:.2f} ms of CPU of the event loop, {process:.2f} of the process", flush=True)
    await records.database.close()


def main() -> None:
    """Measure in a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--unfinished", type=int, default=0)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder), parser.parse_args()))


if __name__ == "__main__":
    main()
