"""A child that its media has subverted, and what it tries: `python -m tests.integration.hostile MODE` prints what worked.

The victim is a server in small: this process, with a secret in its environment and its memory, a database, the folder of
another task, an engine that listens, and another process of the same user.
"""

import asyncio
import ctypes
import fcntl
import json
import mmap
import os
import resource
import signal
import socket
import sqlite3
import stat
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import forkserver
from pathlib import Path
from typing import Any
from unittest.mock import patch

from reelmill_server.model.capability import Capability, Limits, SandboxMode
from reelmill_server.model.request import ConvertRequest, TargetSpec, VideoSpec
from reelmill_server.worker import messages
from reelmill_server.worker.child import main as child
from reelmill_server.worker.child.context import Attempt
from reelmill_server.worker.parent import child_process

SECRET = "a key of the storage"
_SO_ATTACH_FILTER, _SO_PEERPIDFD = 26, 77
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Victim:
    """What there is to reach: process IDs, paths, and a TCP port."""

    server: int
    bystander: int
    fork_server: str
    folder: str
    port: int
    abstract: str
    address: int

    def path(self, name: str) -> str:
        """A file of the server or of another task."""
        return os.path.join(self.folder, name)


# x86_64; on other machines these calls are not tried.
_CALLS = {
    "ptrace": 101,
    "personality": 135,
    "add_key": 248,
    "keyctl": 250,
    "unshare": 272,
    "perf_event_open": 298,
    "fanotify_init": 300,
    "setns": 308,
    "process_vm_readv": 310,
    "memfd_create": 319,
    "bpf": 321,
    "userfaultfd": 323,
    "io_uring_setup": 425,
    "fsopen": 430,
    "pidfd_open": 434,
    "pidfd_getfd": 438,
    "shmget": 29,
    "msgget": 68,
    "truncate": 76,
    "mq_open": 240,
    "tkill": 200,
    "prlimit64": 302,
    "rt_sigqueueinfo": 129,
    "quotactl": 179,
    "inotify_init1": 294,
    "getsid": 124,
}


def _call(name: str, *arguments: Any) -> int:
    """Call the kernel by number. Raises OSError."""
    if os.uname().machine != "x86_64":
        raise OSError("the numbers are those of x86_64")
    result = int(_libc.syscall(_CALLS[name], *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), "refused")


def _read(path: str) -> bool:
    with open(path, "rb") as file:
        return bool(file.read(1))


def _holds_secret(path: str) -> bool:
    with open(path, "rb") as file:
        return SECRET.encode() in file.read(1 << 20)


def _write(path: str) -> bool:
    with open(path, "ab"):
        return True


def _done(call: Callable[..., Any], *arguments: Any) -> bool:
    call(*arguments)
    return True


def _memory(victim: Victim) -> bool:
    with open(f"/proc/{victim.server}/mem", "rb") as file:
        file.seek(victim.address)
        return file.read(len(SECRET)) == SECRET.encode()


class _Piece(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def _memory_by_call(victim: Victim) -> bool:
    buffer = ctypes.create_string_buffer(len(SECRET))
    here, there = _Piece(ctypes.addressof(buffer), len(SECRET)), _Piece(victim.address, len(SECRET))
    _call("process_vm_readv", victim.server, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    return buffer.raw == SECRET.encode()


def _foreign_descriptor(victim: Victim) -> bool:
    return _call("pidfd_getfd", _call("pidfd_open", victim.server, 0), 0, 0) >= 0


def _through(make: Callable[[str, str], None], victim: Victim) -> bool:
    """Reach the database by another name, in the child's own folder."""
    name = f"link-{make.__name__}"
    make(victim.path("reelmill.db"), name)
    return _read(name)


def _rows(victim: Victim) -> bool:
    return bool(sqlite3.connect(victim.path("reelmill.db")).execute("SELECT request FROM tasks").fetchall())


def _others(victim: Victim) -> bool:
    return str(victim.server) in os.listdir("/proc")


def _connect(family: int, kind: int, address: Any) -> bool:
    with socket.socket(family, kind) as end:
        end.connect(address)
        end.send(b"GET / HTTP/1.0\r\n\r\n")
        return True


def _listen() -> bool:
    with socket.socket() as end:
        end.bind(("127.0.0.1", 0))
        end.listen()
        return True


def _descriptors() -> bool:
    """Anything beside the standard ones, and the two ends of connections to the parent that this child was given."""
    results = set()
    for number in range(3, 1024):
        with suppress(OSError):
            os.fstat(number)
            results.add(number)
    return len(results) > 2


def _own_socket() -> int:
    """One of its connections to the parent."""
    return next(number for number in range(3, 64) if _is_socket(number))


def _is_socket(number: int) -> bool:
    with suppress(OSError):
        return stat.S_ISSOCK(os.fstat(number).st_mode)
    return False


def _peer() -> bool:
    """A descriptor of the server, as the process at the other end."""
    result, size = ctypes.c_int(-1), ctypes.c_uint(4)
    _check(_libc.getsockopt(_own_socket(), socket.SOL_SOCKET, _SO_PEERPIDFD, ctypes.byref(result), ctypes.byref(size)))
    return result.value >= 0


def _packet_program() -> bool:
    """A program that the kernel runs for each packet: one that lets all pass."""
    program = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0xFFFFFFFF))
    filled = struct.pack("HxxxxxxQ", 1, ctypes.addressof(program))
    _check(_libc.setsockopt(_own_socket(), socket.SOL_SOCKET, _SO_ATTACH_FILTER, filled, len(filled)))
    return True


def _hidden_memory() -> bool:
    """Shared memory that nothing of is mapped counts for nobody."""
    return bool(mmap.mmap(-1, 1 << 20))


def _zeros() -> bool:
    with open("/dev/zero", "rb") as file:
        return bool(mmap.mmap(file.fileno(), 1 << 20, prot=mmap.PROT_READ))


def _fork() -> bool:
    process = os.fork()
    if process == 0:
        os._exit(0)
    os.waitpid(process, 0)
    return True


def _owned_signals(victim: Victim) -> bool:
    """A signal for another process, by a pipe whose owner it becomes."""
    reading, _ = os.pipe()
    fcntl.fcntl(reading, fcntl.F_SETOWN, victim.bystander)
    return True


def _lower(victim: Victim) -> bool:
    """Take descriptors away from the server."""
    limits = (ctypes.c_uint64 * 2)(4096, 4096)
    return _call("prlimit64", victim.server, resource.RLIMIT_NOFILE, ctypes.byref(limits), None) == 0


def _sparse() -> bool:
    with open("sparse", "wb") as file:
        file.truncate(1 << 60)
    return True


def _fast_lane() -> bool:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    return True


Action = Callable[[Victim], Any]
_ENVIRONMENT: Mapping[str, Action] = {
    "environment of the server": lambda v: _holds_secret(f"/proc/{v.server}/environ"),
    "environment of its own": lambda v: SECRET in os.environ.values(),
    "memory of the server": _memory,
    "memory by process_vm_readv": _memory_by_call,
    "memory map": lambda v: _read(f"/proc/{v.server}/maps"),
    "trace the server": lambda v: _done(_call, "ptrace", 0x4206, v.server, 0, 0),
    "trace its sibling": lambda v: _done(_call, "ptrace", 0x4206, v.bystander, 0, 0),
    "descriptor of the server": _foreign_descriptor,
    "descriptors by name": lambda v: bool(os.listdir(f"/proc/{v.server}/fd")),
    "command line of the server": lambda v: _read(f"/proc/{v.server}/cmdline"),
    "list of processes": _others,
    "session of the server": lambda v: _call("getsid", v.server) >= 0,
    "root of the server": lambda v: bool(os.listdir(f"/proc/{v.server}/root/")),
}
_FILES: Mapping[str, Action] = {
    "read the database": lambda v: _read(v.path("reelmill.db")),
    "read its rows": _rows,
    "write the database": lambda v: _write(v.path("reelmill.db")),
    "truncate the database": lambda v: _done(_call, "truncate", v.path("spare.db").encode(), 0),
    "remove the database": lambda v: _done(os.remove, v.path("spare.db")),
    "move the database": lambda v: _done(os.rename, v.path("reelmill.db"), v.path("moved.db")),
    "take the database": lambda v: _done(os.rename, v.path("reelmill.db"), "taken.db"),
    "change its mode": lambda v: _done(os.chmod, v.path("reelmill.db"), 0o644),
    "change its times": lambda v: _done(os.utime, v.path("reelmill.db")),
    "change its attributes": lambda v: _done(os.setxattr, v.path("reelmill.db"), "user.x", b"x"),
    "hard link to it": lambda v: _through(os.link, v),
    "symbolic link to it": lambda v: _through(os.symlink, v),
    "list the data folder": lambda v: bool(os.listdir(v.folder)),
    "read another task's output": lambda v: _read(v.path("scratch/other/out.mp4")),
    "write another task's output": lambda v: _write(v.path("scratch/other/out.mp4")),
    "file in another task's folder": lambda v: _write(v.path("scratch/other/new.mp4")),
    "folder beside its own": lambda v: _done(os.mkdir, "../beside"),
    "read a source of another task": lambda v: _read(v.path("files/other.mp4")),
    "write its own source": lambda v: _write(v.path("files/own.mp4")),
    "file beside its source": lambda v: _write(v.path("files/new.mp4")),
    "a key": lambda v: _read(v.path("tls.key")),
    "by the root in /proc": lambda v: _read(f"/proc/self/root{v.path('reelmill.db')}"),
    "by the folder in /proc": lambda v: _read("/proc/self/cwd/../../reelmill.db"),
    "users of the machine": lambda v: _read("/etc/passwd"),
    "list the root": lambda v: bool(os.listdir("/")),
    "list the home": lambda v: bool(os.listdir(os.path.expanduser("~"))),
    "file in /tmp": lambda v: _write("/tmp/hostile"),
    "file in shared memory": lambda v: _write("/dev/shm/hostile"),
    "module of the server": lambda v: _write(child.__file__),
    "a device": lambda v: _done(os.mknod, "device", 0o600 | 0o020000, os.makedev(1, 5)),
    "a FIFO": lambda v: _done(os.mkfifo, "fifo"),
    "a file of an exabyte": lambda v: _sparse(),
    "watch files": lambda v: _call("inotify_init1", 0) >= 0,
}
_NETWORK: Mapping[str, Action] = {
    "the engine": lambda v: _connect(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", v.port)),
    "a name": lambda v: _connect(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.53", 53)),
    "a port of its own": lambda v: _listen(),
    "a socket by path": lambda v: _connect(socket.AF_UNIX, socket.SOCK_STREAM, v.path("service.sock")),
    "an abstract socket": lambda v: _connect(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{v.abstract}"),
    # Not connected: the fork server, which expects descriptors, would end, and this child with it.
    "the fork server": lambda v: os.access(v.fork_server, os.W_OK) and bool(socket.socket(socket.AF_UNIX)),
    "a pair": lambda v: bool(socket.socketpair()),
    "connections of the machine": lambda v: _read("/proc/self/net/tcp"),
    "the same by its thread": lambda v: _read("/proc/thread-self/net/unix"),
    "mounts of the machine": lambda v: _read("/proc/self/mountinfo"),
    "who is at the other end": lambda v: _peer(),
    "a program for packets": lambda v: _packet_program(),
    "netlink": lambda v: bool(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)),
    "descriptors of the fork server": lambda v: _descriptors(),
}
_PROGRAMS: Mapping[str, Action] = {
    "a shell": lambda v: os.system("true") == 0,
    "a program": lambda v: subprocess.run(["/bin/true"], check=False).returncode == 0,
    "posix_spawn": lambda v: _done(os.posix_spawn, "/bin/true", ["true"], {}),
    "a process": lambda v: _fork(),
    "a program in memory": lambda v: _call("memfd_create", b"x", 0) >= 0,
    "a session of its own": lambda v: _done(os.setsid),
    "outlive the server": lambda v: _done(_check, _libc.prctl(1, 0, 0, 0, 0)),
}
_SIGNALS: Mapping[str, Action] = {
    "signal to the server": lambda v: _done(os.kill, v.server, 0),
    "signal to the fork server": lambda v: _done(os.kill, os.getppid(), 0),
    "signal to a bystander": lambda v: _done(os.kill, v.bystander, signal.SIGUSR1),
    "signal to all": lambda v: _done(os.kill, -1, 0),
    "signal to the group": lambda v: _done(os.killpg, os.getpgrp(), 0),
    "signal to a thread": lambda v: _done(_call, "tkill", v.bystander, 0),
    "queued signal": lambda v: _done(_call, "rt_sigqueueinfo", v.bystander, 0, ctypes.create_string_buffer(128)),
    "signal by a file": _owned_signals,
    "slow the server": lambda v: _done(os.setpriority, os.PRIO_PROCESS, v.server, 19),
    "pin the server": lambda v: _done(os.sched_setaffinity, v.server, {0}),
    "limit the server": _lower,
}
_KERNEL: Mapping[str, Action] = {
    "io_uring": lambda v: _call("io_uring_setup", 1, ctypes.create_string_buffer(256)) >= 0,
    "userfaultfd": lambda v: _call("userfaultfd", 1) >= 0,
    "keys": lambda v: _call("keyctl", 0, -3, 0, 0, 0) >= 0,
    "new key": lambda v: _call("add_key", b"user", b"x", b"x", 1, -2) >= 0,
    "counters": lambda v: _call("perf_event_open", ctypes.create_string_buffer(128), 0, -1, -1, 0) >= 0,
    "namespaces": lambda v: _done(_call, "unshare", 0x10000000),
    "mount": lambda v: _call("fsopen", b"tmpfs", 0) >= 0,
    "root folder": lambda v: _done(os.chroot, "."),
    "personality": lambda v: _call("personality", 0x0040000) >= 0,
    "memory that counts for nobody": lambda v: _hidden_memory(),
    "the same by a device": lambda v: _zeros(),
    "shared memory": lambda v: _call("shmget", 4242, 4096, 0o1666) >= 0,
    "message queue": lambda v: _call("msgget", 4242, 0o1666) >= 0,
    "POSIX queue": lambda v: _call("mq_open", b"hostile", 0o102, 0o600, None) >= 0,
    "become root": lambda v: os.getuid() != 0 and _done(os.setuid, 0),
    "become traceable": lambda v: _done(_check, _libc.prctl(4, 1, 0, 0, 0)),
    "real time": lambda v: _fast_lane(),
    "locked memory": lambda v: _done(_check, _libc.mlockall(1)),
    "more memory": lambda v: _done(resource.setrlimit, resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2),
    "a core dump": lambda v: resource.getrlimit(resource.RLIMIT_CORE)[1] != 0,
}
ACTIONS: Mapping[str, Action] = {**_ENVIRONMENT, **_FILES, **_NETWORK, **_PROGRAMS, **_SIGNALS, **_KERNEL}


def _attack(victim: Victim, attempt: Any) -> messages.FromChild:
    """Try everything, and report the names of what worked."""
    reached = []
    for name, action in ACTIONS.items():
        with suppress(Exception):
            if action(victim):
                reached.append(name)
    return messages.Failed("InternalError", json.dumps(reached))


def subverted(victim: dict[str, Any], *rest: Any) -> None:
    """Run in the child: instead of looking into its source, it attacks."""
    child._ACTIONS = {**child._ACTIONS, "probe": partial(_attack, Victim(**victim))}
    child.main(*rest)


@contextmanager
def a_victim(folder: Path) -> Iterator[Victim]:
    """A server in small, in this process."""
    secret = ctypes.create_string_buffer(SECRET.encode())
    os.environ["REELMILL_SECRET"] = SECRET
    child_process.preload()
    for name in ("scratch/own", "scratch/other", "files"):
        (folder / name).mkdir(parents=True)
    for name in ("scratch/other/out.mp4", "files/own.mp4", "files/other.mp4", "tls.key", "spare.db"):
        (folder / name).write_text("what is whose")
    with sqlite3.connect(folder / "reelmill.db") as database:
        database.execute("CREATE TABLE tasks (request TEXT)")
        database.execute("INSERT INTO tasks VALUES ('of another')")
    database.close()
    with ExitStack() as stack:
        bystander = subprocess.Popen([sys.executable, "-c", "import signal; signal.signal(10, signal.SIG_IGN); signal.pause()"])
        stack.callback(bystander.wait)
        stack.callback(bystander.kill)
        engine = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        abstract = f"reelmill-{os.getpid()}"
        for address in (str(folder / "service.sock"), f"\0{abstract}"):
            stack.enter_context(socket.socket(socket.AF_UNIX)).bind(address)
        yield Victim(
            server=os.getpid(),
            bystander=bystander.pid,
            fork_server=str(vars(forkserver._forkserver)["_forkserver_address"]),
            folder=str(folder),
            port=engine.getsockname()[1],
            abstract=abstract,
            address=ctypes.addressof(secret),
        )


async def reached(folder: Path, mode: SandboxMode, *, devices: bool = False) -> list[str]:
    """Return what a subverted child reaches that is confined as `mode` says; with `devices`, it may encode with a GPU."""
    encoder = Capability("h264_nvenc", "h264", "nvenc", available=True)
    target = TargetSpec(0, "file:///out.mp4", "mp4", video=VideoSpec("h264"))
    request = ConvertRequest("task", "default", (), (target,))
    with a_victim(folder) as victim, patch.object(child_process, "enter", partial(subverted, asdict(victim))):
        own = victim.path("scratch/own")
        assignment = messages.Assignment("probe", Limits(sandbox=mode), directory=own)
        if devices:
            assignment = replace(assignment, request=request, capabilities=(encoder,))
            assert assignment.uses_devices
        async with child_process.start(assignment) as process:
            message = await process.receive(60)
    assert isinstance(message, messages.Failed), message
    return list(json.loads(message.message))


def _stay(attempt: Any) -> messages.FromChild:
    """Never end, whatever happens to the parent."""
    while True:
        signal.pause()


def staying(*rest: Any) -> None:
    """Run in the child: it does not listen to its parent, and so does not notice its end."""
    child._ACTIONS = {**child._ACTIONS, "probe": _stay}
    with patch.object(Attempt, "listen"):
        child.main(*rest)


async def keep_one() -> None:
    """Print the process ID of a child that stays, and wait to be killed."""
    child_process.preload()
    with patch.object(child_process, "enter", staying):
        async with child_process.start(messages.Assignment("probe", Limits(sandbox="require"))) as process:
            print(process.pid, flush=True)
            await asyncio.sleep(60)


if __name__ == "__main__":
    if sys.argv[1] == "stay":
        asyncio.run(keep_one())
    with tempfile.TemporaryDirectory() as place:
        print(json.dumps(asyncio.run(reached(Path(place), sys.argv[1]))))
