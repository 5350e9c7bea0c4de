"""Long encodes that several workers share."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from reelmill.v1 import task_pb2
from reelmill_client import Client, TaskCanceled
from tests import judge, servers
from tests.clips import moving_picture

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("units")]


class Cluster:
    """An engine with its api, and workers of their own, which share a folder of scratch."""

    def __init__(self, folder: Path, clip: Path, keep_seconds: int = 0) -> None:
        """Start them, but for workers; `keep_seconds`: for so long chunks are kept for a retry."""
        self.folder, self.files, self.scratch = folder, folder / "files", folder / "scratch"
        self.files.mkdir()
        (self.files / "clip.mp4").write_bytes(clip.read_bytes())
        self.common = ("--file-root", str(folder), "--scratch-uri", self.scratch.as_uri())
        # A worker on a busy machine may say nothing for some seconds.
        quick = ("--heartbeat-timeout-seconds", "8", "--reconcile-seconds", "1", "--worker-slots", "0")
        data = ("--data-dir", str(folder / "api"), "--listen", "127.0.0.1:0", "--retry-keep-seconds", str(keep_seconds))
        self.api = servers.Server("serve", folder / "api", *data, *quick, *self.common)
        self.workers: list[servers.Server] = []

    def add_worker(self, *arguments: str) -> servers.Server:
        """One more worker."""
        folder = self.folder / f"worker{len(self.workers)}"
        engine = ("--temporal-address", self.api.engine, "--data-dir", str(folder), "--worker-slots", "1")
        self.workers.append(servers.Server("worker", folder, *engine, *self.common, *arguments))
        return self.workers[-1]

    def units(
        self, task_id: str, event: str = "attempt ended", outcome: str = "Succeeded", of: list[servers.Server] | None = None
    ) -> list[object]:
        """The numbers of the units of a task of which this was logged, by all workers or by those of `of`."""
        workers = self.workers if of is None else of
        entries = [entry for worker in workers for entry in worker.events(event) if entry.get("task_id") == task_id]
        return sorted(entry["unit"] for entry in entries if "unit" in entry and entry.get("outcome", outcome) == outcome)  # type: ignore[type-var]

    def stop(self) -> None:
        """Ends everything."""
        for server in (*self.workers, self.api):
            server.stop()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty seconds with a key frame each second."""
    return moving_picture(tmp_path_factory.mktemp("clips") / "clip.mp4", 20)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> Iterator[Cluster]:
    """A cluster with the clip and two workers."""
    running = Cluster(tmp_path_factory.mktemp("cluster"), clip)
    try:
        for _ in range(2):
            running.add_worker()
        yield running
    finally:
        running.stop()


@pytest.fixture
def empty_cluster(tmp_path: Path, clip: Path) -> Iterator[Cluster]:
    """A cluster of its own with the clip, and without a worker, which keeps chunks for a retry."""
    running = Cluster(tmp_path, clip, keep_seconds=600)
    try:
        yield running
    finally:
        running.stop()


# So slow that much can happen in the middle.
SLOW = {"Preset": "slower", "Resolution": "480x270"}
QUICK = {"Preset": "veryfast"}


def request(cluster: Cluster, name: str, parallelism: int, how: dict[str, str]) -> dict[str, object]:
    """An encode of the clip with its sound, in so many chunks."""
    video = {"TranscodeVideo": {"Codec": "h264", "CRF": 20, **how}}
    target = {"URI": (cluster.files / name).as_uri(), "Container": "mp4", "Video": video}
    target["Audio"] = {"TranscodeAudio": {"Codec": "aac"}}
    return {
        "Sources": [{"URI": (cluster.files / "clip.mp4").as_uri()}],
        "Targets": [target],
        "Parallelism": parallelism,
    }


def left_in_scratch(cluster: Cluster) -> list[Path]:
    """What lies in the scratch that workers share."""
    # os.walk, unlike rglob, does not mind folders that go meanwhile.
    return [Path(folder, name) for folder, _, names in os.walk(cluster.scratch) for name in names]


def test_what_units_make_is_what_is_made_in_one_go(cluster: Cluster) -> None:
    """Same pictures at the same times, same sound, one artifact that tells of all of it; nothing is left in scratch."""
    with servers.client(cluster.api) as client:
        cut = client.wait(client.submit(request(cluster, "cut.mp4", 3, QUICK)).task_id)
        whole = client.wait(client.submit(request(cluster, "whole.mp4", 1, QUICK)).task_id)
        assert cluster.units(cut.task_id) == [0, 1, 2, 3] and not cluster.units(whole.task_id)
        servers.wait_for(lambda: not left_in_scratch(cluster), "the removal of scratch")
    assert cut.attempt == 1 and not cut.failed_attempts
    result = cluster.files / "cut.mp4"
    assert judge.times(result) == judge.times(cluster.files / "whole.mp4")
    assert len(judge.times(result)) == 500
    (one,), (other,) = cut.artifacts, whole.artifacts
    assert one.sha256 == hashlib.sha256(result.read_bytes()).hexdigest()
    assert [(stream.codec, stream.encoder, stream.packet_count) for stream in one.streams] == [
        (stream.codec, stream.encoder, stream.packet_count) for stream in other.streams
    ]


def test_a_killed_worker_costs_what_it_had(cluster: Cluster) -> None:
    """kill -9 while it makes a unit: what it had is made again elsewhere, what others made is not, and all is whole."""
    with servers.client(cluster.api) as client:
        task_id = client.submit(request(cluster, "killed.mp4", 4, SLOW)).task_id
        servers.wait_for(lambda: cluster.units(task_id), "the first unit")
        victim = servers.wait_for(lambda: _at_work(cluster), "a unit in the making")
        victim.kill()
        others = cluster.units(task_id, of=[worker for worker in cluster.workers if worker is not victim])
        task = client.wait(task_id)
        cluster.add_worker()  # in its place, for other tests
    lost = [attempt.message for attempt in task.failed_attempts]
    assert {attempt.code for attempt in task.failed_attempts} == {"WorkerLost"}
    # The unit in the making, one that waited there for its turn, one just made whose result had not left yet.
    assert len(set(lost)) == len(lost) <= 3
    assert not set(lost) & {f"unit {unit}: the worker was lost" for unit in others}
    assert set(cluster.units(task_id)) == {0, 1, 2, 3, 4}
    assert len(judge.times(cluster.files / "killed.mp4")) == 500
    servers.wait_for(lambda: not left_in_scratch(cluster), "the removal of scratch")


def _at_work(cluster: Cluster) -> servers.Server | None:
    for worker in cluster.workers:
        begun, ended = worker.events("attempt started"), worker.events("attempt ended")
        if worker.alive and len(begun) > len(ended) and "unit" in begun[-1]:
            return worker
    return None


def test_progress_of_units_adds_up_and_a_cancel_ends_them_all(cluster: Cluster) -> None:
    """It never falls, a part of the units shows as a part of the task, and afterwards nothing runs and nothing is left."""
    seen: list[int] = []
    with servers.client(cluster.api) as client:
        task_id = client.submit(request(cluster, "canceled.mp4", 8, SLOW)).task_id
        for task in client.watch(task_id):
            seen.append(task.progress)
            if task.progress >= 30 and task.status == task_pb2.TASK_STATUS_RUNNING:
                client.cancel(task_id)
        with pytest.raises(TaskCanceled):
            client.wait(task_id)
        servers.wait_for(lambda: not left_in_scratch(cluster), "the removal of scratch")
    assert seen == sorted(seen) and 30 <= seen[-1] < 100
    assert not (cluster.files / "canceled.mp4").exists()
    assert all(not servers.at_work(worker) for worker in cluster.workers)


def test_a_retry_takes_over_what_was_encoded(empty_cluster: Cluster) -> None:
    """Chunks of a canceled task are not encoded again, the others are; then all is whole."""
    cluster = empty_cluster
    cluster.add_worker()
    cluster.add_worker()
    with servers.client(cluster.api) as client:
        first = client.submit(request(cluster, "out.mp4", 4, SLOW)).task_id
        servers.wait_for(lambda: len(cluster.units(first)) >= 2, "two chunks")
        client.cancel(first)
        client.wait(first, check=False)
        result = cluster.units(first)
        task = client.wait(client.retry(first).task_id)
    assert task.retry_of == first
    reused = [entry["unit"] for worker in cluster.workers for entry in worker.events("kept chunk reused")]
    assert len(result) < 5 and set(result) <= set(reused) and len(reused) < 5
    assert len(judge.times(cluster.files / "out.mp4")) == 500


def test_who_is_alone_shares_nothing_and_two_do(empty_cluster: Cluster) -> None:
    """By itself the service cuts when there is enough work and there are workers to share it; the plan says so."""
    cluster = empty_cluster
    flags = ("--chunk-core-seconds", "0.5", "--chunk-seconds", "5", "--fast-core-seconds", "0.1")
    cluster.add_worker(*flags)
    with servers.client(cluster.api) as client:
        planned = client.plan(request(cluster, "out.mp4", 0, QUICK)).plan
        assert planned.chunks == 4 and "4 chunks" in planned.chunks_reason
        assert client.plan(request(cluster, "out.mp4", 1, QUICK)).plan.chunks == 0
        alone = client.wait(client.submit(request(cluster, "alone.mp4", 0, QUICK)).task_id)
        assert cluster.units(alone.task_id) == []
        cluster.add_worker(*flags)
        shared = client.wait(client.submit(request(cluster, "shared.mp4", 0, QUICK)).task_id)
        assert cluster.units(shared.task_id) == [0, 1, 2, 3, 4]
    assert judge.times(cluster.files / "alone.mp4") == judge.times(cluster.files / "shared.mp4")


def test_scratch_is_not_for_tasks(cluster: Cluster) -> None:
    """Nobody reads the parts of somebody else's film, or puts something among them, though the folder may be used."""
    inside = (cluster.scratch / "x.mp4").as_uri()
    with servers.client(cluster.api) as client:
        _refused(client, (cluster.files / "clip.mp4").as_uri(), inside)
        _refused(client, inside, (cluster.files / "x.mp4").as_uri())


def _refused(client: Client, source: str, destination: str) -> None:
    problems = client.plan({"Sources": [{"URI": source}], "Targets": [{"URI": destination, "Container": "mp4"}]}).problems
    assert ["reserved for the service" in problem.description for problem in problems] == [True]
