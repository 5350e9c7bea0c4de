"""Read local files that the parent has opened: a child opens no path of a caller."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import SEEK_CUR, SEEK_END, SEEK_SET, BufferedReader, RawIOBase
from typing import Any, BinaryIO


@dataclass(frozen=True)
class OpenedFile:
    """A file that is open at `descriptor`, which several threads may read at places of their own."""

    descriptor: int

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open it as a file of its own position; the descriptor stays open."""
        with BufferedReader(_Positioned(self.descriptor)) as file:
            yield file


class _Positioned(RawIOBase):
    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._position = descriptor, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = os.preadv(self._descriptor, [buffer], self._position)
        self._position += count
        return count

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        base = {SEEK_SET: 0, SEEK_CUR: self._position}.get(whence)
        if base is None:
            assert whence == SEEK_END
            base = os.fstat(self._descriptor).st_size
        self._position = max(0, base + offset)
        return self._position
