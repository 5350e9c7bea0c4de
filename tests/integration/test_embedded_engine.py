"""The embedded engine starts on a port of its own, whatever else takes ports meanwhile, and leaves nothing when it cannot."""

import asyncio
import errno
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from reelmill_server.engine import embedded, launcher
from reelmill_server.engine.connection import connect
from reelmill_server.engine.embedded import EmbeddedEngine
from reelmill_server.engine.ports import HOST, ReservedPort
from reelmill_server.errors import ServiceUnavailable


def engine(folder: Path, binary: str = "", restarts: list[None] | None = None) -> EmbeddedEngine:
    """An engine on a data folder, not started."""
    return EmbeddedEngine(folder, binary, "test", 24, lambda: (restarts if restarts is not None else []).append(None))


def program(folder: Path, script: str) -> str:
    """A program to start in the engine's place."""
    path = folder / "temporal"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def taken_first(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[ReservedPort]]:
    """The ports that engines choose; somebody else listens on the first."""
    chosen: list[ReservedPort] = []
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    def choose() -> ReservedPort:
        chosen.append(ReservedPort())
        if len(chosen) == 1:
            listener.bind((HOST, chosen[0].number))
            listener.listen()
        return chosen[-1]

    monkeypatch.setattr(embedded, "ReservedPort", choose)
    yield chosen
    listener.close()


@pytest.mark.slow
async def test_another_port_is_tried_when_the_chosen_one_is_taken(tmp_path: Path, taken_first: list[ReservedPort]) -> None:
    """The engine comes up on the second."""
    started = engine(tmp_path)
    try:
        await started.start()
        assert started.address == f"{HOST}:{taken_first[1].number}"
        assert (await connect(started.address, "test")).namespace == "test"
    finally:
        await started.stop()


async def test_a_start_that_finds_only_taken_ports_ends(tmp_path: Path) -> None:
    """After a few attempts, with an error that names the last port."""
    binary = program(tmp_path, f'echo started >> {tmp_path}/starts; echo "panic: bind: address already in use" >&2; exit 2')
    failing = engine(tmp_path / "data", binary)
    with pytest.raises(
        ServiceUnavailable, match=r"did not start on 127\.0\.0\.1:\d+: exit status 2, panic: bind: .* \(its log is"
    ):
        await failing.start()
    assert (tmp_path / "starts").read_text().count("started") == 5


@pytest.mark.slow
async def test_a_failed_start_leaves_the_data_folder_to_others(tmp_path: Path) -> None:
    """Other failures than taken ports are told at once, and the next engine on the folder is not refused."""
    binary = program(tmp_path, f"echo started >> {tmp_path}/starts; exit 3")
    failing = engine(tmp_path / "data", binary)
    with pytest.raises(ServiceUnavailable, match="exit status 3"):
        await failing.start()
    assert (tmp_path / "starts").read_text().count("started") == 1
    next_one = engine(tmp_path / "data")
    try:
        await next_one.start()
    finally:
        await next_one.stop()


@pytest.fixture
async def starting(tmp_path: Path) -> AsyncIterator[asyncio.Task[None]]:
    """A start on the folder `data` whose program never answers; the file `pid` names its process."""
    script = f"echo $$ > {tmp_path}/pid.part; mv {tmp_path}/pid.part {tmp_path}/pid; exec sleep 60"
    task = asyncio.create_task(engine(tmp_path / "data", program(tmp_path, script)).start())
    async with asyncio.timeout(20):
        while not (tmp_path / "pid").exists():
            await asyncio.sleep(0.02)
    yield task
    task.cancel()
    await asyncio.wait([task])


async def test_a_data_folder_has_one_engine(tmp_path: Path, starting: asyncio.Task[None]) -> None:
    """A second one on it is refused with a sentence."""
    with pytest.raises(ServiceUnavailable, match="another server runs on the data folder"):
        await engine(tmp_path / "data", program(tmp_path, "exit 3")).start()
    assert not starting.done()


async def test_a_canceled_start_leaves_no_process(tmp_path: Path, starting: asyncio.Task[None]) -> None:
    """The program that did not answer yet is ended, and the folder is free."""
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()
    with pytest.raises(ServiceUnavailable, match="exit status 3"):
        await engine(tmp_path / "data", program(tmp_path, "exit 3")).start()


@pytest.mark.slow
async def test_clients_reconnect_to_a_restarted_engine(tmp_path: Path) -> None:
    """It comes back on its port after it was killed, and the same client goes on."""
    restarts: list[None] = []
    started = engine(tmp_path, restarts=restarts)
    try:
        await started.start()
        address = started.address
        client = await connect(address, "test")
        os.kill(started.pid, signal.SIGKILL)
        async with asyncio.timeout(40):
            while not restarts:
                await started.check()
                await asyncio.sleep(0.02)
            await _answers(client)
        assert started.address == address
    finally:
        await started.stop()


async def _answers(client: Client) -> None:
    request = DescribeNamespaceRequest(namespace="test")
    await client.workflow_service.describe_namespace(request, retry=True)


async def test_a_file_without_tables_is_made_anew(tmp_path: Path) -> None:
    """A loss of power during the first start leaves one, and no later start would succeed; what has tables is kept."""
    file, left = tmp_path / "temporal.db", tmp_path / "left"
    failing = engine(tmp_path, program(tmp_path, f"cp {file} {left}; exit 3"))
    for statement in ("PRAGMA user_version = 1", "CREATE TABLE namespaces (id INTEGER)"):
        with closing(sqlite3.connect(file)) as connection:
            connection.execute(statement)
        with pytest.raises(ServiceUnavailable, match="exit status 3"):
            await failing.start()
        assert file.exists() == left.exists() == statement.startswith("CREATE")
    file.write_bytes(b"no database")
    with pytest.raises(ServiceUnavailable, match="exit status 3"):
        await failing.start()
    assert file.read_bytes() == left.read_bytes() == b"no database"


async def test_a_large_log_is_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last one is kept; what writes goes on at the end of the file, and where there is no room nothing is kept."""
    monkeypatch.setattr(embedded, "_LOG_BYTES", 1000)
    watched, log = engine(tmp_path), tmp_path / "temporal.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"a" * 999)
        await watched.check()
        writer.write(b"b")
        await watched.check()
        writer.write(b"c")
        assert (log.read_bytes(), (tmp_path / "temporal.log.1").read_bytes()) == (b"c", b"a" * 999 + b"b")
        writer.write(b"d" * 1000)
        monkeypatch.setattr(shutil, "copyfile", _no_room)
        await watched.check()
    assert log.read_bytes() == b"" and [path.name for path in tmp_path.iterdir()] == ["temporal.log"]


async def test_a_log_that_somebody_removed_keeps_no_engine_from_being_watched(tmp_path: Path) -> None:
    """There is nothing to begin anew, and it has no last words."""
    await engine(tmp_path).check()
    assert embedded._last_words(tmp_path / "temporal.log", -100).startswith("its log is")


async def test_answers_of_the_engine_are_sent_at_once() -> None:
    """However small they are: the kernel would hold them back until all before them was acknowledged."""
    accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    entrance = launcher.Entrance(0)
    async with await asyncio.start_server(connected, sock=entrance.socket):
        _, writer = await asyncio.open_connection(*entrance.socket.getsockname())
        assert await accepted == 1
        writer.close()


def _no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, "no space left on device")


def test_a_reserved_port_is_for_servers_that_know_it() -> None:
    """Who shares the address can listen on it, anyone else is refused."""
    port = ReservedPort()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((HOST, port.number))
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((HOST, port.number))
        server.listen()
        with socket.create_connection((HOST, port.number), timeout=5):
            pass
    port.release()


@pytest.mark.slow
async def test_another_user_of_the_machine_does_not_reach_the_engine(tmp_path: Path) -> None:
    """Neither through its port, nor through one of those that its parts open; our own processes do."""
    if os.geteuid() != 0 or not _has_namespaces():
        pytest.skip("needs root, to be somebody else, and network namespaces")
    started = engine(tmp_path)
    try:
        await started.start()
        assert (await connect(started.address, "test")).namespace == "test"
        assert _listening(started.pid) == {int(started.address.rpartition(":")[2])}
        assert await asyncio.to_thread(_as_nobody, started.address) == "closed"
        assert (await connect(started.address, "test")).namespace == "test"
    finally:
        await started.stop()


def _has_namespaces() -> bool:
    """In a process of its own: it is tried in a fork, and this process has threads."""
    script = "import runpy, sys; sys.exit(bool(runpy.run_path(sys.argv[1])['why_not']()))"
    return subprocess.run([sys.executable, "-I", "-S", "-c", script, launcher.__file__], check=False).returncode == 0


def _listening(pid: int) -> set[int]:
    """The ports of this machine on which a process and those below it listen, on IPv4 and IPv6."""
    family, size = {pid}, 0
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    while len(family) > size:
        size = len(family)
        family |= {child for child, parent in parents.items() if parent in family}
    held = set()
    for descriptor in (path for member in family for path in Path(f"/proc/{member}/fd").glob("*")):
        with suppress(OSError):
            held.add(os.readlink(descriptor))
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()[1:]]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in held}


def _as_nobody(address: str) -> str:
    """Say hello to a gRPC server as another user: how it answers."""
    script = (
        "import encodings.idna, os, socket, sys\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "host, _, port = sys.argv[1].rpartition(':')\n"
        "there = socket.create_connection((host, int(port)), timeout=10)\n"
        "try:\n"
        "    there.sendall(b'PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n' + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))\n"
        "    print('answered' if there.recv(1) else 'closed')\n"
        "except ConnectionError:\n"
        "    print('closed')\n"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script, address], capture_output=True, text=True, check=True)
    return done.stdout.strip()
