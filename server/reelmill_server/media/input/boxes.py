"""Walk the boxes of MP4 and QuickTime files (ISO/IEC 14496-12, 4.2)."""

from collections.abc import Iterator
from typing import BinaryIO

_HEAD_BYTES, _LONG_HEAD_BYTES = 8, 16


def boxes(file: BinaryIO, begin: int, end: int, kind: bytes) -> Iterator[tuple[int, int]]:
    """Yield where the contents of the boxes of `kind` between two positions begin and end: one that claims to be longer ends
    there, as libav has it.
    """
    while begin + _HEAD_BYTES <= end:
        file.seek(begin)
        head = file.read(_LONG_HEAD_BYTES)
        size, content = int.from_bytes(head[:4]), begin + _HEAD_BYTES
        if size == 1:
            size, content = int.from_bytes(head[8:]), begin + _LONG_HEAD_BYTES
        size = size or end - begin  # 0: the box extends to the end
        if size < content - begin or content > end:
            return
        if head[4:8] == kind:
            yield content, min(begin + size, end)
        begin += size


def content_of(file: BinaryIO, begin: int, end: int) -> bytes:
    """Return the bytes between two positions; none if a box is shorter than what it is to have ahead of them."""
    file.seek(begin)
    return file.read(max(end - begin, 0))  # a negative number would be all of the file
