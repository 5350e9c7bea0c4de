"""Start the embedded engine where only its own user reaches it: a program of its own, with nothing but the standard library.

    launcher.py PARENT PORT PROGRAM ARGUMENT…

Temporal's single-machine server knows neither TLS nor callers, and opens a port for each of its parts. Here it runs in a
network namespace of its own, which has one way in: this process listens on PORT of the machine's loopback, and lets in whose
socket belongs to its own user, as the kernel says. Where the kernel allows no such namespace the program is run without.

It ends when PARENT does, or with SIGTERM, and the program with it.
"""

import asyncio
import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys
from io import FileIO
from pathlib import Path

HOST = "127.0.0.1"
OPEN = "reelmill: the engine runs without a network namespace"
"""Line of the log when other processes of this machine can reach the engine."""

_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 0x1
_ESTABLISHED = "01"
_POLL_SECONDS = 0.05
_CHUNK_BYTES = 1 << 16
_BACKLOG = 128


class Entrance:
    """A port of the machine's loopback, opened before this process leaves it, and the kernel's table of who holds which end."""

    def __init__(self, port: int) -> None:
        # asyncio sends at once (TCP_NODELAY) only where the protocol is named: else answers of the engine wait for 40 ms.
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((HOST, port))
        # Opened here, it goes on showing the namespace that it was opened in.
        self._table = FileIO("/proc/net/tcp")
        self._user = str(os.geteuid())
        self._here = _written(HOST, port)

    def lets_in(self, address: str, port: int) -> bool:
        """Return whether the other end of a connection belongs to our user. A socket that was closed belongs to nobody."""
        self._table.seek(0)
        there = _written(address, port)
        for line in self._table.readall().decode("ascii", "replace").splitlines()[1:]:
            _, local, remote, state, _, _, _, user, _, inode, *_ = line.split()
            if (local, remote) == (there, self._here):
                return state == _ESTABLISHED and user == self._user and inode != "0"
        return False


def _written(address: str, port: int) -> str:
    return f"{int.from_bytes(socket.inet_aton(address), sys.byteorder):08X}:{port:04X}"


def leave_network() -> None:
    """Move this process to a network of its own, with a loopback. Raises OSError where the kernel does not allow it."""
    user, group = os.geteuid(), os.getegid()
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER | _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))


def why_not() -> str:
    """Try whether the kernel allows it, in a child; return what it says if not, and "" if it does."""
    child = os.fork()
    if not child:
        try:
            leave_network()
        except OSError as error:
            os._exit(error.errno or 1)
        os._exit(0)
    number = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return os.strerror(number) if number else ""


async def serve(entrance: Entrance, port: int, command: list[str]) -> int:
    """Run the program, let our user in once it listens on the same port in here, and return its exit status."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    process = await asyncio.create_subprocess_exec(*command, preexec_fn=lambda: _die_with_parent(signal.SIGKILL))
    ended = asyncio.create_task(process.wait())
    stopping = asyncio.create_task(_stop(process, stop))

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address, other = writer.get_extra_info("peername")
        if not entrance.lets_in(address, other):
            writer.transport.abort()
            return
        with contextlib.suppress(OSError):
            there, back = await asyncio.open_connection(HOST, port)
            await asyncio.gather(_pump(reader, back), _pump(there, writer))

    while not ended.done() and not await _listens(port):
        await asyncio.wait((ended,), timeout=_POLL_SECONDS)
    if not ended.done():
        server = await asyncio.start_server(connected, sock=entrance.socket, backlog=_BACKLOG)
        await ended
        server.close()
    stopping.cancel()
    status = ended.result()
    return 128 - status if status < 0 else status


async def _stop(process: asyncio.subprocess.Process, stop: asyncio.Event) -> None:
    await stop.wait()
    with contextlib.suppress(ProcessLookupError):
        process.terminate()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand on what comes until one of the two ends; then both do."""
    try:
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


def _die_with_parent(number: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def main() -> None:
    """Run what the command line says."""
    parent, port, *command = sys.argv[1:]
    # It survives an exec. Python's hook between fork and exec is not safe with the threads of our parent.
    _die_with_parent(signal.SIGTERM)
    if os.getppid() != int(parent):
        return
    problem = why_not() if sys.platform == "linux" else "it needs Linux"
    if problem:
        print(f"{OPEN}: {problem}", file=sys.stderr, flush=True)
        os.execv(command[0], command)
    try:
        entrance = Entrance(int(port))
    except OSError as error:
        sys.exit(f"cannot listen on {HOST}:{port}: {(error.strerror or '').lower()}")  # as the program says it
    leave_network()
    sys.exit(asyncio.run(serve(entrance, int(port), command)))


if __name__ == "__main__":
    main()
