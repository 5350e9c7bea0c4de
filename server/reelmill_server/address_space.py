"""How close a process came to the limit of its address space.

A failed allocation is rarely reported as one: an encoder does not open, a packet counts as broken, a thread does not start, a
library exits. The kernel's own counters are evidence that does not depend on error messages.
"""

import re
from pathlib import Path

_PEAK = re.compile(r"^VmPeak:\s*(\d+) kB$", re.MULTILINE)
_LEAST_MARGIN_BYTES, _MOST_MARGIN_BYTES = 64 << 20, 1 << 30
_MARGIN_SHARE = 16


def peak_bytes(pid: int | str = "self") -> int:
    """Return the peak size of a process's address space; 0 if the system does not report it."""
    try:
        match = _PEAK.search(Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(match[1]) << 10 if match else 0


def was_short(peak: int, limit: int) -> bool:
    """Return whether an allocation may have failed in a process with this `peak` and `limit`, both in bytes; limit 0: none.

    The allocation that failed is not part of the peak, which therefore stays below the limit by up to its size: a few frames,
    or the heap of a thread (64 MiB). Processes with higher limits make larger allocations.
    """
    margin = min(max(_LEAST_MARGIN_BYTES, limit // _MARGIN_SHARE), _MOST_MARGIN_BYTES)
    return bool(limit) and peak + margin >= limit
