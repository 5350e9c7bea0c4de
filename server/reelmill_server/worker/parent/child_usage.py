"""Count what a child uses, and what the machine has, as the system does."""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

from reelmill_server import cgroups

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
_OWN = ("RssAnon", "RssShmem", "VmSwap")
_SHARES = ("Pss_Anon", "Pss_Shmem", "SwapPss")
_MACHINE = ("MemTotal", "MemAvailable")
# Of the many lines of these files, ten times a second.
_KIB: Mapping[tuple[str, ...], re.Pattern[bytes]] = {
    names: re.compile(rf"^({'|'.join(names)}):\s+(\d+) kB$".encode(), re.MULTILINE) for names in (_OWN, _SHARES, _MACHINE)
}
_MOST_BYTES = 1 << 16  # of a file


@dataclass(frozen=True)
class ChildUsage:
    """Bytes of resident memory, and seconds of CPU so far."""

    memory_bytes: int = 0
    core_seconds: float = 0.0


def usage_of(pid: int) -> ChildUsage:
    """Return what a process uses; nothing if it is gone, or where the system does not tell."""
    try:
        pages = _content(f"/proc/{pid}/statm").split()[1]
        fields = _content(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    except (OSError, IndexError):
        return ChildUsage()
    return ChildUsage(int(pages) * _PAGE_BYTES, (int(fields[11]) + int(fields[12])) / _TICKS)


def thread_count(pid: int) -> int:
    """Return how many threads a process has; 0 if it is gone, or where the system does not tell."""
    try:
        return int(_content(f"/proc/{pid}/stat").rpartition(b")")[2].split()[17])
    except (OSError, IndexError, ValueError):
        return 0


def held_bytes(pid: int, limit_bytes: int = 0) -> int:
    """Return the memory that a process holds and the kernel cannot take back: anonymous, shared and swapped out.

    Pages that it has had in common with others since it was forked count in full. Where that makes it exceed `limit_bytes`,
    its proportional share is counted, as far as the system shows it (to root); 0 if the process is gone.
    """
    status = _sizes(f"/proc/{pid}/status", _OWN)
    own = sum(status.get(name, 0) for name in _OWN)
    if limit_bytes and own > limit_bytes:
        shares = _sizes(f"/proc/{pid}/smaps_rollup", _SHARES)
        return shares.get("Pss_Anon", own) + shares.get("Pss_Shmem", 0) + shares.get("SwapPss", 0)
    return own


@dataclass(frozen=True)
class MachineMemory:
    """Bytes of memory that there are, by the limit of a `container` or in the whole machine, and that cannot be taken back
    from who uses them. `limit_bytes` 0: unknown.
    """

    limit_bytes: int = 0
    used_bytes: int = 0
    container: bool = False

    def words(self) -> str:
        """Return both in words."""
        what = "container" if self.container else "machine"
        return f"{self.used_bytes >> 20} MiB of the {what}'s {self.limit_bytes >> 20} MiB were in use"


def container_cgroup() -> cgroups.MemoryCgroup | None:
    """Return the cgroup whose limit is this process's; None: there is no limit."""
    return cgroups.lowest(_groups())


@cache
def _groups() -> tuple[cgroups.MemoryCgroup, ...]:
    """Return this process's cgroup and those above it: they take longer to find than to read."""
    current = cgroups.current()
    return cgroups.upward(current) if current else ()


def machine_memory() -> MachineMemory:
    """Return what the container has, or without one the machine."""
    container = container_cgroup()
    if container is not None:
        return MachineMemory(container.limit_bytes, container.used_bytes, True)
    machine = _sizes("/proc/meminfo", _MACHINE)
    total = machine.get("MemTotal", 0)
    return MachineMemory(total, total - machine.get("MemAvailable", total))


def _sizes(path: str, names: tuple[str, ...]) -> dict[str, int]:
    """Return the sizes of these names in a file of the kernel, in bytes, as far as it has them."""
    with suppress(OSError):
        return {name.decode(): int(size) << 10 for name, size in _KIB[names].findall(_content(path))}
    return {}


def _content(path: str) -> bytes:
    """Return a file of the kernel, which is never long. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, _MOST_BYTES)
    finally:
        os.close(descriptor)
