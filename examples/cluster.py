"""A cluster on one machine: `make cluster-demo`.

Starts Temporal, PostgreSQL, two api replicas and three workers as separate processes, converts a batch of clips, kills the
worker that is in the middle of the longest one, reports which worker took over, and stops everything.
"""

import hashlib
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg

from examples.local_cluster.cluster import Cluster, Member
from examples.local_cluster.postgres import PrivatePostgres
from examples.local_cluster.processes import forbid_real_time, wait_for
from examples.quickstart import make_clip
from reelmill.v1.task_pb2 import TASK_PHASE_CONVERTING, TASK_STATUS_SUCCEEDED, Task
from reelmill_client import Client
from reelmill_client.watch import is_final

FOLDER = Path(__file__).resolve().parent.parent / ".reelmill" / "cluster"
_HEARTBEAT_SECONDS = 5
_POLL_SECONDS = 5.0
# Outputs and their settings. The first is slow, so that its worker can be killed in the middle.
_BATCH: tuple[tuple[str, dict[str, Any]], ...] = (
    ("slow-h265.mp4", {"video": "h265", "preset": "slow", "size": "640x360", "audio": "aac"}),
    ("av1.webm", {"video": "av1", "size": "640x360", "audio": "opus"}),
    ("h264.mp4", {"video": "h264", "size": "854x480", "audio": "aac"}),
    ("vp9.webm", {"video": "vp9", "size": "320x180", "audio": "opus"}),
    ("stream/video.m3u8", {"video": "h264", "size": "640x360", "audio": "aac"}),
    ("copy.mkv", {}),
    ("audio.mp3", {"video": "none", "audio": "mp3"}),
)


@dataclass(frozen=True)
class Attempt:
    """An attempt as its worker logged it; times in seconds since the epoch."""

    number: int
    start_time: float
    worker: str


def attempts_of(cluster: Cluster, task_id: str) -> list[Attempt]:
    """Return the attempts of a task in order; one that the fast queue passed on counts where it went."""
    starts = {
        (str(entry["timestamp"]), int(str(entry["attempt"])), worker.name)
        for worker in cluster.workers
        for entry in worker.events("attempt started")
        if entry["task_id"] == task_id
    }
    last = {
        number: Attempt(number, datetime.fromisoformat(stamp).timestamp(), worker) for stamp, number, worker in sorted(starts)
    }
    return [last[number] for number in sorted(last)]


def _converting(client: Client, task_id: str) -> bool:
    task = client.get(task_id)
    return task.phase == TASK_PHASE_CONVERTING and task.progress >= 10


def _victim(cluster: Cluster, task_id: str) -> Member:
    last = attempts_of(cluster, task_id)[-1].worker
    return next(worker for worker in cluster.workers if worker.name == last)


def _show(client: Client, start: float) -> bool:
    """Print one line on the progress of all tasks, and return whether all have ended."""
    tasks = list(client.list())
    ended = sum(is_final(task) for task in tasks)
    in_progress = sorted(f"{task.user_data} {task.progress}%" for task in tasks if 0 < task.progress < 100)
    print(f"  {time.monotonic() - start:5.0f} s  {ended} of {len(tasks)} ended   {', '.join(in_progress)}".rstrip(), flush=True)
    return ended == len(tasks)


def _complete(task: Task) -> bool:
    """Return whether every output of the task exists with its size and SHA-256."""
    paths = [(artifact, Path(unquote(urlsplit(artifact.uri).path))) for artifact in task.artifacts]
    return bool(paths) and all(
        path.stat().st_size == artifact.size and hashlib.sha256(path.read_bytes()).hexdigest() == artifact.sha256
        for artifact, path in paths
    )


def _report(cluster: Cluster, client: Client) -> bool:
    """Print a line for each task, and return whether all succeeded and are complete."""
    print(f"\n  {'output':<18}{'status':<11}{'attempts':<10}{'worker':<25}{'files':<7}complete")
    success = True
    for task in sorted(client.list(), key=lambda task: task.start_time.ToNanoseconds()):
        succeeded, complete = task.status == TASK_STATUS_SUCCEEDED, _complete(task)
        workers = ", then ".join(attempt.worker for attempt in attempts_of(cluster, task.task_id))
        status = "Succeeded" if succeeded else task.code
        columns = f"{task.user_data:<18}{status:<11}{task.attempt:<10}{workers:<25}{len(task.artifacts):<7}"
        print(f"  {columns}{'yes' if complete else 'NO'}")
        success = success and succeeded and complete
    return success


def _kill_one(cluster: Cluster, client: Client, task_id: str) -> None:
    """Kill the worker of a task in the middle of it, and print which worker takes over and when."""
    name = _BATCH[0][0]
    wait_for(lambda: _converting(client, task_id), f"the encode of {name}", 120)
    victim = _victim(cluster, task_id)
    before = len(attempts_of(cluster, task_id))
    print(f"\nkill -9 of {victim.name} (process {victim.pid}), in the middle of {name}")
    victim.server.kill()
    killed = time.time()
    wait_for(lambda: len(attempts_of(cluster, task_id)) > before, "the takeover", 180)
    takeover = attempts_of(cluster, task_id)[-1]
    seconds = takeover.start_time - killed
    print(f"{takeover.worker} took {name} over {seconds:.1f} s later: attempt {takeover.number}", end="")
    print(f" (a worker without a heartbeat for {_HEARTBEAT_SECONDS} s counts as lost)\n")


def _use(cluster: Cluster, files: Path) -> bool:
    """Submit the batch, watch it, and kill a worker meanwhile; return whether all tasks succeeded."""
    clip = files / "clip.mp4"
    first, second = (Client(replica.server.grpc) for replica in cluster.replicas)
    with first, second:
        ids = [
            first.submit(source=clip, destination=files / name, user_data=name, **conversion).task_id
            for name, conversion in _BATCH
        ]
        print(f"created {len(ids)} tasks through api-1; the rest uses api-2")
        _kill_one(cluster, second, ids[0])
        start = time.monotonic()
        while not _show(second, start):
            time.sleep(_POLL_SECONDS)
        success = _report(cluster, second)
        failures = [f"attempt {failed.attempt}: {failed.message}" for failed in second.get(ids[0]).failed_attempts]
        print(f"\nrecorded for {_BATCH[0][0]}: {'; '.join(failures) or 'no failed attempt'}")
    return success


def _run(cluster: Cluster, files: Path) -> bool:
    start = time.monotonic()
    try:
        cluster.start()
        print(f"running after {time.monotonic() - start:.0f} s, each in its own folder in {cluster.folder}:")
        print(f"  {'temporal':<10}process {cluster.temporal.pid:<8}{cluster.temporal.address}")
        print(f"  {'postgres':<10}process {cluster.postgres.pid:<8}records of both replicas")
        for member in cluster.members:
            description = f"gRPC {member.server.grpc}" if member.role == "api" else "runs tasks"
            print(f"  {member.name:<10}process {member.pid:<8}{description}")
        return _use(cluster, files)
    finally:
        cluster.stop()
        print("stopped everything")


def _postgres() -> PrivatePostgres:
    """Return a running PostgreSQL; if none can be started, exit and say what to do."""
    server = PrivatePostgres()
    try:
        server.start()
    except (OSError, subprocess.SubprocessError, psycopg.Error) as error:
        server.stop()
        sys.exit(
            f"PostgreSQL cannot be started: {error}\n"
            "SQLite is not suitable for a cluster: replicas on several machines cannot share its file.\n"
            "Install the development dependencies (`make install`), or your system's PostgreSQL."
        )
    return server


def main() -> None:
    """Run the demonstration; the exit status is 0 if all tasks succeeded."""
    forbid_real_time()
    shutil.rmtree(FOLDER, ignore_errors=True)
    files = FOLDER / "files"
    make_clip(files / "clip.mp4")
    storage = ("--file-root", str(files))
    settings = ("--heartbeat-timeout-seconds", str(_HEARTBEAT_SECONDS))
    sys.exit(0 if _run(Cluster(FOLDER, _postgres(), storage=storage, replica_settings=settings), files) else 1)


if __name__ == "__main__":
    main()
