"""After a storm: what must be true, whatever happened. Each check yields sentences about what is not."""

import hashlib
import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import imageio_ffmpeg

from examples.local_cluster.processes import wait_for
from reelmill.v1.notification_service_pb2 import NotificationState
from reelmill.v1.task_pb2 import TASK_STATUS_CANCELED, TASK_STATUS_FAILED, TASK_STATUS_SUCCEEDED, Task, TaskStatus
from reelmill_client import Client
from reelmill_server.storage.publication import FILES_AT_ONCE
from tests.chaos.callers import Called
from tests.chaos.faults import Storm
from tests.chaos.faulty_storage import Change, FaultyStorage, key_of, uri
from tests.receivers import Receiver

WORKER_LOST = "WorkerLost"
_RESUMED_SECONDS = 2.0
Problems = Iterator[str]


@dataclass(frozen=True)
class Aftermath:
    """All that is left to look at, while the cluster still runs and is calm."""

    called: list[Called]
    client: Client
    storm: Storm
    storage: FaultyStorage
    receiver: Receiver

    @cached_property
    def tasks(self) -> Mapping[int, Task]:
        """The tasks as they are on record, by errand."""
        return {int(task.user_data): task for task in self.client.list()}

    def events(self, role: str, event: str) -> list[dict[str, object]]:
        """What members of a role logged; `serve` has all roles."""
        members = [member for member in self.storm.cluster.members if member.role in (role, "serve")]
        return [entry for member in members for entry in member.events(event)]


def none_lost(after: Aftermath) -> Problems:
    """Every request made exactly one task, which ended, and whose watcher saw the end that is on record."""
    counts = Counter(task.user_data for task in after.client.list())
    for called in after.called:
        number = called.errand.number
        if called.trouble:
            yield f"task {number}: its caller met {called.trouble}"
        if counts[str(number)] != 1:
            yield f"task {number} is on record {counts[str(number)]} times"
            continue
        task = after.tasks[number]
        if not called.ended:
            yield f"task {number} ({called.errand.kind.name}) did not end: {task.task_id} is {TaskStatus.Name(task.status)}"
        elif (called.seen[-1].status, called.seen[-1].code) != (task.status, task.code):
            yield f"task {number} ended as {called.seen[-1].code} for its watcher and as {task.code} on record"
    recorded = Counter(str(entry["task_id"]) for entry in after.events("api", "task ended"))
    for task_id, count in recorded.items():
        if count > 1:
            yield f"{task_id} ended {count} times"


def right_ends(after: Aftermath) -> Problems:
    """What could succeed has; what could not has its code; what was canceled in time is canceled."""
    for called in after.called:
        task, kind = after.tasks.get(called.errand.number), called.errand.kind
        if task is None:
            continue
        told = f"task {called.errand.number} ({kind.name})"
        if task.status == TASK_STATUS_CANCELED:
            if not called.cancel_taken:
                yield f"{told} was canceled by nobody"
        elif kind.code:
            if (task.status, task.code) != (TASK_STATUS_FAILED, kind.code):
                yield f"{told} should fail with {kind.code}, and ended with {task.code or 'success'}: {task.message}"
        elif task.status != TASK_STATUS_SUCCEEDED:
            tries = ", ".join(f"{failed.attempt} {failed.code} ({failed.message})" for failed in task.failed_attempts)
            yield f"{told} failed with {task.code}: {task.message}; before: {tries or 'nothing'}; {task.task_id}"


def whole_artifacts(after: Aftermath) -> Problems:
    """Objects are what the record says, by size and SHA-256; another FFmpeg counts all pictures; nothing more is there."""
    for called in after.called:
        errand, task = called.errand, after.tasks.get(called.errand.number)
        if task is None:
            continue
        if task.status != TASK_STATUS_SUCCEEDED:
            if keys := _left(after, f"{errand.folder}/"):
                yield f"task {errand.number} ({errand.kind.name}) ended as {task.code} and left {sorted(keys)}; {task.task_id}"
            continue
        keys = after.storage.keys(f"{errand.folder}/")
        if len(task.artifacts) != errand.kind.files:
            yield f"task {errand.number} ({errand.kind.name}) made {[artifact.uri for artifact in task.artifacts]}"
        with tempfile.TemporaryDirectory() as folder:
            yield from _judge(after, called, task, keys, Path(folder))


def _left(after: Aftermath, folder: str) -> set[str]:
    """What lies there: what a killed worker has left goes while the end is recorded, or soon after."""
    with suppress(AssertionError):
        wait_for(lambda: not after.storage.keys(folder), "what was left", 30)
    return after.storage.keys(folder)


def _judge(after: Aftermath, called: Called, task: Task, keys: set[str], folder: Path) -> Problems:
    told = f"task {called.errand.number} ({called.errand.kind.name}, {task.task_id})"
    for key in keys:
        (folder / PurePosixPath(key).name).write_bytes(after.storage.get(key))
    named = {key_of(artifact.uri) for artifact in task.artifacts}
    for artifact in task.artifacts:
        path = folder / PurePosixPath(artifact.uri).name
        if not path.exists():
            yield f"{told}: {artifact.uri} is not there"
        elif (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()) != (artifact.size, artifact.sha256):
            yield f"{told}: {artifact.uri} is not what the record says"
        elif path.suffix == ".m3u8":
            named |= {
                f"{called.errand.folder}/{line}" for line in re.findall(r'^[^#\s].*|(?<=URI=")[^"]+', path.read_text(), re.M)
            }
    if keys != named:
        yield f"{told}: there is more or less than what it names: {sorted(keys ^ named)}"
    for ending, pictures in called.errand.kind.pictures.items():
        for path in (path for path in sorted(folder.iterdir()) if path.name.endswith(ending)):
            counted = imageio_ffmpeg.count_frames_and_secs(str(path))[0]
            if counted != pictures:
                yield f"{told}: {path.name} has {counted} pictures instead of {pictures}"


def published_once(after: Aftermath) -> Problems:
    """Nothing is placed after a task has ended, but what was on its way to the store when its worker was stopped, and comes
    there when that goes on: as many files as are sent at once. That they are right is looked at with the others."""
    for called in after.called:
        task = after.tasks.get(called.errand.number)
        if task is None or not called.ended:
            continue
        end = task.end_time.ToNanoseconds() / 1e9
        late = [c for c in after.storage.changes if c.placed and c.key.startswith(f"{called.errand.folder}/") and c.at > end]
        under_way = [change for change in late if _came_with_a_resumed_worker(after, change, end)]
        for change in late if len(under_way) > FILES_AT_ONCE else [change for change in late if change not in under_way]:
            yield f"task {called.errand.number}: {change.key} was placed {change.at - end:.1f} s after its end; {task.task_id}"


def _came_with_a_resumed_worker(after: Aftermath, change: Change, end: float) -> bool:
    stops = [strike for strike in after.storm.strikes if strike.kind == "stop and resume worker"]
    return any(strike.at < end and abs(change.at - strike.until) < _RESUMED_SECONDS for strike in stops)


def no_uploads_left(after: Aftermath) -> Problems:
    """Unfinished uploads are those of workers that were killed, or that were begun by a call whose answer was lost."""
    for key in after.storage.uploads():
        task = _task_of(after, key)
        if key not in after.storage.lost_uploads and WORKER_LOST not in {failed.code for failed in task.failed_attempts}:
            yield f"an upload of {uri(key)} is left; {task.task_id}"


def _task_of(after: Aftermath, key: str) -> Task:
    """The task that made an object: of its folder, or, in shared scratch, of its id."""
    folder = re.match(r"out/(\d+)/", key)
    return after.tasks[int(folder[1])] if folder else next(task for task in after.tasks.values() if task.task_id in key)


def all_told(after: Aftermath) -> Problems:
    """Every end that was to be told was, at least once, as it is on record."""
    wanted = {called.errand.number for called in after.called if called.errand.told and called.errand.number in after.tasks}

    def missing() -> list[int]:
        return sorted(wanted - {int(received.path.strip("/")) for received in after.receiver.received})

    with suppress(AssertionError):
        wait_for(lambda: not missing(), "the deliveries", 60)
    for number in missing():
        task_id = after.tasks[number].task_id
        states = [NotificationState.Name(item.state) for item in after.client.notifications.list(task_id)]
        yield f"the end of task {number} was not told: {states}; {task_id}"
    words = {TASK_STATUS_SUCCEEDED: "Succeeded", TASK_STATUS_FAILED: "Failed", TASK_STATUS_CANCELED: "Canceled"}
    for received in after.receiver.received:
        number = int(received.path.strip("/"))
        if words.get(after.tasks[number].status, "?").encode() not in received.body:
            yield f"task {number} was told otherwise than it ended: {received.body[:300]!r}"


def nothing_in_scratch(after: Aftermath) -> Problems:
    """Workers at rest hold their own folder with its lock, and nothing else."""

    def left() -> list[str]:
        return [
            str(path)
            for worker in after.storm.cluster.workers
            for path in (worker.folder / "scratch").glob("*/*")
            if path.name != "lock"
        ] + [str(path) for worker in after.storm.cluster.workers for path in list((worker.folder / "scratch").iterdir())[1:]]

    with suppress(AssertionError):
        wait_for(lambda: not left(), "the end of the last attempts", 30)
    yield from (f"{path} is left in scratch" for path in left())


def nothing_in_shared_scratch(after: Aftermath) -> Problems:
    """What workers handed to each other is gone, and nothing was ever placed elsewhere."""

    def left() -> set[str]:
        return after.storage.keys("") - after.storage.keys("in/") - after.storage.keys("out/")

    with suppress(AssertionError):
        wait_for(lambda: not left(), "the end of the last tasks", 30)
    yield from (f"{key} is left in the store" for key in sorted(left()))


def no_orphans(after: Aftermath) -> Problems:
    """The children of killed workers are gone."""

    def left() -> list[int]:
        return [pid for pid, command in after.storm.orphans.items() if _command(pid) == command]

    with suppress(AssertionError):
        wait_for(lambda: not left(), "the end of the orphans", 20)
    yield from (f"process {pid} outlived its worker: {after.storm.orphans[pid]}" for pid in left())


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def none_running(marker: str) -> Problems:
    """After the end of the cluster: no process has this in its environment."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):
                if marker.encode() in (entry / "environ").read_bytes():
                    yield f"process {entry.name} still runs: {_command(int(entry.name))}"


CHECKS: Mapping[str, Callable[[Aftermath], Problems]] = {
    "none lost": none_lost,
    "each ends as it must": right_ends,
    "artifacts are whole": whole_artifacts,
    "published once": published_once,
    "no unfinished uploads": no_uploads_left,
    "ends are told": all_told,
    "scratch is empty": nothing_in_scratch,
    "shared scratch is empty": nothing_in_shared_scratch,
    "no orphans": no_orphans,
}
