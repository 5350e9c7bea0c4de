"""Have the kernel, when memory is short, kill this process and its children rather than others."""

from contextlib import suppress
from pathlib import Path

_MORE, _MOST = 500, 1000
_FILE = Path("/proc/self/oom_score_adj")


def be_killed_first() -> None:
    """Raise the score of this process, which children inherit; does nothing where the system has none."""
    with suppress(OSError, ValueError):
        _FILE.write_text(str(min(int(_FILE.read_text()) + _MORE, _MOST)))
