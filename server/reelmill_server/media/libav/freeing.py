"""Wait for files that libav finishes only when what writes them is freed: PyAV has no call that does so."""

import gc
import time
from pathlib import Path

# gc.collect() does nothing while another thread collects.
_OLDEST = 2  # generation of what has survived longest
_COLLECTIONS, _PAUSE_SECONDS = 200, 0.05


def wait_for_freed(path: Path) -> None:
    """Free what nobody refers to, graphs and encoders in reference cycles, until `path` is there or ten seconds are over."""
    for attempt in range(_COLLECTIONS):
        gc.collect(
            min(attempt, _OLDEST)
        )  # what was just let go of is young, most often, and found without looking at all there is
        if path.exists():
            return
        if attempt >= _OLDEST:
            time.sleep(_PAUSE_SECONDS)
