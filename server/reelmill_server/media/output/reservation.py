"""Have the file system find room for a copy in large pieces while it is written: to find it for each block took a quarter
of the time of writing.
"""

import ctypes
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress

from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.model.plan import COPY, TargetPlan

_LEAST_BYTES = 8 << 20  # of smaller files, nothing is won
_MOST_BYTES = 16 << 20  # ahead of what is written, which other tasks have not
_KEEP_SIZE = 1  # FALLOC_FL_KEEP_SIZE


class Reservation:
    """Room on the disk behind what is written of a file, as long as it is written."""

    def __init__(self, plan: TargetPlan, path: str) -> None:
        copied = plan.package is None and any(stream.encoder == COPY for stream in plan.streams)
        call = getattr(ctypes.CDLL(None), "fallocate64", None) if copied else None  # only Linux has it
        self._call, self._path, self._reserved = call, path, 0
        if call is not None:
            call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)

    def all_of(self, bundles: Iterator[Sequence[AnyPacket]]) -> Iterator[Sequence[AnyPacket]]:
        """Yield `bundles`, each of which is written before the next one is asked for."""
        for packets in bundles:
            yield packets
            if self._call is not None:
                self._go_on()

    def _go_on(self) -> None:
        """Reserve as much as is written if that has come near the end of what is reserved. Without room, or on file systems
        that reserve none, writing goes on as ever.
        """
        with suppress(OSError):  # it may not be there yet
            size = os.stat(self._path).st_size
            if size < max(_LEAST_BYTES, self._reserved - _MOST_BYTES // 2):
                return
            begin, length = max(size, self._reserved), min(size, _MOST_BYTES)
            descriptor = os.open(self._path, os.O_RDWR)
            try:
                assert self._call is not None
                if self._call(descriptor, _KEEP_SIZE, begin, length):
                    self._call = None
                else:
                    self._reserved = begin + length
            finally:
                os.close(descriptor)

    def release(self) -> None:
        """Give back what the written file does not need. Raises OSError."""
        if self._reserved:
            with open(self._path, "r+b", buffering=0) as file:  # truncating by the path is a call that children may not make
                file.truncate(file.seek(0, os.SEEK_END))
