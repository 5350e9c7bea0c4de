"""Connections that do nothing: they take no task its files, and room for themselves only."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from resource import RLIMIT_NOFILE, prlimit

import pytest

from reelmill.v1 import task_pb2
from reelmill_client import Client
from tests.clips import moving_picture
from tests.servers import Server, serve, wait_for

_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))  # with empty settings


def _open(server: Server) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


@contextmanager
def _idle(server: Server, count: int) -> Iterator[list[socket.socket]]:
    """Connections that say that they are of HTTP/2, and no more."""
    host, _, port = server.grpc.rpartition(":")
    with ExitStack() as stack:
        connections = [stack.enter_context(socket.create_connection((host, int(port)))) for _ in range(count)]
        for connection in connections:
            connection.setblocking(False)
            try:
                connection.send(_HELLO)
            except OSError:
                continue  # closed already
        yield connections


def _closed(connections: list[socket.socket]) -> int:
    """How many of the connections were closed by the server."""
    count = 0
    for connection in connections:
        try:
            while data := connection.recv(65536):
                pass
            count += not data
        except BlockingIOError:
            pass
        except OSError:
            count += 1
    return count


def _request(folder: Path, clip: Path, name: str) -> dict[str, object]:
    target = {"URI": f"{(folder / 'files').as_uri()}/{name}", "Container": "mp4"}
    return {"ProjectName": "default", "Sources": [{"URI": clip.as_uri()}], "Targets": [target]}


@pytest.mark.cluster
def test_idle_connections_fail_no_task(tmp_path: Path) -> None:
    """Most are closed at once; and when all descriptors are gone nevertheless, tasks wait for some, and do not fail."""
    clip = moving_picture(tmp_path / "files" / "clip.mp4", 1)
    with serve(tmp_path, "--max-connections", "200") as server, Client(server.grpc) as client:
        client.wait(client.submit(_request(tmp_path, clip, "first")).task_id)
        with _idle(server, 990) as connections:
            wait_for(lambda: _closed(connections) >= 780, "closing most connections")
            done = client.wait(client.submit(_request(tmp_path, clip, "beside")).task_id)
            assert done.status == task_pb2.TASK_STATUS_SUCCEEDED, done
            prlimit(server.process.pid, RLIMIT_NOFILE, (_open(server) + 20, 20_000))
            with ExitStack() as stack:
                stack.enter_context(_idle(server, 100))
                task_id = client.submit(_request(tmp_path, clip, "later")).task_id
                time.sleep(3)  # in which it would have failed
                assert client.get(task_id).status == task_pb2.TASK_STATUS_RUNNING
        prlimit(server.process.pid, RLIMIT_NOFILE, (20_000, 20_000))
        done = client.wait(task_id)
    assert done.status == task_pb2.TASK_STATUS_SUCCEEDED and not done.failed_attempts, done
