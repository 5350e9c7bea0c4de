"""Records and engine are restored from backups of different instants: no task is lost or done twice in silence."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reelmill.v1 import task_pb2
from reelmill_client import Client, NotFound, TaskFailed
from tests import servers
from tests.clips import moving_picture

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("restore")]
COPY = {"video": "copy"}
OPTIONS = ("--reconcile-seconds", "1", "--heartbeat-timeout-seconds", "3", "--drain-seconds", "0")
RECORDS, ENGINE = ("reelmill.db*",), ("temporal.db*",)


@dataclass
class Service:
    """A service on one machine, whose database and engine are saved while it is stopped."""

    folder: Path
    tasks: dict[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        """Where its state is."""
        return self.folder / "data"

    def run(self, work: Callable[["Service", Client, servers.Server], None], *options: str) -> None:
        """Run it for some work."""
        with servers.serve(self.folder, *OPTIONS, *options) as server, servers.client(server) as client:
            work(self, client, server)

    def submit(self, client: Client, name: str, **how: str) -> str:
        """Create a task whose output has its name."""
        files = self.folder / "files"
        self.tasks[name] = client.submit(source=str(files / "clip.mp4"), destination=str(files / f"{name}.mp4"), **how).task_id
        return self.tasks[name]

    def save(self, name: str) -> None:
        """Back up both."""
        shutil.copytree(self.data, self.folder / name, ignore=shutil.ignore_patterns("*.log", "scratch"))

    def restore(self, records: str, engine: str) -> None:
        """Bring each back from a backup of its own."""
        for patterns, name in ((RECORDS, records), (ENGINE, engine)):
            for pattern in patterns:
                for path in self.data.glob(pattern):
                    path.unlink()
                for path in (self.folder / name).glob(pattern):
                    shutil.copy(path, self.data)


def _first(service: Service, client: Client, server: servers.Server) -> None:
    client.wait(service.submit(client, "before", **COPY), timeout_seconds=120)


def _second(service: Service, client: Client, server: servers.Server) -> None:
    task = service.submit(client, "during", **COPY)
    servers.wait_for(lambda: client.get(task).status == task_pb2.TASK_STATUS_RUNNING, "the engine to take it")


def _third(service: Service, client: Client, server: servers.Server) -> None:
    client.wait(service.tasks["during"], timeout_seconds=300)
    client.wait(service.submit(client, "after", **COPY), timeout_seconds=120)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Service:
    """Three backups: of a task that has ended, with another that waits for a worker, and when that and a third have ended."""
    service = Service(tmp_path_factory.mktemp("restored"))
    (service.folder / "files").mkdir()
    moving_picture(service.folder / "files" / "clip.mp4", 1)
    for name, work, options in (("early", _first, ()), ("middle", _second, ("--worker-slots", "0")), ("late", _third, ())):
        service.run(work, *options)
        service.save(name)
    return service


@pytest.fixture
def service(saved: Service) -> Service:
    """It, in whatever state the last test left it: each restores both."""
    return saved


def _succeeded(client: Client, task_id: str) -> task_pb2.Task:
    task = client.wait(task_id, timeout_seconds=300)
    assert task.artifacts[0].uri
    return task


def test_an_engine_that_lost_a_task_is_given_it_again(service: Service) -> None:
    """The engine is older than the records: what they have at work begins anew."""

    def look(service: Service, client: Client, server: servers.Server) -> None:
        _succeeded(client, service.tasks["during"])
        assert server.events("the engine lost a task: starting it again")

    service.restore(records="middle", engine="early")
    service.run(look)


def test_records_that_are_older_than_the_engine_say_what_they_do_not_know(service: Service) -> None:
    """A task that has ended since fails with an error that says so; it can be retried. One that is unknown is not found."""

    def look(service: Service, client: Client, server: servers.Server) -> None:
        with pytest.raises(TaskFailed, match="without a result"):
            client.wait(service.tasks["during"], timeout_seconds=120)
        with pytest.raises(NotFound):
            client.get(service.tasks["after"])
        _succeeded(client, client.retry(service.tasks["during"]).task_id)

    service.restore(records="middle", engine="late")
    service.run(look)


def test_what_has_ended_stays_ended(service: Service) -> None:
    """The engine is older and does a task anew: its record stays as it was."""
    before: list[str] = []

    def remember(service: Service, client: Client, server: servers.Server) -> None:
        before.append(str(client.get(service.tasks["during"])))

    service.restore(records="late", engine="late")
    service.run(remember)

    def look(service: Service, client: Client, server: servers.Server) -> None:
        servers.wait_for(lambda: len(server.events("attempt ended")) > 0, "the attempt that the engine remembers", 300)
        assert str(client.get(service.tasks["during"])) == before[0]
        _succeeded(client, service.tasks["after"])

    service.restore(records="late", engine="middle")
    service.run(look)


def test_work_without_a_record_is_told(service: Service) -> None:
    """The records are older than the start of a task that the engine is still doing."""

    def look(service: Service, client: Client, server: servers.Server) -> None:
        servers.wait_for(lambda: server.events("the engine does a task that is not on record"), "a line of the log", 120)
        (event,) = server.events("the engine does a task that is not on record")
        assert event["task_id"] == service.tasks["during"]
        with pytest.raises(NotFound):
            client.get(service.tasks["during"])

    service.restore(records="early", engine="middle")
    service.run(look)
