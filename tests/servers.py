"""Real server processes for tests: any roles, on free ports, in a folder of their own."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from examples.local_cluster.processes import Server, processes, program, wait_for
from reelmill_client import Client
from reelmill_server.engine.ports import ReservedPort

__all__ = ["ReservedPort", "Server", "at_work", "client", "processes", "program", "serve", "wait_for"]


@contextlib.contextmanager
def serve(folder: Path, *arguments: str, **more: dict[str, str]) -> Iterator[Server]:
    """A whole service on this machine; its data and files are in `folder`."""
    data, files = folder / "data", folder / "files"
    files.mkdir(parents=True, exist_ok=True)
    server = Server(
        "serve", data, "--listen", "127.0.0.1:0", "--data-dir", str(data), "--file-root", str(files), *arguments, **more
    )
    try:
        yield server
    finally:
        server.stop()


def client(server: Server) -> Client:
    """A client of the service."""
    return Client(server.grpc)


def at_work(server: Server) -> set[int]:
    """Return the children of attempts, by process ID: they are in a folder of the scratch, one that waits for a task is not."""
    found = set()
    for pid in processes(server.process.pid):
        with contextlib.suppress(OSError):  # it has ended
            if "/scratch/" in os.readlink(f"/proc/{pid}/cwd"):
                found.add(pid)
    return found
