"""Real server processes for tests: any roles, on free ports, in a folder of their own."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from examples.local_cluster.processes import Server, processes, program, wait_for
from reelmill_client import Client
from reelmill_server.engine.ports import ReservedPort

__all__ = ["ReservedPort", "Server", "client", "processes", "program", "serve", "wait_for"]


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
