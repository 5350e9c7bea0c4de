"""Processes of `reelmill-server`: any role, in a folder of its own, that can be killed, stopped, resumed and told to end."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from reelmill_server.engine.ports import HOST
from reelmill_server.worker.child.confinement import NOT_REAL_TIME, drop_capabilities

T = TypeVar("T")
_STOP_SECONDS = 60


def program(name: str) -> str:
    """A program that this environment has installed."""
    return str(Path(sysconfig.get_path("scripts"), name))


def wait_for(probe: Callable[[], T | None], what: str, seconds: float = 60) -> T:
    """What `probe` gives as soon as it is true; AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = probe()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen in {seconds} s")


def processes(parent: int) -> dict[int, str]:
    """All living descendants of a process, with their command lines."""
    parents, lines = dict[int, int](), dict[int, str]()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if entry.name.isdigit():
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if fields[0] != "Z":
                    parents[int(entry.name)] = int(fields[1])
                    lines[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
    found, more = {parent}, {parent}
    while more:  # a child may have a smaller number than its parent: numbers begin anew when they are used up
        more = {number for number, of in parents.items() if of in more and number not in found}
        found |= more
    return {number: lines[number] for number in found - {parent} if number in lines}


def not_real_time() -> None:
    """Gives up the power to make threads real-time, for this process and all that it starts: as root, SVT-AV1 would use it, and
    one such encode starves everything else on the machine."""
    if sys.platform == "linux":
        drop_capabilities(NOT_REAL_TIME)


class Server:
    """One process of `reelmill-server`, ready when this returns."""

    def __init__(self, role: str, folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"{role}-{time.monotonic_ns()}.log"
        command = [program("reelmill-server"), role, "--http", f"{HOST}:0", *arguments]
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

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of an HTTP page."""
        try:
            with urllib.request.urlopen(f"http://{self._address('http')}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def events(self, event: str) -> list[dict[str, object]]:
        """The log lines of this event."""
        return events(self.log, event)

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


def events(log: Path, event: str) -> list[dict[str, object]]:
    """The lines of a log that tell of this event."""
    found = []
    for line in log.read_text().splitlines():
        with contextlib.suppress(json.JSONDecodeError):  # of a process that was killed while it wrote
            entry = json.loads(line) if line.startswith("{") else {}
            if entry.get("event") == event:
                found.append(entry)
    return found
