"""Resources that the machine or container gives this process: the defaults for the size of a worker."""

import os
from pathlib import Path


def visible_cpus() -> int:
    """Count the CPU cores that this process may run on, whatever a container's quota says: libav starts threads by it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable_cpus(quota_file: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Count the CPU cores that this process may use, at least 1; a container's CPU quota counts."""
    cores = visible_cpus()
    try:
        quota, period = quota_file.read_text().split()
        return max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):  # no such file, or "max": there is no quota
        return cores


def usable_memory(limit_file: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """Count the bytes of memory that this process may use; a container's limit counts."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(machine, int(limit_file.read_text()))
    except (OSError, ValueError):  # no such file, or "max": there is no limit
        return machine
