"""Real server processes for tests: any roles, on free ports, in a folder of their own."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sysconfig
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from reelmill_client import Client

T = TypeVar("T")
_READY_SECONDS = 90
_STOP_SECONDS = 60


def program(name: str) -> str:
    """A program that this environment has installed."""
    return str(Path(sysconfig.get_path("scripts"), name))


def wait_for(probe: Callable[[], T | None], what: str, seconds: float = 60) -> T:
    """What `probe` gives as soon as it is true; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = probe()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen in {seconds} s")


class Server:
    """One process of `reelmill-server`, ready when this returns."""

    def __init__(self, role: str, folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"{role}-{time.monotonic_ns()}.log"
        command = [program("reelmill-server"), role, "--http", "127.0.0.1:0", *arguments]
        with self.log.open("w") as errors:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, **(environment or {})}
            )
        assert self.process.stdout
        self.ready = self.process.stdout.readline()
        assert "is ready" in self.ready, f"{role} did not start: {self.log.read_text()[-3000:]}"

    def _address(self, word: str) -> str:
        found = re.search(rf"{word} (\S+:\d+)", self.ready)
        assert found, self.ready
        return found[1]

    @property
    def grpc(self) -> str:
        """host:port of gRPC."""
        return self._address("gRPC")

    @property
    def engine(self) -> str:
        """host:port of the engine."""
        return self._address("engine")

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of an HTTP page."""
        try:
            with urllib.request.urlopen(f"http://{self._address('http')}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def events(self, event: str) -> list[dict[str, object]]:
        """The log lines of this event."""
        lines = (line for line in self.log.read_text().splitlines() if line.startswith("{"))
        return [entry for entry in map(json.loads, lines) if entry.get("event") == event]

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the process alone."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM, and wait for the end; gives the exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


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


def processes(parent: int) -> dict[int, str]:
    """All living descendants of a process, with their command lines."""
    found: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if entry.name.isdigit():
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if fields[0] != "Z" and int(fields[1]) in (parent, *found):
                    found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
    return found


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
