"""Allow this process the system calls of `syscalls`, and no others: a seccomp filter, in classic BPF.

A call that is not in the table fails with EPERM; one that is newer than the table with ENOSYS, so that libraries do without it.
"""

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reelmill_server.worker.child.syscalls import NEWEST, NUMBERS

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""By the machine's name: the column of `NUMBERS`, and AUDIT_ARCH."""

# struct seccomp_data: int number, u32 architecture, u64 instruction pointer, u64 arguments[6]; little endian on both.
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_LOAD, _AND, _IF_EQUAL, _IF_GREATER, _IF_AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x25, 0x35, 0x06
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_REFUSE, _UNKNOWN = _ERROR | errno.EPERM, _ERROR | errno.ENOSYS
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2

_CLONE_THREAD = 0x10000
_CLONE_NEW = 0x7E020000  # all CLONE_NEW…: namespaces
_COMMANDS_OF_FCNTL = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030)  # duplicate, flags, locks; not F_SETOWN, which sends signals
_COMMANDS_OF_IOCTL = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FION/CLEX
_OPTIONS_OF_PRCTL = (3, 15, 16, 21, 23, 39)  # read what confines; PR_SET_NAME, PR_GET_NAME
_SOL_SOCKET, _SO_SNDBUF = 1, 7
_OPTIONS_OF_SOCKETS = (3, 4, 38, 39)  # type, error, protocol, domain; not SO_PEERPIDFD, a descriptor of the parent
# Of a file, or private: not shared memory without a file, which stays held when nothing of it is mapped, and counts for nobody.
_MAP_KINDS, _MAP_SHARED, _MAP_PRIVATE, _MAP_SHARED_VALIDATE, _MAP_ANONYMOUS = 0x23, 0x01, 0x02, 0x03, 0x20
_ANY = 0xFFFFFFFF


class SeccompError(OSError):
    """There is no filter for this machine, or the kernel takes none."""


@dataclass(frozen=True)
class Argument:
    """A condition on argument `number` (from 0) of a system call: its value, after `& mask`, is one of `values`.

    The lower 32 bits are compared, as the kernel reads an int; with `pointer`, the upper ones must be 0 as well.
    """

    number: int
    values: tuple[int, ...]
    mask: int = _ANY
    pointer: bool = False


WIDENED: Mapping[str, str] = {
    "ioctl": "drivers have thousands of requests, and NVIDIA's carry no type to filter by",
    "mmap": "CUDA shares memory without a file with its driver, at addresses of its own",
}
"""Calls whose arguments may be any in children that may use an accelerator, and why."""


def conditions(pid: int, devices: bool) -> Mapping[str, tuple[Argument, ...]]:
    """Return what the arguments of a call must be; of others, any are allowed. `devices`: not of those that are `WIDENED`."""
    return {name: () if devices and name in WIDENED else arguments for name, arguments in _conditions(pid).items()}


def _conditions(pid: int) -> Mapping[str, tuple[Argument, ...]]:
    own = Argument(0, (0, pid))
    return {
        "mmap": (Argument(3, (_MAP_PRIVATE, _MAP_PRIVATE | _MAP_ANONYMOUS, _MAP_SHARED, _MAP_SHARED_VALIDATE), _MAP_KINDS),),
        # A thread of this process, in its namespaces: no other process.
        "clone": (Argument(0, (_CLONE_THREAD,), _CLONE_THREAD | _CLONE_NEW),),
        "fcntl": (Argument(1, _COMMANDS_OF_FCNTL),),
        "ioctl": (Argument(1, _COMMANDS_OF_IOCTL),),
        # `abort` and `raise` of this process.
        "kill": (Argument(0, (pid,)),),
        "tgkill": (Argument(0, (pid,)),),
        "prctl": (Argument(0, _OPTIONS_OF_PRCTL),),
        # Read its own limits.
        "prlimit64": (Argument(0, (0, pid)), Argument(2, (0,), pointer=True)),
        "sched_setaffinity": (Argument(0, (0,)),),
        # Not those of others.
        "getpgid": (own,),
        "getsid": (own,),
        "getpriority": (Argument(1, (0, pid)),),
        # To who is connected already.
        "sendto": (Argument(4, (0,), pointer=True),),
        "getsockopt": (Argument(1, (_SOL_SOCKET,)), Argument(2, _OPTIONS_OF_SOCKETS)),
        # Not programs that the kernel runs for each packet.
        "setsockopt": (Argument(1, (_SOL_SOCKET,)), Argument(2, (_SO_SNDBUF,))),
    }


_ABSENT = "clone3"

_Code = list[tuple[int, int, int, int]]  # operation, jump if true, jump if false, operand


def program(machine: str, pid: int, devices: bool = False) -> bytes:
    """Return the filter of process `pid`, as an array of struct sock_filter. Raises SeccompError for an unknown machine."""
    if machine not in _ARCHITECTURES or sys.maxsize < 1 << 32:
        raise SeccompError(f"there is no filter of system calls for {machine}")
    column, architecture = _ARCHITECTURES[machine]
    numbers = {name: number for name, row in NUMBERS.items() if (number := row[column]) is not None}
    absent, limited = numbers.pop(_ABSENT), conditions(pid, devices)
    code: _Code = [(_LOAD, 0, 0, _ARCHITECTURE), (_IF_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _KILL)]
    code += [(_LOAD, 0, 0, _NUMBER), (_IF_EQUAL, 0, 1, absent), (_RETURN, 0, 0, _UNKNOWN)]
    for name in limited:
        block = _checks(limited[name])
        code += [(_IF_EQUAL, 0, len(block), numbers.pop(name)), *block]
    for first, last in _ranges(sorted(numbers.values())):
        code += [(_IF_AT_LEAST, 0, 2, first), (_IF_GREATER, 1, 0, last), (_RETURN, 0, 0, _ALLOW)]
    # Calls of the x32 interface have numbers above 2**30.
    code += [(_IF_GREATER, 0, 1, NEWEST), (_RETURN, 0, 0, _UNKNOWN), (_RETURN, 0, 0, _REFUSE)]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def _checks(arguments: Sequence[Argument]) -> _Code:
    """Return code that allows a call if all its arguments are as they must be, and refuses it otherwise."""
    code: _Code = [(_RETURN, 0, 0, _ALLOW)]
    for argument in reversed(arguments):
        low = _ARGUMENTS + 8 * argument.number
        code = [*_word(low, argument.mask, argument.values), *code]
        if argument.pointer:
            code = [*_word(low + 4, _ANY, (0,)), *code]
    return code


def _word(offset: int, mask: int, values: Sequence[int]) -> _Code:
    """Return code that goes on if a word, after `mask`, is one of `values`, and refuses the call otherwise."""
    code: _Code = [(_LOAD, 0, 0, offset), (_AND, 0, 0, mask)]
    code += [(_IF_EQUAL, len(values) - place, 0, value) for place, value in enumerate(values)]
    return [*code, (_RETURN, 0, 0, _REFUSE)]


def _ranges(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and the last of each row of numbers that follow each other."""
    first = last = numbers[0]
    for number in numbers[1:]:
        if number != last + 1:
            yield first, last
            first = number
        last = number
    yield first, last


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def install(devices: bool = False) -> None:
    """Install the filter in this thread and those that it starts. Raises SeccompError."""
    if sys.platform != "linux":
        raise SeccompError(f"there is no filter of system calls for {sys.platform}")
    code = program(os.uname().machine, os.getpid(), devices)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    filled = _Program(len(code) // struct.calcsize("=HBBI"), code)
    if libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(filled), 0, 0) != 0:
        raise SeccompError(f"the kernel takes no filter of system calls: {os.strerror(ctypes.get_errno())}")
