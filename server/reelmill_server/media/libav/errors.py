"""Classify failures of libav: too little memory, the disk, a limit of this machine, or the source or request itself."""

import errno
import re
import resource
from collections.abc import Iterator

import av.error

from reelmill_server.address_space import peak_bytes, was_short
from reelmill_server.errors import InternalError, OutOfMemory, OutputError, ReelmillError
from reelmill_server.media.libav.log import error_text

LIBAV_ERRORS = (av.error.FFmpegError, ValueError)
"""Exceptions that PyAV raises when libav fails; ValueError for something that is not open or not known."""

_DISK = frozenset(
    getattr(errno, name) for name in "ENOSPC EDQUOT EIO EFBIG EROFS EMFILE ENFILE EACCES ENOENT ENOTDIR ENODEV".split()
)
# libvpx logs "Memory allocation error", SVT-AV1 "insufficient resources".
_MEMORY_WORDS = re.compile(r"memory|alloc|insufficient resources", re.IGNORECASE)
_LARGEST_BYTES = 2**31 - 1  # that libav allocates at once
# libav returns EAGAIN when a thread cannot be started.
_MACHINE = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE})


def limit_bytes() -> int:
    """Return the limit of this process's address space; 0: none."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return 0 if limit == resource.RLIM_INFINITY else limit


def memory_was_short() -> bool:
    """Return whether this process came so close to its limit that an allocation may have failed."""
    try:
        return was_short(peak_bytes(), limit_bytes())
    except MemoryError:
        return True


def is_memory(error: BaseException) -> bool:
    """Return whether `error` is due to a lack of memory: the error or one of its causes says so, or memory was short."""
    return any(_says_memory(cause) for cause in _chain(error)) or memory_was_short()


def asks_too_much(error: BaseException) -> bool:
    """Return whether a file that was read declares a block larger than libav allocates, which fails as a lack of memory does:
    there was room for any other.
    """
    limit = limit_bytes()
    refused = any(isinstance(cause, av.error.FFmpegError) and _number(cause) == errno.ENOMEM for cause in _chain(error))
    return refused and bool(limit) and peak_bytes() + _LARGEST_BYTES < limit


def check_memory(error: Exception) -> None:
    """Raise OutOfMemory if `error` is due to a lack of memory; call it wherever a failure to read is otherwise tolerated."""
    if is_memory(error) and not asks_too_much(error):
        raise too_little_memory(error_text(error)) from error


def too_little_memory(text: str) -> OutOfMemory:
    """Return the error of an attempt that needs more memory than it may have; `text` says what failed."""
    limit = limit_bytes()
    most = f"it may have, {limit >> 20} MiB of address space" if limit else "there is"
    return OutOfMemory(": ".join(filter(None, (f"the attempt needs more memory than {most}", text))))


def meaning(error: Exception, otherwise: ReelmillError) -> ReelmillError:
    """Classify a failure to read: too little memory, a limit of this machine, or `otherwise`, the fault of the source."""
    if is_memory(error) and not asks_too_much(error):
        return too_little_memory(otherwise.message)
    if _number(error) in _MACHINE:
        return InternalError(f"a limit of this machine: {otherwise.message}")
    return otherwise


def meaning_of_writing(error: Exception, what: str, otherwise: ReelmillError) -> ReelmillError:
    """Classify a failure to write `what`: the disk, too little memory, or `otherwise`, the fault of the request."""
    if _number(error) in _DISK:
        return OutputError(f"{what} cannot be written: {error_text(error)}")
    return too_little_memory(otherwise.message) if is_memory(error) else otherwise


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes."""
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__


def _says_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or _number(error) == errno.ENOMEM:
        return True
    # Wrapped encoder libraries share one error number; libav's log has the reason.
    return isinstance(error, av.error.FFmpegError) and bool(_MEMORY_WORDS.search(error_text(error)))


def _number(error: BaseException) -> int | None:
    return getattr(error, "errno", None)
