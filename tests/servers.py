"""Real server processes for tests: any roles, on free ports, in a folder of their own."""

import contextlib
import os
import random
from collections.abc import Iterator
from pathlib import Path

from examples.local_cluster.processes import Server, processes, program, wait_for
from reelmill_client import Client
from reelmill_server.engine.ports import ReservedPort

__all__ = ["ENDLESS", "ReservedPort", "Server", "at_work", "client", "one_core", "processes", "program", "serve", "wait_for"]

# Arguments of `Client.submit` for an encode that lasts until it is canceled: minutes for a clip of 40 seconds, on any machine.
ENDLESS = {"video": "h264", "preset": "veryslow", "size": "1920x1080"}


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
    results = set()
    for pid in processes(server.process.pid):
        with contextlib.suppress(OSError):  # it has ended
            if "/scratch/" in os.readlink(f"/proc/{pid}/cwd"):
                results.add(pid)
    return results


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Have processes that start during the block run on one core: an encode of theirs lasts as long on a machine with many."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {random.choice(sorted(cores))})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
