"""Roles apart on one engine and one PostgreSQL: two api processes, one worker, nothing else shared but the files."""

import re
import subprocess
from pathlib import Path

import pytest

from reelmill.v1 import task_pb2
from reelmill_client import Client
from tests import postgres, servers
from tests.clips import moving_picture

pytestmark = pytest.mark.xdist_group("roles")


def test_two_api_processes_and_a_worker_share_tasks(tmp_path: Path) -> None:
    """A task created through one replica is watched, told of and canceled through the other; PostgreSQL has the records."""
    clip = moving_picture(tmp_path / "files" / "clip.mp4", 20, "640x360")
    database = postgres.started()
    try:
        database.execute("CREATE DATABASE reelmill")
        environment = {"REELMILL_DATABASE_URL": database.url("reelmill")}
        files = ("--file-root", str(tmp_path / "files"))
        migrated = [servers.program("reelmill-server"), "migrate"]
        done = subprocess.run(migrated, env={"PATH": "/usr/bin", **environment}, capture_output=True, text=True, check=True)
        assert "revision" in done.stdout
        with servers.serve(tmp_path, "--worker-slots", "0", environment=environment) as first:
            shared = ("--temporal-address", first.engine, *files)
            second = servers.Server("api", tmp_path / "api", "--listen", "127.0.0.1:0", *shared, environment=environment)
            worker = servers.Server("worker", tmp_path / "worker", "--data-dir", str(tmp_path / "worker"), *shared)
            try:
                _use_both(first, second, clip, tmp_path / "files")
                _spread(first, second)
            finally:
                assert (second.stop(), worker.stop()) == (0, 0)
    finally:
        database.stop()


def _use_both(first: servers.Server, second: servers.Server, clip: Path, files: Path) -> None:
    with servers.client(first) as one, servers.client(second) as other:
        task_id = one.submit(source=clip, destination=files / "out.mkv", tags={"through": "first"}).task_id
        assert list(other.watch(task_id))[-1].status == task_pb2.TASK_STATUS_SUCCEEDED
        assert [task.task_id for task in other.list(tags={"through": "first"}, status="Succeeded")] == [task_id]
        result = files / "result.json"
        told = {"Notification": {"ExtendedMessageURI": result.as_uri()}}
        target = {"URI": (files / "told.mkv").as_uri(), "Container": "mkv"}
        noted = one.submit({"Sources": [{"URI": clip.as_uri()}], "Targets": [target], **told}).task_id
        servers.wait_for(lambda: list(other.notifications.list(noted, state="Delivered")), "the file that the worker writes")
        assert f'"TaskId":"{noted}"' in result.read_text()
        slow = one.submit(source=clip, destination=files / "slow.mp4", video="h264", preset="veryslow").task_id
        servers.wait_for(lambda: other.get(slow).phase == task_pb2.TASK_PHASE_CONVERTING, "the encode")
        other.cancel(slow)
        assert list(one.watch(slow))[-1].status == task_pb2.TASK_STATUS_CANCELED
        assert other.plan(source=clip, destination=files / "p.mp4", video="h265").valid


def _spread(first: servers.Server, second: servers.Server) -> None:
    """A client of a name with several addresses calls all of them in turn."""
    called = re.compile(r'^reelmill_rpc_total{code="OK",method="GetCapabilities"} (\d+)', re.MULTILINE)
    with Client(f"ipv4:{first.grpc},{second.grpc}") as client:

        def both_called() -> bool:
            client.capabilities()
            return all(called.search(server.get("/metrics")[1]) for server in (first, second))

        servers.wait_for(both_called, "a call of each")
