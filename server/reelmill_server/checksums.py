"""Checksums of files, where they are made and where they are read back."""

import hashlib
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import BinaryIO

_READ_BYTES = 1 << 20


class Checksum:
    """The size and SHA-256 of files one after the other."""

    def __init__(self) -> None:
        self._size, self._digest = 0, hashlib.sha256()

    def add(self, path: Path) -> None:
        """Add a file. Raises OSError."""
        with path.open("rb") as file:
            self.add_next(file)

    def add_next(self, file: BinaryIO, most: float = inf) -> None:
        """Add at most so many of the next bytes of a file. Raises OSError."""
        while most > 0 and (block := file.read(int(min(_READ_BYTES, most)))):
            self._digest.update(block)
            self._size += len(block)
            most -= len(block)

    def result(self) -> tuple[int, str]:
        """Return both of all files so far."""
        return self._size, self._digest.hexdigest()


def checksum(paths: Sequence[Path]) -> tuple[int, str]:
    """Return the size and SHA-256 of files one after the other. Raises OSError."""
    total = Checksum()
    for path in paths:
        total.add(path)
    return total.result()
