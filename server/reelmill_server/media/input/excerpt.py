"""Read parts of a file as if they were all of it."""

from bisect import bisect_right
from collections.abc import Sequence
from io import SEEK_CUR, SEEK_END, SEEK_SET
from itertools import accumulate
from typing import BinaryIO


class Excerpt:
    """A file of which only `spans` (begin and end, in order) are read, one behind the other; for one thread."""

    def __init__(self, file: BinaryIO, spans: Sequence[tuple[int, int]]) -> None:
        self._file, self._spans = file, spans
        self._begins = [0, *accumulate(end - begin for begin, end in spans)]
        self._at = 0

    def read(self, count: int = -1) -> bytes:
        """Return at most `count` bytes, none at the end."""
        part = bisect_right(self._begins, self._at) - 1
        if part >= len(self._spans):
            return b""
        begin, end = self._spans[part]
        place = begin + self._at - self._begins[part]
        self._file.seek(place)
        data = self._file.read(end - place if count < 0 else min(count, end - place))
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """Go to a position, and return it. Raises ValueError for one before the front."""
        position = offset + {SEEK_SET: 0, SEEK_CUR: self._at, SEEK_END: self._begins[-1]}[whence]
        if position < 0:
            raise ValueError(f"negative position {position}")
        self._at = position
        return position

    def tell(self) -> int:
        """Return the position."""
        return self._at
