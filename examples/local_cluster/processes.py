"""Processes of `reelmill-server` in any role, in a folder of their own, that can be killed, paused, resumed and stopped."""

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
    """Return the path of a program installed in this environment."""
    return str(Path(sysconfig.get_path("scripts"), name))


def wait_for(probe: Callable[[], T | None], what: str, seconds: float = 60) -> T:
    """Return what `probe` returns as soon as it is true; raises AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = probe()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen in {seconds} s")


def processes(parent: int) -> dict[int, str]:
    """Return the process ids of all living descendants of a process, with their command lines."""
    parents, lines = dict[int, int](), dict[int, str]()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if entry.name.isdigit():
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if fields[0] != "Z":
                    parents[int(entry.name)] = int(fields[1])
                    lines[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
    descendants, generation = {parent}, {parent}
    while generation:  # not in one pass: process ids wrap around, so a child may have a smaller one than its parent
        generation = {number for number, parent_id in parents.items() if parent_id in generation and number not in descendants}
        descendants |= generation
    return {number: lines[number] for number in descendants - {parent} if number in lines}


def forbid_real_time() -> None:
    """Give up the privilege of real-time threads, for this process and those that it forks.

    As root, SVT-AV1 would use it, and a single encode would starve everything else on the machine. Programs that root executes
    have it again; servers encode in children, which give it up.
    """
    if sys.platform == "linux":
        drop_capabilities(NOT_REAL_TIME)


class Server:
    """A process of `reelmill-server`; the constructor returns when it is ready."""

    def __init__(self, role: str, folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"{role}-{time.monotonic_ns()}.log"
        command = [program("reelmill-server"), role, "--http", f"{HOST}:0", *arguments]
        # A variable, which an earlier version ignores.
        addresses = {"REELMILL_HTTP_API": f"{HOST}:0"} if role in ("serve", "api") else {}
        with self.log.open("w") as errors:
            self.process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, **addresses, **(environment or {})},
            )
        assert self.process.stdout
        self.ready = self.process.stdout.readline()
        assert "is ready" in self.ready, f"{role} did not start: {self.log.read_text()[-3000:]}"

    def _address(self, name: str) -> str:
        match = re.search(rf"{name} (\S+:\d+)", self.ready)
        assert match, self.ready
        return match[1]

    @property
    def grpc(self) -> str:
        """host:port of the gRPC service."""
        return self._address("gRPC")

    @property
    def api(self) -> str:
        """URL of the HTTP front."""
        return self._address("API")

    @property
    def engine(self) -> str:
        """host:port of the engine."""
        return self._address("engine")

    @property
    def alive(self) -> bool:
        """Whether it is running."""
        return self.process.poll() is None

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body of an HTTP page."""
        try:
            with urllib.request.urlopen(f"http://{self._address('http')}{path}", timeout=10) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def events(self, event: str) -> list[dict[str, object]]:
        """Return the log entries of this event."""
        return events(self.log, event)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process alone."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Send SIGTERM, wait for the end, and return the exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


def events(log: Path, event: str) -> list[dict[str, object]]:
    """Return the entries of a log with this event."""
    entries = []
    for line in log.read_text().splitlines():
        with contextlib.suppress(json.JSONDecodeError):  # the last line of a killed process may be incomplete
            entry = json.loads(line) if line.startswith("{") else {}
            if entry.get("event") == event:
                entries.append(entry)
    return entries
