"""Processes die: tasks do not."""

import contextlib
import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg
import pytest

from reelmill.v1 import task_pb2
from reelmill_client import Client, TaskCanceled, TaskFailed
from tests import servers
from tests.clips import moving_picture

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("chaos")]
# On one core, slow enough to be killed in the middle, and quick enough to be done twice.
SLOW = {"video": "h264", "preset": "veryslow", "size": "480x270"}
# A worker on a busy machine may say nothing for some seconds.
QUICK_ENGINE = ("--heartbeat-timeout-seconds", "6", "--reconcile-seconds", "1")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds."""
    return moving_picture(tmp_path_factory.mktemp("clips") / "clip.mp4", 10)


class Roles:
    """An api with its engine, and workers, as processes of their own over one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.files = folder, folder / "files"
        self.files.mkdir()
        self.common = ("--file-root", str(self.files))
        data = ("--data-dir", str(folder / "api"))
        self.api = servers.Server(
            "serve", folder / "api", "--listen", "127.0.0.1:0", "--worker-slots", "0", *data, *self.common, *QUICK_ENGINE
        )
        self.workers: list[servers.Server] = []

    def add_worker(self, *arguments: str) -> servers.Server:
        """One more worker, with its own data folder."""
        number = len(self.workers)
        folder = self.folder / f"worker{number}"
        engine = ("--temporal-address", self.api.engine, "--data-dir", str(folder), "--worker-slots", "1")
        with servers.one_core():
            self.workers.append(servers.Server("worker", folder, *engine, *self.common, *arguments))
        return self.workers[-1]

    def at_work(self) -> servers.Server | None:
        """The worker that runs an attempt now."""
        for worker in self.workers:
            if worker.process.poll() is None and len(worker.events("attempt started")) > len(worker.events("attempt ended")):
                return worker
        return None

    def stop(self) -> None:
        """Ends everything, whatever state it is in."""
        for server in (*self.workers, self.api):
            with contextlib.suppress(Exception):
                server.signal(signal.SIGCONT)
                server.stop()


@pytest.fixture
def roles(tmp_path: Path, clip: Path) -> Iterator[Roles]:
    """Roles apart, with the clip at hand."""
    running = Roles(tmp_path)
    (running.files / "clip.mp4").write_bytes(clip.read_bytes())
    try:
        yield running
    finally:
        running.stop()


def converting(client: Client, task_id: str) -> bool:
    """Whether the task has got some way into its work."""
    task = client.get(task_id)
    return task.phase == task_pb2.TASK_PHASE_CONVERTING and task.progress >= 5


def assert_whole(path: Path) -> None:
    """The converted clip has all of its pictures, by another decoder's count."""
    assert imageio_ffmpeg.count_frames_and_secs(str(path))[0] == 250


def test_a_killed_workers_task_finishes_on_another(roles: Roles) -> None:
    """kill -9 in the middle: another worker takes over, the output is whole, no process and no scratch is left."""
    roles.add_worker()
    roles.add_worker()
    with servers.client(roles.api) as client:
        output = roles.files / "out.mp4"
        task_id = client.submit(source=roles.files / "clip.mp4", destination=output, **SLOW).task_id
        servers.wait_for(lambda: converting(client, task_id), "the encode")
        victim = servers.wait_for(roles.at_work, "an attempt")
        children = servers.processes(victim.process.pid)
        victim.kill()
        task = client.wait(task_id)
    assert [attempt.code for attempt in task.failed_attempts] == ["WorkerLost"]
    assert task.attempt == 2
    assert_whole(output)
    servers.wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), "the end of the orphans")
    assert not list(roles.files.glob(".reelmill*"))


def test_a_worker_sweeps_what_a_killed_one_left(roles: Roles) -> None:
    """Scratch of a dead worker goes when the next one starts in the same folder."""
    worker = roles.add_worker()
    scratch = roles.folder / "worker0" / "scratch"
    with servers.client(roles.api) as client:
        task_id = client.submit(source=roles.files / "clip.mp4", destination=roles.files / "out.mp4", **SLOW).task_id
        servers.wait_for(lambda: converting(client, task_id), "the encode")
        worker.kill()
        left = set(scratch.iterdir())
        assert left
        client.cancel(task_id)
        with pytest.raises(TaskCanceled):
            client.wait(task_id)
    roles.workers.clear()
    roles.add_worker()
    assert not left & set(scratch.iterdir())


def test_a_resumed_zombie_publishes_nothing(roles: Roles) -> None:
    """A worker that was stopped past its heartbeat and goes on finds its attempt taken over."""
    roles.add_worker()
    roles.add_worker()
    with servers.client(roles.api) as client:
        output = roles.files / "out.mp4"
        task_id = client.submit(source=roles.files / "clip.mp4", destination=output, **SLOW).task_id
        servers.wait_for(lambda: converting(client, task_id), "the encode")
        zombie = servers.wait_for(roles.at_work, "an attempt")
        zombie.signal(signal.SIGSTOP)
        task = client.wait(task_id)
        before = output.stat()
        zombie.signal(signal.SIGCONT)
        ended = servers.wait_for(lambda: zombie.events("attempt ended"), "the zombie's end")
    # Its own call for work may still have been open: then it was given the next attempt, too.
    assert task.attempt >= 2 and {attempt.code for attempt in task.failed_attempts} == {"WorkerLost"}
    assert ended[0]["outcome"] != "Succeeded"
    assert (output.stat().st_mtime_ns, output.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert_whole(output)


def test_a_crashing_child_is_retried_and_then_fails_with_its_reason(roles: Roles) -> None:
    """Each crash is one failed attempt; after the last the task has the code EncoderCrashed, and the worker lives."""
    worker = roles.add_worker()
    over = threading.Event()
    with servers.client(roles.api) as client:
        task_id = client.submit(source=roles.files / "clip.mp4", destination=roles.files / "out.mp4", **SLOW).task_id

        def kill_children() -> None:
            while not over.wait(0.02):
                for pid in servers.at_work(worker):
                    with contextlib.suppress(OSError):
                        os.kill(pid, signal.SIGSEGV)

        killer = threading.Thread(target=kill_children)
        killer.start()
        try:
            with pytest.raises(TaskFailed) as failure:
                client.wait(task_id)
        finally:
            over.set()
            killer.join()
        task = client.get(task_id)
        assert failure.value.code == "EncoderCrashed" and "SIGSEGV" in failure.value.message
        assert [attempt.code for attempt in task.failed_attempts] == ["EncoderCrashed"] * 2 and task.attempt == 3
        assert worker.process.poll() is None
        again = client.submit(source=roles.files / "clip.mp4", destination=roles.files / "again.mkv").task_id
        client.wait(again)
    assert not (roles.files / "out.mp4").exists()


def test_a_draining_worker_hands_its_task_on(roles: Roles) -> None:
    """SIGTERM with a short drain: the attempt goes to another worker and this does not count as an attempt."""
    # Both are up before the task: the encode would be over before a second worker had started.
    for _ in range(2):
        roles.add_worker("--drain-seconds", "0.5")
    with servers.client(roles.api) as client:
        output = roles.files / "out.mp4"
        task_id = client.submit(source=roles.files / "clip.mp4", destination=output, **SLOW).task_id
        servers.wait_for(lambda: converting(client, task_id), "the encode")
        assert servers.wait_for(roles.at_work, "an attempt").stop() == 0
        task = client.wait(task_id)
    assert [attempt.code for attempt in task.failed_attempts] == ["WorkerDraining"]
    assert_whole(output)


@contextlib.contextmanager
def on_one_core(folder: Path, *arguments: str) -> Iterator[servers.Server]:
    """A whole service with one slot."""
    with contextlib.ExitStack() as stack:
        with servers.one_core():
            server = stack.enter_context(servers.serve(folder, "--worker-slots", "1", *arguments))
        yield server


def test_a_service_killed_as_a_whole_loses_no_task(tmp_path: Path, clip: Path) -> None:
    """kill -9 of everything, with one task at work and others queued: after a restart all finish."""
    files = tmp_path / "files"
    files.mkdir()
    source = files / "clip.mp4"
    source.write_bytes(clip.read_bytes())
    with on_one_core(tmp_path, *QUICK_ENGINE) as server, servers.client(server) as client:
        ids = [client.submit(source=source, destination=files / "0.mp4", **SLOW).task_id]
        ids += [client.submit(source=source, destination=files / f"{number}.mkv").task_id for number in (1, 2, 3)]
        servers.wait_for(lambda: converting(client, ids[0]), "the encode")
        everything = servers.processes(server.process.pid)
        server.kill()
        for pid in everything:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
    with on_one_core(tmp_path, *QUICK_ENGINE) as server, servers.client(server) as client:
        for task_id in ids:
            assert client.wait(task_id).status == task_pb2.TASK_STATUS_SUCCEEDED
        scratch = list((tmp_path / "data" / "scratch").iterdir())
        assert len(scratch) == 1
    assert_whole(files / "0.mp4")
    assert not list(files.glob(".reelmill*"))


def test_a_killed_engine_is_started_again_and_the_work_goes_on(tmp_path: Path, clip: Path) -> None:
    """The embedded engine dies in the middle of an encode: the same attempt finishes, or another does."""
    files = tmp_path / "files"
    files.mkdir()
    (files / "clip.mp4").write_bytes(clip.read_bytes())
    with on_one_core(tmp_path, "--reconcile-seconds", "1") as server, servers.client(server) as client:
        task_id = client.submit(source=files / "clip.mp4", destination=files / "out.mp4", **SLOW).task_id
        servers.wait_for(lambda: converting(client, task_id), "the encode")
        engine = next(pid for pid, command in servers.processes(server.process.pid).items() if "start-dev" in command)
        os.kill(engine, signal.SIGKILL)
        # A task that is created while the engine is away is recorded, and started when it is back.
        late = client.submit(source=files / "clip.mp4", destination=files / "late.mkv").task_id
        assert client.wait(task_id).status == task_pb2.TASK_STATUS_SUCCEEDED
        assert client.wait(late).status == task_pb2.TASK_STATUS_SUCCEEDED
        # The port may be busy for a moment: then it takes more than one start.
        assert re.search(r"^reelmill_engine_restart_total [1-9]", server.get("/metrics")[1], re.MULTILINE)
    assert_whole(files / "out.mp4")
