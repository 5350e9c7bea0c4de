"""The roles as the manifests start them: environment, arguments, ports, user, read-only root, probes, grace. No containers."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import av
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from reelmill_client import Client
from tests import postgres, servers
from tests.clips import moving_picture
from tests.k8s import pod as pods
from tests.k8s.manifests import IMAGE, REPOSITORY, Manifest, Workload, render, workload
from tests.stores import KEYS, Moto

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("roles")]
SLOW = {"video": "h264", "preset": "veryslow", "size": "480x270"}


@pytest.fixture(scope="module", autouse=True)
def _possible() -> None:
    """Only root may play a container."""
    if os.geteuid() != 0 or sys.platform != "linux":
        pytest.skip("needs root, who drops to the user of the manifests")
    tried = "from tests.k8s import pod; pod.leave_the_others_mounts()"
    if subprocess.run([sys.executable, "-c", tried], cwd=REPOSITORY, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets root mount nothing")


ADMIN_TOKEN = "a token of an administrator"


class Network:
    """Addresses on loopback that nobody else has, and the names that pods find them by."""

    def __init__(self) -> None:
        self._prefix = f"127.{os.getpid() % 200 + 20}.{time.monotonic_ns() % 250 + 1}"
        self._used = 0
        self.names: dict[str, str] = {}

    def address(self, *names: str) -> str:
        """The next address, under these names."""
        self._used += 1
        result = f"{self._prefix}.{self._used}"
        self.names |= dict.fromkeys(names, result)
        return result

    def hosts(self) -> str:
        """A file for /etc/hosts."""
        return "127.0.0.1 localhost\n" + "".join(f"{address} {name}\n" for name, address in self.names.items())


class Pod:
    """One pod of a workload, as a process here."""

    def __init__(self, workload: Workload, folder: Path, network: Network, secrets: Mapping[str, Mapping[str, str]]) -> None:
        self.workload, self.address = workload, network.address()
        folder.mkdir()
        folder.chmod(0o777)  # as fsGroup does with a volume
        security = workload.pod["securityContext"]
        program = servers.program("reelmill-server")
        environment = {**IMAGE, **workload.environment(secrets), "PATH": f"{Path(program).parent}:/usr/bin:/bin"}
        # The only thing that a pod has of its own and a process has not: all addresses are its address.
        for name in ("REELMILL_LISTEN", "REELMILL_HTTP_API", "REELMILL_HTTP"):
            if name in environment:  # the migration listens nowhere
                environment[name] = environment[name].replace("0.0.0.0", self.address)
        if "PYTHONPATH" in os.environ:
            environment["PYTHONPATH"] = os.environ["PYTHONPATH"]
        (mount,) = workload.container["volumeMounts"]
        order = {
            "program": [program, *workload.container["args"]],
            "environment": environment,
            "volume": [str(folder), mount["mountPath"]],
            "hosts": network.hosts(),
            "needed": sorted({sys.prefix, sys.base_prefix, str(REPOSITORY)}),
            "user": security["runAsUser"],
        }
        self.log = folder.with_suffix(".log")
        with self.log.open("w") as log:
            command = [sys.executable, "-I", pods.__file__, json.dumps(order)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def passes(self, probe: Manifest) -> bool:
        """Looks once, as the kubelet does."""
        seconds = probe["timeoutSeconds"]
        if "grpc" in probe:
            with grpc.insecure_channel(f"{self.address}:{probe['grpc']['port']}") as channel:
                try:
                    stub = health_pb2_grpc.HealthStub(channel)
                    answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=seconds)
                except grpc.RpcError:
                    return False
                return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
        page = probe["httpGet"]
        url = f"http://{self.address}:{self.workload.port(page['port'])}{page['path']}"
        try:
            with urllib.request.urlopen(url, timeout=seconds) as answer:
                return bool(answer.status < 400)
        except OSError:
            return False

    def start(self) -> "Pod":
        """Waits until it has started and is ready, within the time that its probes give it."""
        probes = self.workload.probes()
        allowed = probes["startup"]["periodSeconds"] * probes["startup"]["failureThreshold"]

        def started() -> bool:
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            return self.passes(probes["startup"])

        servers.wait_for(started, f"the start of {self.workload.name}", allowed)
        for kind in ("readiness", "liveness"):
            servers.wait_for(lambda kind=kind: self.passes(probes[kind]), f"{kind} of {self.workload.name}", allowed)
        return self

    def stop(self) -> int:
        """What Kubernetes does: SIGTERM, and SIGKILL after the grace. Gives the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(self.workload.pod["terminationGracePeriodSeconds"])
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class Cluster:
    """What the cluster has besides: Temporal, PostgreSQL, S3, as the pages of Kubernetes say to set them up."""

    def __init__(self, stack: ExitStack, folder: Path, store: Moto) -> None:
        self.folder, self.network, self.store = folder, Network(), store
        self._stack = stack
        engine = self.network.address("temporal-frontend.temporal.svc.cluster.local")
        stack.enter_context(_temporal(engine, folder))
        database = postgres.started()
        stack.callback(database.stop)
        database.execute("CREATE DATABASE reelmill")
        url = database.url("reelmill")
        Path(url.rpartition("host=")[2]).chmod(0o711)
        store.bucket("media")
        keys = {name.upper(): value for name, value in KEYS.items()}
        self.secrets = {
            "reelmill-database": {"url": url},
            "reelmill-callers": {"admin-token": ADMIN_TOKEN},
            "reelmill-storage": {**keys, "AWS_ENDPOINT_URL_S3": store.url, "AWS_DEFAULT_REGION": "us-east-1"},
        }

    def run(self, workload: Workload) -> Pod:
        """A new pod."""
        number = len(list(self.folder.glob("*.log")))
        pod = Pod(workload, self.folder / f"{workload.name}-{number}", self.network, self.secrets)
        self._stack.callback(pod.process.kill)
        return pod


@contextmanager
def _temporal(address: str, folder: Path) -> Iterator[None]:
    """A server on the usual port of an address, with the namespace of the settings."""
    program, reserved = servers.program("temporal"), servers.ReservedPort()
    port = reserved.number
    # Its parts find each other on 127.0.0.1 only.
    command = [program, "server", "start-dev", "--headless", "--port", str(port), "--log-level", "error"]
    with (folder / "temporal.txt").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        make = [program, "operator", "namespace", "create", "--namespace", "reelmill", "--retention", "168h"]
        make += ["--address", f"127.0.0.1:{port}"]
        servers.wait_for(lambda: not subprocess.run(make, capture_output=True, check=False).returncode, "the namespace")
        threading.Thread(target=asyncio.run, args=[_forward((address, 7233), port)], daemon=True).start()
        yield
    finally:
        server.kill()
        server.wait()
        reserved.release()


async def _forward(address: tuple[str, int], port: int) -> None:
    """What a service does: who connects to `address` gets to `port` of this machine."""

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        target.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            there = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(copy(reader, there[1]), copy(there[0], writer))
        writer.close()

    await (await asyncio.start_server(connected, *address)).serve_forever()


@pytest.fixture
def cluster(tmp_path: Path, moto: Moto) -> Iterator[Cluster]:
    """What the cluster has besides."""
    with ExitStack() as stack:
        yield Cluster(stack, tmp_path, moto)


def _assert_held(pod: Pod) -> None:
    """It and its children run as nobody in particular, and have no power to get; they can write to their volume only."""
    for process in (pod.process.pid, *servers.processes(pod.process.pid)):
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        status = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
        assert status["Uid"] == status["Gid"] == ["10001"] * 4
        assert status["CapBnd"] == status["CapEff"] == ["0" * 16] and status["NoNewPrivs"] == ["1"]
    mounts = [line.split() for line in Path(f"/proc/{pod.process.pid}/mountinfo").read_text().splitlines()]
    seen = {fields[4]: fields[5] for fields in mounts}  # of several on one place the last is seen
    writable = {place for place, options in seen.items() if options.startswith("rw")}
    assert {place for place in writable if place.split("/")[1] not in ("proc", "dev", "sys")} == {"/data"}


def test_the_roles_of_the_example_convert_a_file(cluster: Cluster, tmp_path: Path) -> None:
    """From an empty database to a file in the store; a worker that is told to stop finishes what it has."""
    manifests = render("example")
    clip = moving_picture(tmp_path / "clip.mp4", 12)
    cluster.store.client.put_object(Bucket="media", Key="in.mp4", Body=clip.read_bytes())

    early = cluster.run(workload(manifests, "reelmill-api"))
    assert early.process.wait(60) == 1, "an api without tables cannot serve"
    assert "migrate" in early.log.read_text()
    migration = cluster.run(workload(manifests, "reelmill-migrate-0.1.0-cpu"))
    assert migration.process.wait(60) == 0, migration.log.read_text()

    api = cluster.run(workload(manifests, "reelmill-api"))
    worker = cluster.run(workload(manifests, "reelmill-worker-software"))
    for pod in (api.start(), worker.start()):
        _assert_held(pod)
    with Client(f"{api.address}:50051", token=ADMIN_TOKEN) as administrator:
        key = administrator.keys.create("shop", ["submitter@default,source=s3://media/,target=s3://media/"]).secret
    with Client(f"{api.address}:50051", token=key) as client:
        asked = {"source": "s3://media/in.mp4", "destination": "s3://media/small.mp4", "duration_seconds": 2}
        task = client.wait(client.submit(**asked, video="h264", size="320x180").task_id, timeout_seconds=120)
        assert task.artifacts[0].uri == "s3://media/small.mp4"
        path = tmp_path / "small.mp4"
        path.write_bytes(cluster.store.client.get_object(Bucket="media", Key="small.mp4")["Body"].read())
        with av.open(str(path)) as container:
            pictures = list(container.decode(video=0))
        assert (len(pictures), pictures[0].width) == (50, 320)

        slow = client.submit(source="s3://media/in.mp4", destination="s3://media/slow.mp4", **SLOW).task_id
        servers.wait_for(lambda: client.get(slow).progress >= 5, "the encode")
        assert len(servers.processes(worker.process.pid)) > 1
        _assert_held(worker)
        assert worker.stop() == 0
        assert not client.wait(slow, timeout_seconds=30).failed_attempts, "nobody else is there to finish it"
    assert api.stop() == 0
    assert not list((tmp_path / worker.log.stem / "scratch").glob("*/*/*")), "nothing of attempts is left in scratch"


def test_the_pod_of_dev_converts_a_file(tmp_path: Path) -> None:
    """Everything in one pod, with its own engine: a file that was copied into its volume becomes another there."""
    served = workload(render("overlays/dev"), "reelmill")
    pod = Pod(served, tmp_path / "volume", Network(), {})
    try:
        pod.start()
        _assert_held(pod)
        clip = moving_picture(tmp_path / "volume" / "files" / "clip.mp4", 1)
        for result in (clip.parent, clip):
            os.chown(result, 10001, 10001)
        with Client(f"{pod.address}:50051") as client:
            asked = {"source": "file:///data/files/clip.mp4", "destination": "file:///data/files/small.mkv"}
            client.wait(client.submit(**asked, video="h264", size="160x90").task_id, timeout_seconds=120)
        with av.open(str(clip.with_name("small.mkv"))) as container:
            assert container.streams.video[0].width == 160
        assert pod.stop() == 0
    finally:
        pod.process.kill()
