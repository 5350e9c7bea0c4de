"""File descriptors of a process: as many as it may have, and what it means when there are no more."""

import errno
import os
import resource

_MOST = 1 << 16  # some programs look at each number up to the limit when they start others
_LACKS = (errno.EMFILE, errno.ENFILE)


def raise_limit() -> int:
    """Raise this process's limit of open descriptors as far as it is allowed to, and return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return limit()


def limit() -> int:
    """Return how many descriptors this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else soft


def free() -> int:
    """Return how many more this process may open; `limit` where the system does not tell which are open."""
    try:
        return limit() - len(os.listdir("/proc/self/fd"))
    except FileNotFoundError:
        return limit()
    except OSError:
        return 0  # not even for that


def lacking(error: BaseException) -> bool:
    """Return whether an error, or one that led to it, is that there were no more descriptors."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, OSError) and cause.errno in _LACKS:
            return True
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    return False
