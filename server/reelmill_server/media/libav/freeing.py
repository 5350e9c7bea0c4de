"""Free what libav holds: decoders without a deadlock, and files that it finishes only when what writes them is freed."""

import gc
import time
from pathlib import Path

from av.codec.context import CodecContext

# gc.collect() does nothing while another thread collects.
_OLDEST = 2  # generation of what has survived longest
_COLLECTIONS, _PAUSE_SECONDS = 200, 0.05


def park(decoder: CodecContext | None) -> None:
    """Have the threads of a decoder end what they do, so that it can be freed.

    PyAV frees it while it holds the GIL, and libav then waits for those threads: one that writes to libav's log at that moment
    waits for the GIL, and both wait for ever.
    """
    if decoder is not None and decoder.is_open:
        decoder.flush_buffers()


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
