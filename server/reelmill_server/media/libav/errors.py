"""What a failure means: too little memory, a full disk, a lack of this machine, or else what was read or asked for."""

import errno
import re
import resource
from collections.abc import Iterator

import av.error

from reelmill_server.address_space import peak_bytes, was_short
from reelmill_server.errors import InternalError, MediaLimitExceeded, OutputError, ReelmillError
from reelmill_server.media.libav.log import error_text

LIBAV_ERRORS = (av.error.FFmpegError, ValueError)
"""What PyAV raises where libav fails; ValueError where something that is not open, or not known, is used."""

_DISK = frozenset(
    getattr(errno, name) for name in "ENOSPC EDQUOT EIO EFBIG EROFS EMFILE ENFILE EACCES ENOENT ENOTDIR ENODEV".split()
)
# As libvpx ("Memory allocation error") and SVT-AV1 ("insufficient resources") say it.
_MEMORY_WORDS = re.compile(r"memory|alloc|insufficient resources", re.IGNORECASE)
# EAGAIN is what libav says when a thread does not start.
_MACHINE = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE})


def bound_bytes() -> int:
    """Return how large this process's address space may be; 0: there is no bound."""
    bound, _ = resource.getrlimit(resource.RLIMIT_AS)
    return 0 if bound == resource.RLIM_INFINITY else bound


def memory_was_short() -> bool:
    """Return whether this process came so near to its bound that it may have been refused memory."""
    try:
        return was_short(peak_bytes(), bound_bytes())
    except MemoryError:
        return True


def is_memory(error: BaseException) -> bool:
    """Return whether `error` is for want of memory: it, or what it came from, says so, or there was little left."""
    return any(_says_memory(one) for one in _chain(error)) or memory_was_short()


def check_memory(error: Exception) -> None:
    """Raise MediaLimitExceeded if `error` is for want of memory; for failures that are no reason to give up otherwise."""
    if is_memory(error):
        raise too_little_memory(error_text(error)) from error


def too_little_memory(text: str) -> MediaLimitExceeded:
    """Return the error of an attempt that needs more memory than it may have; `text`: what failed."""
    bound = bound_bytes()
    most = f"it may have, {bound >> 20} MiB of address space" if bound else "there is"
    return MediaLimitExceeded(": ".join(filter(None, (f"the attempt needs more memory than {most}", text))))


def meaning(error: Exception, otherwise: ReelmillError) -> ReelmillError:
    """Return what a failure means: too little memory, a lack of this machine, or `otherwise`, the fault of what was read."""
    if is_memory(error):
        return too_little_memory(otherwise.message)
    if _number(error) in _MACHINE:
        return InternalError(f"a limit of this machine: {otherwise.message}")
    return otherwise


def meaning_of_writing(error: Exception, what: str, otherwise: ReelmillError) -> ReelmillError:
    """Return what a failure to write `what` means: too little memory, the disk, which may pass, or `otherwise`, the fault of
    what was asked for."""
    if _number(error) in _DISK:
        return OutputError(f"{what} cannot be written: {error_text(error)}")
    return too_little_memory(otherwise.message) if is_memory(error) else otherwise


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it came from."""
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__


def _says_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or _number(error) == errno.ENOMEM:
        return True
    # Encoders of other libraries have one number for everything; what they say is in libav's log.
    return isinstance(error, av.error.FFmpegError) and bool(_MEMORY_WORDS.search(error_text(error)))


def _number(error: BaseException) -> int | None:
    return getattr(error, "errno", None)
