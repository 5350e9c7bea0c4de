"""A cluster on one machine: `make cluster-demo`.

Starts Temporal, PostgreSQL, two api replicas and three workers as processes of their own, converts a batch of clips, kills the
worker that is in the middle of the longest one, tells what became of its work, and stops everything.
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
from examples.local_cluster.processes import not_real_time, wait_for
from examples.quickstart import make_clip
from reelmill.v1.task_pb2 import TASK_PHASE_CONVERTING, TASK_STATUS_SUCCEEDED, Task
from reelmill_client import Client
from reelmill_client.watch import is_final

FOLDER = Path(__file__).resolve().parent.parent / ".reelmill" / "cluster"
_HEARTBEAT_SECONDS = 5
_LOOK_SECONDS = 5.0
# Outputs and how they are made. The first is slow, so that its worker can be killed in the middle.
_BATCH: tuple[tuple[str, dict[str, Any]], ...] = (
    ("slow-h265.mp4", {"video": "h265", "preset": "slow", "size": "640x360", "audio": "aac"}),
    ("av1.webm", {"video": "av1", "size": "640x360", "audio": "opus"}),
    ("h264.mp4", {"video": "h264", "size": "854x480", "audio": "aac"}),
    ("vp9.webm", {"video": "vp9", "size": "320x180", "audio": "opus"}),
    ("stream/film.m3u8", {"video": "h264", "size": "640x360", "audio": "aac"}),
    ("copy.mkv", {}),
    ("sound.mp3", {"video": "none", "audio": "mp3"}),
)


@dataclass(frozen=True)
class Attempt:
    """One attempt as its worker logged it; seconds since the epoch."""

    number: int
    began: float
    worker: str


def attempts_of(cluster: Cluster, task_id: str) -> list[Attempt]:
    """The attempts of a task, the first one first. One that was only looked at in the fast lane is where it went from there."""
    found = {
        (str(entry["timestamp"]), int(str(entry["attempt"])), worker.name)
        for worker in cluster.workers
        for entry in worker.events("attempt started")
        if entry["task_id"] == task_id
    }
    last = {
        number: Attempt(number, datetime.fromisoformat(stamp).timestamp(), worker) for stamp, number, worker in sorted(found)
    }
    return [last[number] for number in sorted(last)]


def _converting(client: Client, task_id: str) -> bool:
    task = client.get(task_id)
    return task.phase == TASK_PHASE_CONVERTING and task.progress >= 10


def _victim(cluster: Cluster, task_id: str) -> Member:
    last = attempts_of(cluster, task_id)[-1].worker
    return next(worker for worker in cluster.workers if worker.name == last)


def _show(client: Client, begun: float) -> bool:
    """One line on how far all tasks are; whether all have ended."""
    tasks = list(client.list())
    ended = sum(is_final(task) for task in tasks)
    moving = sorted(f"{task.user_data} {task.progress}%" for task in tasks if 0 < task.progress < 100)
    print(f"  {time.monotonic() - begun:5.0f} s  {ended} of {len(tasks)} ended   {', '.join(moving)}".rstrip(), flush=True)
    return ended == len(tasks)


def _whole(task: Task) -> bool:
    """Whether every output that the task names is there as it says: size and SHA-256."""
    paths = [(artifact, Path(unquote(urlsplit(artifact.uri).path))) for artifact in task.artifacts]
    return bool(paths) and all(
        path.stat().st_size == artifact.size and hashlib.sha256(path.read_bytes()).hexdigest() == artifact.sha256
        for artifact, path in paths
    )


def _report(cluster: Cluster, client: Client) -> bool:
    """A line for each task; whether all succeeded and are whole."""
    print(f"\n  {'output':<18}{'status':<11}{'attempts':<10}{'by':<25}{'files':<7}whole")
    good = True
    for task in sorted(client.list(), key=lambda task: task.start_time.ToNanoseconds()):
        succeeded, whole = task.status == TASK_STATUS_SUCCEEDED, _whole(task)
        by = ", then ".join(attempt.worker for attempt in attempts_of(cluster, task.task_id))
        word = "Succeeded" if succeeded else task.code
        print(f"  {task.user_data:<18}{word:<11}{task.attempt:<10}{by:<25}{len(task.artifacts):<7}{'yes' if whole else 'NO'}")
        good = good and succeeded and whole
    return good


def _kill_one(cluster: Cluster, client: Client, task_id: str) -> None:
    """Kills the worker of a task in the middle of it, and tells who takes over and when."""
    name = _BATCH[0][0]
    wait_for(lambda: _converting(client, task_id), f"the encode of {name}", 120)
    victim = _victim(cluster, task_id)
    before = len(attempts_of(cluster, task_id))
    print(f"\nkill -9 of {victim.name} (process {victim.pid}), in the middle of {name}")
    victim.server.kill()
    killed = time.time()
    wait_for(lambda: len(attempts_of(cluster, task_id)) > before, "the takeover", 180)
    taken = attempts_of(cluster, task_id)[-1]
    seconds = taken.began - killed
    print(f"{taken.worker} took {name} over {seconds:.1f} s later: attempt {taken.number}", end="")
    print(f" (silence of {_HEARTBEAT_SECONDS} s means that a worker is lost)\n")


def _use(cluster: Cluster, files: Path) -> bool:
    """Submits the batch, watches it, kills a worker on the way. Whether all went well."""
    clip = files / "clip.mp4"
    first, second = (Client(replica.server.grpc) for replica in cluster.replicas)
    with first, second:
        ids = [
            first.submit(source=clip, destination=files / name, user_data=name, **conversion).task_id
            for name, conversion in _BATCH
        ]
        print(f"{len(ids)} tasks were created through api-1; what follows is asked of api-2")
        _kill_one(cluster, second, ids[0])
        begun = time.monotonic()
        while not _show(second, begun):
            time.sleep(_LOOK_SECONDS)
        good = _report(cluster, second)
        lost = [f"attempt {failed.attempt}: {failed.message}" for failed in second.get(ids[0]).failed_attempts]
        print(f"\nthe record of {_BATCH[0][0]} tells of {'; '.join(lost) or 'no failed attempt'}")
    return good


def _run(cluster: Cluster, files: Path) -> bool:
    begun = time.monotonic()
    try:
        cluster.start()
        print(f"after {time.monotonic() - begun:.0f} s these run, each with a folder of its own in {cluster.folder}:")
        print(f"  {'temporal':<10}process {cluster.temporal.pid:<8}{cluster.temporal.address}")
        print(f"  {'postgres':<10}process {cluster.postgres.pid:<8}the records of both replicas")
        for member in cluster.members:
            where = f"gRPC {member.server.grpc}" if member.role == "api" else "takes tasks"
            print(f"  {member.name:<10}process {member.pid:<8}{where}")
        return _use(cluster, files)
    finally:
        cluster.stop()
        print("everything is stopped")


def _postgres() -> PrivatePostgres:
    """A running PostgreSQL; where there is none, the program ends and says what to do."""
    server = PrivatePostgres()
    try:
        server.start()
    except (OSError, subprocess.SubprocessError, psycopg.Error) as error:
        server.stop()
        sys.exit(
            f"PostgreSQL cannot be started: {error}\n"
            "SQLite does not do for a cluster: replicas on several machines cannot share its file.\n"
            "Install the development dependencies (`make install`), or PostgreSQL of your system."
        )
    return server


def main() -> None:
    """Runs it; the exit status tells whether all went well."""
    not_real_time()
    shutil.rmtree(FOLDER, ignore_errors=True)
    files = FOLDER / "files"
    make_clip(files / "clip.mp4")
    storage = ("--file-root", str(files))
    settings = ("--heartbeat-timeout-seconds", str(_HEARTBEAT_SECONDS))
    sys.exit(0 if _run(Cluster(FOLDER, _postgres(), storage=storage, replica_settings=settings), files) else 1)


if __name__ == "__main__":
    main()
