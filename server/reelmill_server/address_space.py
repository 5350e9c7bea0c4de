"""How near a process came to the bound of its address space.

Whoever is refused memory seldom says so: an encoder does not open, a packet is called broken, a thread does not start, a
library ends the process. What the system counts is evidence that does not depend on their words.
"""

import re
from pathlib import Path

_PEAK = re.compile(r"^VmPeak:\s*(\d+) kB$", re.MULTILINE)
_LEAST_MARGIN_BYTES, _MOST_MARGIN_BYTES = 64 << 20, 1 << 30
_MARGIN_SHARE = 16


def peak_bytes(pid: int | str = "self") -> int:
    """Return the largest address space that a process has had; 0 where the system does not tell."""
    try:
        found = _PEAK.search(Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) << 10 if found else 0


def was_short(peak: int, bound: int) -> bool:
    """Return whether a process with this `peak`, in bytes, may have been refused memory by its `bound`; 0: it has none.

    What was refused is not in the peak, which stays below the bound by as much at most: a few frames, or the heap of a thread,
    which is 64 MiB. The larger the bound, the larger may be what is asked for at once.
    """
    margin = min(max(_LEAST_MARGIN_BYTES, bound // _MARGIN_SHARE), _MOST_MARGIN_BYTES)
    return bool(bound) and peak + margin >= bound
