"""Count what a child uses, and what the machine has, as the system does."""

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from reelmill_server import cgroups

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
_KIB = re.compile(r"^(\w+):\s+(\d+) kB$", re.MULTILINE)
_OWN = ("RssAnon", "RssShmem", "VmSwap")


@dataclass(frozen=True)
class ChildUsage:
    """Bytes of resident memory, and seconds of CPU so far."""

    memory_bytes: int = 0
    core_seconds: float = 0.0


def usage_of(pid: int) -> ChildUsage:
    """Return what a process uses; nothing if it is gone, or where the system does not tell."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, IndexError):
        return ChildUsage()
    return ChildUsage(int(pages) * _PAGE_BYTES, (int(fields[11]) + int(fields[12])) / _TICKS)


def thread_count(pid: int) -> int:
    """Return how many threads a process has; 0 if it is gone, or where the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[17])
    except (OSError, IndexError, ValueError):
        return 0


def held_bytes(pid: int, limit_bytes: int = 0) -> int:
    """Return the memory that a process holds and the kernel cannot take back: anonymous, shared and swapped out.

    Pages that it has had in common with others since it was forked count in full. Where that makes it exceed `limit_bytes`,
    its proportional share is counted, as far as the system shows it (to root); 0 if the process is gone.
    """
    status = _sizes(f"/proc/{pid}/status")
    held = sum(status.get(name, 0) for name in _OWN)
    if limit_bytes and held > limit_bytes:
        shares = _sizes(f"/proc/{pid}/smaps_rollup")
        return shares.get("Pss_Anon", held) + shares.get("Pss_Shmem", 0) + shares.get("SwapPss", 0)
    return held


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
    return cgroups.limiting(_current())


@cache
def _current() -> cgroups.MemoryCgroup | None:
    return cgroups.current()  # takes longer to find than to read


def machine_memory() -> MachineMemory:
    """Return what the container has, or without one the machine."""
    container = container_cgroup()
    if container is not None:
        return MachineMemory(container.limit_bytes, container.used_bytes, True)
    machine = _sizes("/proc/meminfo")
    total = machine.get("MemTotal", 0)
    return MachineMemory(total, total - machine.get("MemAvailable", total))


def _sizes(path: str) -> dict[str, int]:
    """Return the sizes in a file of the kernel, in bytes by name."""
    with suppress(OSError):
        return {name: int(size) << 10 for name, size in _KIB.findall(Path(path).read_text())}
    return {}
