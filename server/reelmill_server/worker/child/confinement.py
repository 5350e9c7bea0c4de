"""Restrict a child process to what it needs."""

import ctypes
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Collection

from landlockpy import Ruleset

from reelmill_server.closed_memory import close_memory
from reelmill_server.model.capability import Sandbox
from reelmill_server.worker import messages
from reelmill_server.worker.child import landlock
from reelmill_server.worker.child.resources import limit
from reelmill_server.worker.child.sandbox import enter

_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 24, 38
_MOST_CAPABILITIES = 64  # bits of capset; the kernel knows about 41
_CAPABILITY_VERSION_3 = 0x20080522
# CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER: a child of root has the file access of root.
_FILES = 0b1111
NOT_REAL_TIME = ~(1 << 23)
"""All capabilities but CAP_SYS_NICE, which allows real-time threads."""
_STANDARD = 3  # input, output and error


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def drop_capabilities(mask: int = _FILES) -> None:
    """Drop all Linux capabilities of root but `mask` (bits by capability), for this thread and those it starts.

    Not only because media may be hostile: SVT-AV1 gives the calling thread and its own real-time priority if it may, and one
    such encode starves everything else on the machine.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = _Header(_CAPABILITY_VERSION_3, 0), (_Sets * 2)()
    if libc.capget(ctypes.byref(header), sets) != 0:
        return  # a kernel without capabilities
    for words, bits in zip(sets, (mask & 0xFFFFFFFF, mask >> 32 & 0xFFFFFFFF), strict=True):
        words.effective &= bits
        words.permitted &= bits
        words.inheritable = 0
    libc.capset(ctypes.byref(header), sets)


def gain_nothing() -> None:
    """Make sure that nothing which this process executes has more rights than it, and that no other process of its user can
    read its memory or trace it.

    Programs that root executes would have all capabilities again, and setuid programs those of their owner.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(_MOST_CAPABILITIES):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # fails for one that the kernel does not know, and for other users
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    close_memory()


class _Prepared:
    """The part of `confine` that this process did ahead, while it waited for an assignment."""

    done = False
    rules: Ruleset | None = None


def prepare(open_numbers: Collection[int]) -> None:
    """Drop what no child needs: privileges, environment, signals, descriptors but `open_numbers` and the standard ones; and
    have this process killed when its parent dies. `confine` does the rest.
    """
    _drop(open_numbers)
    _Prepared.done, _Prepared.rules = True, landlock.usual() if landlock.ABI else None


def _drop(open_numbers: Collection[int]) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        gain_nothing()
        drop_capabilities()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for name in set(os.environ) - set(messages.KEPT_ENVIRONMENT):
        del os.environ[name]
    os.environ.setdefault("SVT_LOG", "0")  # else SVT-AV1 writes its banner to stderr
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # else onnxruntime looks for a place to keep a number of this machine
    # numpy is not loaded yet. Its matrices are small here, and OpenBLAS threads that compete with an encoder slow a product of
    # one millisecond down to fifty.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _close_all_but(open_numbers)


def confine(assignment: messages.Assignment, open_numbers: Collection[int] = ()) -> Sandbox:
    """Drop what this child does not need, as `prepare` does unless that was called; limit what it uses, and confine it.

    Return how. Raises ServiceUnavailable if it must be confined and cannot.
    """
    if not _Prepared.done:
        _drop(open_numbers)
    if assignment.directory:
        os.chdir(assignment.directory)
        tempfile.tempdir = os.environ["TMPDIR"] = assignment.directory
    limit(assignment, len(open_numbers))
    return enter(assignment.limits.sandbox, assignment.directory, assignment.uses_devices, _Prepared.rules)


def _close_all_but(open_numbers: Collection[int]) -> None:
    """Close what the fork server left open: with its pipes, a child could keep it alive, or have it start another child."""
    first = _STANDARD
    for number in sorted({*open_numbers, resource.getrlimit(resource.RLIMIT_NOFILE)[0]}):
        os.closerange(first, number)
        first = number + 1
