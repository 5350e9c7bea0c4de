"""Measure what reads cost, and whether they need the engine: a list, a task, and watchers of tasks that wait.

    python -m bench.reads [--tasks 5000] [--started 300] [--watchers 1000] [--postgres]

Starts a service without room for attempts in a temporary folder, with so many unfinished tasks on record, of which the newest
are in the engine. Prints CPU time of the server's process, then the same while the engine is suspended, as if it were away. CPU
time hardly depends on what else the machine does; times of calls do.
"""

import argparse
import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from statistics import quantiles
from typing import Any

import grpc
from sqlalchemy import insert

from bench.watch import cpu, running, watch
from examples.local_cluster.postgres import PrivatePostgres
from reelmill.v1 import media_convert_service_pb2 as pb
from reelmill_client import Client
from reelmill_server.tasks.database import Database
from reelmill_server.tasks.migrate import upgrade
from reelmill_server.tasks.rows import task_row
from reelmill_server.tasks.store import TaskStore
from reelmill_server.tasks.tables import tasks
from tests.clips import moving_picture
from tests.servers import Server, serve

_SERVICE = "/reelmill.v1.MediaConvertService/"
_PAGE = 100
_AGE = timedelta(hours=1)
_IDLE_SECONDS = 30
_GETS = 300


async def fill(url: str, like: str, count: int) -> list[str]:
    """Record tasks like one of the project, older than it, that wait for the quota; return their ids."""
    database = Database(url)
    pattern = await TaskStore(database).get("default", like)
    names = [f"MediaConvert-old-{number:06}" for number in range(count)]
    rows = [
        task_row(
            replace(
                pattern,
                task_id=name,
                work_json=pattern.work_json.replace(like, name),
                start_time=pattern.start_time - _AGE + timedelta(milliseconds=number),
                admitted=False,
                engine_started=False,
                request_id="",
            )
        )
        for number, name in enumerate(names)
    ]
    async with database.write() as connection:
        await connection.execute(insert(tasks), rows)
    await database.close()
    return names


def engine_pid(folder: Path) -> int:
    """Return the process of the engine whose data are in this folder."""
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            words = (process / "cmdline").read_text(errors="replace").split("\0")
            if "start-dev" in words and "-I" not in words and any(word.startswith(str(folder)) for word in words):
                return int(process.name)
    raise RuntimeError("the engine does not run")


def measured(server: Server, name: str, calls: int, call: Callable[[], object]) -> None:
    """Make calls one after the other; print the server's CPU time and the latencies of each."""
    times = list[float]()
    before = cpu(server)
    for _ in range(calls):
        begin = time.monotonic()
        call()
        times.append((time.monotonic() - begin) * 1000)
    spent = (cpu(server) - before) * 1000 / calls
    cuts = quantiles(times, n=100) if len(times) > 1 else times * 99
    print(f"  {name:28} {spent:7.1f} ms CPU each, p50 {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms", flush=True)


def reads(server: Server, started: str) -> None:
    """Measure calls that read."""
    with grpc.insecure_channel(server.grpc) as channel:
        listing: Any = channel.unary_unary(f"{_SERVICE}ListTasks", response_deserializer=pb.ListTasksResponse.FromString)
        get: Any = channel.unary_unary(f"{_SERVICE}GetTask")

        def page(token: str = "") -> pb.ListTasksResponse:
            asked = pb.ListTasksRequest(
                project_name="default",
                max_results=_PAGE,
                sort=pb.TASK_SORT_START_TIME,
                order=pb.SORT_ORDER_DESC,
                next_token=token,
            )
            result: pb.ListTasksResponse = listing(asked.SerializeToString(), timeout=300)
            return result

        def whole() -> int:
            result = page()
            count = len(result.tasks)
            while result.next_token:
                result = page(result.next_token)
                count += len(result.tasks)
            return count

        one = pb.GetTaskRequest(project_name="default", task_id=started).SerializeToString()
        measured(server, "a page of the newest 100", 20, page)
        print(f"  {whole()} tasks", flush=True)
        measured(server, "the whole list", 1, whole)
        measured(server, "GetTask", _GETS, lambda: get(one, timeout=60))


def watching(server: Server, tasks: list[str]) -> None:
    """Measure watchers of tasks that wait, each of one."""
    streams = [pb.WatchTaskRequest(project_name="default", task_id=name).SerializeToString() for name in tasks]
    with running(watch, server.grpc, ("WatchTask", streams), {}):
        time.sleep(15)
        before = cpu(server)
        time.sleep(_IDLE_SECONDS)
        share = (cpu(server) - before) / _IDLE_SECONDS
    print(f"  {len(tasks)} watchers of waiting tasks: {share:.2%} of a core", flush=True)


def measure(server: Server, url: str, source: Path, options: argparse.Namespace) -> None:
    """Print all figures."""
    with Client(server.grpc) as client:
        target = str(source.with_name("out.mp4"))
        started = [client.submit(source=str(source), destination=target).task_id for _ in range(options.started)]
    waiting = asyncio.run(fill(url, started[0], options.tasks - options.started))
    time.sleep(10)
    before = cpu(server)
    time.sleep(_IDLE_SECONDS)
    print(f"  nobody calls: {(cpu(server) - before) / _IDLE_SECONDS:.2%} of a core", flush=True)
    reads(server, started[-1])
    watching(server, (started + waiting)[: options.watchers])
    engine = engine_pid(source.parents[1])
    os.kill(engine, signal.SIGSTOP)
    try:
        print("the engine is suspended:")
        reads(server, started[-1])
    finally:
        os.kill(engine, signal.SIGCONT)
    time.sleep(10)
    with Client(server.grpc) as client:
        measured(server, "CancelTask", len(started), lambda: client.cancel(started.pop()))
        begin = time.monotonic()
        client.projects.update("default", engine_concurrency=options.started + 200)
        print(f"  UpdateProject that lets 200 more run: {time.monotonic() - begin:.2f} s", flush=True)


def main() -> None:
    """Fill a database, start a service on it, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=5000)
    parser.add_argument("--started", type=int, default=300)
    parser.add_argument("--watchers", type=int, default=1000)
    parser.add_argument("--postgres", action="store_true")
    options = parser.parse_args()
    postgres = PrivatePostgres() if options.postgres else None
    with tempfile.TemporaryDirectory() as folder:
        try:
            url = f"sqlite+aiosqlite:///{folder}/records.db"
            if postgres:
                postgres.start()
                postgres.execute("CREATE DATABASE records")
                url = postgres.url("records")
            source = moving_picture(Path(folder) / "files" / "clip.mp4", 1.0)
            asyncio.run(upgrade(url))
            # Nothing that waits follows while it is measured.
            quota = ["--project-concurrency", str(options.started)]
            with serve(Path(folder), "--worker-slots", "0", "--database-url", url, *quota) as server:
                measure(server, url, source, options)
        finally:
            if postgres:
                postgres.stop()


if __name__ == "__main__":
    main()
