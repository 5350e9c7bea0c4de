"""What a child uses, as the system counts it."""

import os
from dataclasses import dataclass
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")


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
