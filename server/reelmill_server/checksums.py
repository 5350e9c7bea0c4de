"""Checksums of files, where they are made and where they are read back."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

_READ_BYTES = 1 << 20


def checksum(paths: Sequence[Path]) -> tuple[int, str]:
    """Return the size and SHA-256 of files one after the other."""
    digest, size = hashlib.sha256(), 0
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(_READ_BYTES):
                digest.update(block)
                size += len(block)
    return size, digest.hexdigest()
