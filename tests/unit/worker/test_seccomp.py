"""The filter of system calls: read as the kernel would, and tried."""

import ctypes
import ctypes.util
import errno
import json
import platform
import struct
import subprocess
import sys
from collections.abc import Mapping

import pytest

from reelmill_server.worker.child.seccomp import WIDENED, SeccompError, conditions, program
from reelmill_server.worker.child.syscalls import NEWEST, NUMBERS

PID = 4242
MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOWED, REFUSED, UNKNOWN, KILLED = "allowed", "refused", "unknown", "killed"
_VERDICTS = {0x7FFF0000: ALLOWED, 0x50000 | errno.EPERM: REFUSED, 0x50000 | errno.ENOSYS: UNKNOWN, 0x80000000: KILLED}
THREAD, VM, NEW_USER, NEW_NET = 0x10000, 0x100, 0x10000000, 0x40000000
NULL, ADDRESS, HIGH_ADDRESS = 0, 0x7F00_1234_5678, 0x7F00_0000_0000


def verdict(machine: str, number: int, arguments: tuple[int, ...] = (), *, devices: bool = False, arch: int = 0) -> str:
    """What the filter says of a call; classic BPF, run here."""
    data = struct.pack("<iIQ6Q", number, arch or MACHINES[machine], 0, *(*arguments, *[0] * 6)[:6])
    code = list(struct.iter_unpack("<HBBI", program(machine, PID, devices)))
    at = word = 0
    while True:
        operation, yes, no, operand = code[at]
        match operation:
            case 0x20:  # load
                (word,) = struct.unpack_from("<I", data, operand)
                taken = 0
            case 0x54:  # and
                word, taken = word & operand, 0
            case 0x15 | 0x25 | 0x35:  # ==, >, >=
                holds = {0x15: word == operand, 0x25: word > operand, 0x35: word >= operand}[operation]
                taken = yes if holds else no
            case 0x06:
                return _VERDICTS[operand]
        at += 1 + taken


# name, arguments, what becomes of it
RULES: Mapping[str, tuple[str, tuple[int, ...], str]] = {
    "a thread": ("clone", (0x3D0F00,), ALLOWED),
    "a process": ("clone", (17,), REFUSED),
    "a process that shares memory, as vfork": ("clone", (0x4111,), REFUSED),
    "a thread in a new user namespace": ("clone", (THREAD | VM | NEW_USER,), REFUSED),
    "a thread in a new network": ("clone", (THREAD | VM | NEW_NET,), REFUSED),
    "clone3, whose flags cannot be seen": ("clone3", (ADDRESS, 88), UNKNOWN),
    "its own end": ("kill", (PID, 6), ALLOWED),
    "its parent's end": ("kill", (PID - 1, 9), REFUSED),
    "its group's end": ("kill", (0, 9), REFUSED),
    "everyone's end": ("kill", (0xFFFFFFFF, 9), REFUSED),
    "abort": ("tgkill", (PID, PID, 6), ALLOWED),
    "a thread of another": ("tgkill", (PID + 1, PID + 1, 6), REFUSED),
    "send": ("sendto", (5, ADDRESS, 24, 0, NULL, 0), ALLOWED),
    "send to an address": ("sendto", (5, ADDRESS, 24, 0, ADDRESS, 16), REFUSED),
    "send to an address with a low half of zero": ("sendto", (5, ADDRESS, 24, 0, HIGH_ADDRESS, 16), REFUSED),
    "its own limits": ("prlimit64", (0, 7, NULL, ADDRESS), ALLOWED),
    "its own limits, by number": ("prlimit64", (PID, 7, NULL, ADDRESS), ALLOWED),
    "another's limits": ("prlimit64", (PID - 1, 7, NULL, ADDRESS), REFUSED),
    "set its limits": ("prlimit64", (0, 7, HIGH_ADDRESS, NULL), REFUSED),
    "its own cores": ("sched_setaffinity", (0, 8, ADDRESS), ALLOWED),
    "another's cores": ("sched_setaffinity", (1, 8, ADDRESS), REFUSED),
    "its own session": ("getsid", (0,), ALLOWED),
    "another's session": ("getsid", (1,), REFUSED),
    "its own group": ("getpgid", (PID,), ALLOWED),
    "another's group": ("getpgid", (1,), REFUSED),
    "its own priority": ("getpriority", (0, 0), ALLOWED),
    "another's priority": ("getpriority", (0, 1), REFUSED),
    "memory": ("mmap", (NULL, 4096, 3, 0x22, 0xFFFFFFFF), ALLOWED),
    "a stack": ("mmap", (NULL, 4096, 3, 0x20022, 0xFFFFFFFF), ALLOWED),
    "a library": ("mmap", (NULL, 4096, 5, 0x812, 3), ALLOWED),
    "a file that others map, too": ("mmap", (NULL, 4096, 1, 0x01, 3), ALLOWED),
    "shared memory without a file": ("mmap", (NULL, 4096, 3, 0x21, 0xFFFFFFFF), REFUSED),
    "the same, validated": ("mmap", (NULL, 4096, 3, 0x23, 0xFFFFFFFF), REFUSED),
    "what a socket is": ("getsockopt", (3, 1, 3, ADDRESS, ADDRESS), ALLOWED),
    "a descriptor of who is at its other end": ("getsockopt", (3, 1, 77, ADDRESS, ADDRESS), REFUSED),
    "a small buffer": ("setsockopt", (3, 1, 7, ADDRESS, 4), ALLOWED),
    "a program for what it receives": ("setsockopt", (3, 1, 26, ADDRESS, 16), REFUSED),
    "an option of TCP": ("setsockopt", (3, 6, 7, ADDRESS, 4), REFUSED),
    "a name for a thread": ("prctl", (15, ADDRESS), ALLOWED),
    "outlive its parent": ("prctl", (1, 0), REFUSED),
    "let others trace it": ("prctl", (4, 1), REFUSED),
    "another filter": ("prctl", (22, 2, ADDRESS), REFUSED),
    "close on exec": ("fcntl", (3, 2, 1), ALLOWED),
    "signals for another by a file": ("fcntl", (3, 8, 1), REFUSED),
    "a lease": ("fcntl", (3, 1024, 0), REFUSED),
    "a seal": ("fcntl", (3, 1033, 0), REFUSED),
    "is it a terminal": ("ioctl", (1, 0x5401, ADDRESS), ALLOWED),
    "type into a terminal": ("ioctl", (1, 0x5412, ADDRESS), REFUSED),
    "a device": ("ioctl", (3, 0xC0406400, ADDRESS), REFUSED),
}
CLOSED = (
    *("socket", "socketpair", "connect", "bind", "listen", "accept4", "sendmsg", "sendmmsg", "recvmsg"),
    *("execve", "execveat", "wait4", "setsid", "setpgid"),
    *("ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_open", "pidfd_getfd", "pidfd_send_signal"),
    *("rt_sigqueueinfo", "rt_tgsigqueueinfo", "tkill", "setpriority", "sched_setscheduler", "sched_setattr", "ioprio_set"),
    *("io_uring_setup", "io_uring_enter", "io_uring_register", "userfaultfd", "perf_event_open", "bpf", "seccomp"),
    *("keyctl", "add_key", "request_key", "memfd_create", "memfd_secret", "shmget", "msgget", "semget", "mq_open"),
    *("mount", "umount2", "pivot_root", "chroot", "unshare", "setns", "open_tree", "move_mount", "fsopen"),
    *("linkat", "symlinkat", "mknodat", "name_to_handle_at", "open_by_handle_at", "inotify_init1", "fanotify_init"),
    *("fchmod", "fchmodat", "fchown", "fchownat", "utimensat", "setxattr", "removexattr", "truncate"),
    *("setuid", "setgid", "setgroups", "setresuid", "capset", "personality", "acct", "quotactl", "swapon"),
    *("reboot", "kexec_load", "init_module", "finit_module", "syslog", "settimeofday", "clock_settime", "sethostname"),
    *("splice", "tee", "vmsplice", "mlock", "mlockall", "mbind", "timer_create", "signalfd4", "timerfd_create"),
)


@pytest.fixture(scope="module")
def libseccomp() -> ctypes.CDLL:
    """Knows the numbers of all calls."""
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        pytest.skip("no libseccomp")
    library.seccomp_syscall_resolve_name_arch.argtypes = (ctypes.c_uint32, ctypes.c_char_p)
    return library


@pytest.mark.parametrize("machine", MACHINES)
def test_the_numbers_are_those_of_the_kernel(libseccomp: ctypes.CDLL, machine: str) -> None:
    """By libseccomp, which says so by negative numbers where an architecture has no such call."""
    column = list(MACHINES).index(machine)
    for name, row in NUMBERS.items():
        known = libseccomp.seccomp_syscall_resolve_name_arch(MACHINES[machine], name.encode())
        assert row[column] == (known if known >= 0 else None), name


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("rule", RULES)
def test_a_call_with_arguments(machine: str, rule: str) -> None:
    """Each condition, kept and broken."""
    name, arguments, expected = RULES[rule]
    number = NUMBERS[name][list(MACHINES).index(machine)]
    assert number is not None and verdict(machine, number, arguments) == expected


def test_every_condition_is_tried() -> None:
    """With an argument that is allowed, and with one that is not."""
    for name in conditions(PID, devices=False):
        assert {what for call, _, what in RULES.values() if call == name} == {ALLOWED, REFUSED}


@pytest.mark.parametrize("machine", MACHINES)
def test_only_what_is_in_the_table(machine: str) -> None:
    """Nothing else; what is newer, and what has the bit of the x32 interface, does not exist."""
    column = list(MACHINES).index(machine)
    free = {row[column] for name, row in NUMBERS.items() if name not in {*conditions(PID, devices=False), "clone3"}}
    assert {number for number in range(NEWEST + 1) if verdict(machine, number) == ALLOWED} >= free - {None}
    others = set(range(NEWEST + 1)) - {row[column] for row in NUMBERS.values()}
    assert {verdict(machine, number) for number in others} == {REFUSED}
    assert {verdict(machine, number) for number in (NEWEST + 1, NEWEST + 100, 1 << 30, 1 << 30 | 59)} == {UNKNOWN}


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("name", CLOSED)
def test_closed_calls(libseccomp: ctypes.CDLL, name: str) -> None:
    """By name, on both."""
    for machine, arch in MACHINES.items():
        number = libseccomp.seccomp_syscall_resolve_name_arch(arch, name.encode())
        assert number >= 0 and verdict(machine, number) == REFUSED


def test_calls_of_another_architecture_end_the_process() -> None:
    """Their numbers mean something else."""
    i386 = 0x40000003
    assert verdict("x86_64", 11, arch=i386) == KILLED


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("rule", RULES)
def test_accelerators_widen_what_the_table_says_and_nothing_else(machine: str, rule: str) -> None:
    """Any request of a driver, and the memory that it shares: which devices, is Landlock's to say."""
    name, arguments, expected = RULES[rule]
    number = NUMBERS[name][list(MACHINES).index(machine)]
    widened = ALLOWED if name in WIDENED else expected
    assert number is not None and verdict(machine, number, arguments, devices=True) == widened


def test_an_unknown_machine_is_named() -> None:
    """Rather than filtered by wrong numbers."""
    with pytest.raises(SeccompError, match="riscv64"):
        program("riscv64", PID)


_UNFILTERED = {335, 336} if platform.machine() == "x86_64" else {-1}
"""uretprobe and uprobe, which do nothing where the kernel has not put them; newer kernels do not ask filters."""
_TRIED = """
import ctypes, json
from reelmill_server.worker.child import seccomp
from reelmill_server.worker.child.syscalls import NUMBERS
seccomp.install()
libc = ctypes.CDLL(None, use_errno=True)
found = {}
known = {row[0 if %r == "x86_64" else 1] for row in NUMBERS.values()}
for number in set(range(600)) - known - %r:
    ctypes.set_errno(0)
    result = libc.syscall(number, 0, 0, 0, 0, 0, 0)
    found[number] = (result, ctypes.get_errno())
print(json.dumps(found))
"""


@pytest.mark.skipif(sys.platform != "linux" or platform.machine() not in MACHINES, reason="there is no filter")
def test_the_kernel_takes_it() -> None:
    """And says what this interpreter of it says: every other call fails."""
    code = _TRIED % (platform.machine(), _UNFILTERED)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    expected = {number: [-1, errno.EPERM if int(number) <= NEWEST else errno.ENOSYS] for number in result}
    assert result == expected and len(result) > 400


@pytest.mark.skipif(ctypes.util.find_library("seccomp") is None, reason="libseccomp is not installed (Debian: libseccomp2)")
@pytest.mark.parametrize("machine", MACHINES)
def test_numbers_are_those_of_libseccomp(machine: str) -> None:
    """Of both architectures, whichever this one is; a call that one does not have has a pseudo number there, below -1."""
    library = ctypes.CDLL(ctypes.util.find_library("seccomp"))
    resolve = library.seccomp_syscall_resolve_name_arch
    resolve.argtypes, resolve.restype = (ctypes.c_uint32, ctypes.c_char_p), ctypes.c_int
    index, unknown = list(MACHINES).index(machine), -1
    theirs = {name: resolve(MACHINES[machine], name.encode()) for name in NUMBERS}
    known = {name: number for name, number in theirs.items() if number != unknown}
    assert len(known) > 0.9 * len(NUMBERS)  # an older library does not know the newest
    assert {name: NUMBERS[name][index] for name in known} == {
        name: number if number >= 0 else None for name, number in known.items()
    }
