"""Have the kernel write outputs to the disk while they are read back: what is published has to be on it, and would be waited
for then.
"""

import ctypes
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_LEAST_BYTES = 8 << 20  # less is written sooner than a thread starts
_RANGE_BYTES = 8 << 20  # at the end of the block, no more than this is waited for
_BEGIN_WRITING = 2  # SYNC_FILE_RANGE_WRITE: of pages that are dirty, without waiting until they are written


@contextmanager
def writing_out(paths: Sequence[Path]) -> Iterator[None]:
    """Write files to the disk during the block, as far as that takes; whether they are written is nobody's to know."""
    write = getattr(ctypes.CDLL(None), "sync_file_range", None)  # only Linux has it
    if write is None or sum(path.stat().st_size for path in paths if path.exists()) < _LEAST_BYTES:
        yield
        return
    write.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    over = threading.Event()

    def work() -> None:
        for path in paths:
            with suppress(OSError), path.open("rb") as file:
                for begin in range(0, os.fstat(file.fileno()).st_size, _RANGE_BYTES):
                    if over.is_set():
                        return
                    write(file.fileno(), begin, _RANGE_BYTES, _BEGIN_WRITING)

    writing = threading.Thread(target=work, daemon=True)
    with suppress(RuntimeError):  # no thread can be started
        writing.start()
    try:
        yield
    finally:
        over.set()
        if writing.ident is not None:
            writing.join()
