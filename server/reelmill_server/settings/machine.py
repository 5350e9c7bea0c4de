"""Resources that the machine or container gives this process: the defaults for the size of a worker."""

import os

from reelmill_server.cgroups import cpu_quota, current, limiting

# What `serve` itself is given: its own process, the one that children start from, and the embedded engine. Not a measured need.
_SERVER_BYTES = 384 << 20


def visible_cpus() -> int:
    """Count the CPU cores that this process may run on, whatever a container's quota says: libav starts threads by it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable_cpus() -> int:
    """Count the CPU cores that this process may use, at least 1; a container's quota counts, of cgroups of either version."""
    cores, quota = visible_cpus(), cpu_quota()
    return cores if quota is None else max(1, min(cores, int(quota)))


def usable_memory() -> int:
    """Count the bytes of memory that this process may use; a container's limit counts, of cgroups of either version."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    container = limiting(current())
    return min(machine, container.limit_bytes) if container else machine


def memory_for_attempts(usable_bytes: int) -> int:
    """Return how much of `usable_bytes` is for attempts: the server keeps a tenth, or what it needs where that is more."""
    return max(usable_bytes - max(usable_bytes // 10, _SERVER_BYTES), usable_bytes // 2)
