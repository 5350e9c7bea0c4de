"""Roles apart: two api replicas, three workers, Temporal and PostgreSQL share nothing but an object store."""

import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import imageio_ffmpeg
import pytest

from examples.local_cluster.cluster import Cluster, Member
from reelmill.v1 import task_pb2
from reelmill_client import Client, FailedPrecondition, Unavailable
from tests import postgres, servers
from tests.clips import moving_picture
from tests.stores import KEYS, Front, Moto, as_s3, forward

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("roles")]
# A bound on the load of the rolling restart: where the machine is slow, restarts last longer, and so does each task.
AT_ONCE, AT_MOST = 3, 20
# Slow enough that much can happen in the middle.
SLOW = {"video": "h264", "preset": "veryslow", "size": "320x180"}
BUCKET = "s3://cluster"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, moto: Moto) -> Iterator[Cluster]:
    """All processes; no folder may be named in requests."""
    folder = tmp_path_factory.mktemp("cluster")
    front = Front(forward(moto.url, as_s3)).start()
    moto.bucket("cluster")
    for name, seconds in (("clip", 4), ("long", 20)):
        clip = moving_picture(folder / f"{name}.mp4", seconds)
        moto.client.put_object(Bucket="cluster", Key=f"in/{name}.mp4", Body=clip.read_bytes())
    running = Cluster(
        folder,
        postgres.started(),
        storage=("--bucket", f"s3://*=s3://*?endpoint={front.url}"),
        replica_settings=("--reconcile-seconds", "1", "--heartbeat-timeout-seconds", "5"),
        worker_settings=("--drain-seconds", "1", "--fast-core-seconds", "0.2"),
        environment={"REELMILL_FILE_ROOT": "", **{name.upper(): value for name, value in KEYS.items()}},
    )
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture
def one(cluster: Cluster) -> Iterator[Client]:
    """A client of the first replica alone."""
    with servers.client(cluster.replicas[0].server) as client:
        yield client


@pytest.fixture
def other(cluster: Cluster) -> Iterator[Client]:
    """A client of the second replica alone."""
    with servers.client(cluster.replicas[1].server) as client:
        yield client


def pictures(moto: Moto, key: str, folder: Path) -> int:
    """How many pictures an object has, by another decoder's count."""
    path = folder / key.replace("/", "-")
    path.write_bytes(moto.client.get_object(Bucket="cluster", Key=key)["Body"].read())
    return int(imageio_ffmpeg.count_frames_and_secs(str(path))[0])


def test_replicas_know_the_same_tasks(one: Client, other: Client, moto: Moto, tmp_path: Path) -> None:
    """What one creates the other lists, watches, plans, tells of and cancels."""
    source = f"{BUCKET}/in/clip.mp4"
    task_id = one.submit(source=source, destination=f"{BUCKET}/same/out.mkv", tags={"through": "one"}).task_id
    assert list(other.watch(task_id))[-1].status == task_pb2.TASK_STATUS_SUCCEEDED
    assert [task.task_id for task in other.list(tags={"through": "one"}, status="Succeeded")] == [task_id]
    assert pictures(moto, "same/out.mkv", tmp_path) == 100
    told = {"Notification": {"ExtendedMessageURI": f"{BUCKET}/same/result.json"}}
    target = {"URI": f"{BUCKET}/same/told.mkv", "Container": "mkv"}
    noted = one.submit({"Sources": [{"URI": source}], "Targets": [target], **told}).task_id
    servers.wait_for(lambda: list(other.notifications.list(noted, state="Delivered")), "the file that a worker writes")
    result = moto.client.get_object(Bucket="cluster", Key="same/result.json")["Body"].read()
    assert f'"TaskId":"{noted}"'.encode() in result
    assert other.plan(source=source, destination=f"{BUCKET}/same/p.mp4", video="h265").valid
    assert one.probe(source).duration == other.probe(source).duration > 3.9
    slow = one.submit(source=f"{BUCKET}/in/long.mp4", destination=f"{BUCKET}/same/slow.mp4", **servers.ENDLESS).task_id
    servers.wait_for(lambda: other.get(slow).phase == task_pb2.TASK_PHASE_CONVERTING, "the encode")
    servers.wait_for(lambda: slow in {run.task_id for worker in one.workers() for run in worker.attempts}, "its worker")
    assert [worker.name for worker in one.workers()] == [worker.name for worker in other.workers()]
    assert len(one.workers()) == 3
    other.cancel(slow)
    assert list(one.watch(slow))[-1].status == task_pb2.TASK_STATUS_CANCELED
    with pytest.raises(FailedPrecondition):
        one.cancel(task_id)
    assert "Contents" not in moto.client.list_objects_v2(Bucket="cluster", Prefix="same/slow")


def test_one_request_sent_to_all_replicas_at_once_makes_one_task(one: Client, other: Client) -> None:
    """Ten senders, two replicas, one RequestId."""
    request = {
        "Sources": [{"URI": f"{BUCKET}/in/clip.mp4"}],
        "Targets": [{"URI": f"{BUCKET}/once/out.mkv", "Container": "mkv"}],
        "RequestId": str(uuid.uuid4()),
        "Tags": {"sent": "often"},
    }
    results: list[str] = []
    senders = [
        threading.Thread(target=lambda client=client: results.append(client.submit(request).task_id))
        for client in [one, other] * 5
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join(60)
    assert len(results) == 10 and len(set(results)) == 1
    assert [task.task_id for task in other.list(tags={"sent": "often"})] == [results[0]]
    assert one.wait(results[0]).attempt == 1


def test_a_client_of_all_replicas_calls_them_in_turn(cluster: Cluster) -> None:
    """A name with several addresses, as a headless service has."""
    called = re.compile(r'^reelmill_rpc_total{code="OK",method="GetCapabilities"} (\d+)', re.MULTILINE)
    with cluster.client() as client:

        def both_called() -> bool:
            client.capabilities()
            return all(called.search(replica.server.get("/metrics")[1]) for replica in cluster.replicas)

        servers.wait_for(both_called, "a call of each")


def watched(cluster: Cluster) -> Member:
    """The replica that somebody watches a task on."""
    watchers = re.compile(r"^reelmill_watchers [1-9]", re.MULTILINE)
    return next(replica for replica in cluster.replicas if watchers.search(replica.server.get("/metrics")[1]))


def test_a_watcher_goes_on_when_its_replica_is_killed(cluster: Cluster, moto: Moto, tmp_path: Path) -> None:
    """The client's stream moves to the other replica; nothing is seen twice, and progress never goes back."""
    victim: Member | None = None
    seen = []
    with cluster.client() as client:
        task_id = client.submit(source=f"{BUCKET}/in/long.mp4", destination=f"{BUCKET}/watch/out.mp4", **SLOW).task_id
        for task in client.watch(task_id):
            seen.append(task)
            if task.phase == task_pb2.TASK_PHASE_CONVERTING and victim is None:
                victim = watched(cluster)
                victim.server.kill()
    progress = [task.progress for task in seen]
    assert victim
    victim.start()
    assert seen[-1].status == task_pb2.TASK_STATUS_SUCCEEDED and seen[-1].attempt == 1
    assert progress == sorted(progress) and all(before != after for before, after in pairwise(seen))
    assert pictures(moto, "watch/out.mp4", tmp_path) == 500


def test_a_rolling_restart_under_load_loses_nothing(cluster: Cluster, moto: Moto, tmp_path: Path) -> None:
    """Every role is told to end and started again, one after the other, Temporal and PostgreSQL too, while tasks come."""
    over = threading.Event()
    results: dict[str, str] = {}

    def create() -> None:
        with cluster.client() as client:
            request_id = str(uuid.uuid4())
            while not over.wait(0.5) and len(results) < AT_MOST:
                name = f"roll/{len(results)}.mp4"
                with suppress(Unavailable):
                    if len(list(client.list(tags={"roll": "load"}, status="Running"))) < AT_ONCE:
                        results[name] = client.submit(
                            source=f"{BUCKET}/in/clip.mp4",
                            destination=f"{BUCKET}/{name}",
                            tags={"roll": "load"},
                            request_id=request_id,
                            **SLOW,
                        ).task_id
                        request_id = str(uuid.uuid4())

    creator = threading.Thread(target=create)
    creator.start()
    try:
        for member in cluster.members:
            member.stop()
            member.start()
        cluster.postgres.terminate()
        cluster.postgres.restart()
        cluster.temporal.terminate()
        cluster.temporal.restart()
    finally:
        over.set()
        creator.join(60)
    assert not creator.is_alive()
    with cluster.client() as client:
        tasks = {name: client.wait(task_id) for name, task_id in results.items()}
        listed = [task.task_id for task in client.list(tags={"roll": "load"})]
    assert sorted(listed) == sorted(results.values()) and len(results) >= 5
    failed = {attempt.code for task in tasks.values() for attempt in task.failed_attempts}
    assert failed <= {"WorkerDraining"}  # nobody was killed: what was in flight was handed on
    assert {pictures(moto, name, tmp_path) for name in results} == {100}
    ends = [str(entry["task_id"]) for replica in cluster.replicas for entry in replica.events("task ended")]
    assert all(ends.count(task_id) == 1 for task_id in results.values())
