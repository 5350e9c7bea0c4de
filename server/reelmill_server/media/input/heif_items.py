"""Count the images of a HEIF file (ISO/IEC 23008-12), which libav hands out as streams, tiles and alpha channels among them."""

import struct
from collections.abc import Iterator
from typing import BinaryIO

from reelmill_server.media.input.boxes import boxes

_FLAGS = 4  # bytes of version and flags, ahead of the contents of a full box
_MOST_BYTES = 1 << 20
_IMAGES = (b"hvc1", b"av01", b"avc1", b"jpeg", b"j2k1", b"vvc1", b"grid", b"iovl", b"iden")
# What items are of others: tiles of a grid (which names them), and alpha channels, depth and thumbnails (which name it).
_PARTS, _ADDITIONS = b"dimg", (b"auxl", b"thmb")


def image_count(file: BinaryIO) -> int:
    """Return how many images a file has that are not part of another, or its thumbnail; 0: it has no items."""
    for begin, end in boxes(file, 0, file.seek(0, 2), b"meta"):
        items = {number for number, kind in _items(file, begin + _FLAGS, end) if kind in _IMAGES}
        for kind, source, targets in _references(file, begin + _FLAGS, end):
            items -= {*targets} if kind == _PARTS else {source} if kind in _ADDITIONS else set()
        return len(items)
    return 0


def _items(file: BinaryIO, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the type of each item in a `meta` box."""
    for table, table_end in boxes(file, begin, end, b"iinf"):
        wide = _read(file, table, 1) != b"\0"
        for place, stop in boxes(file, table + _FLAGS + (4 if wide else 2), table_end, b"infe"):
            content = _read(file, place, stop - place)
            size = 4 if content[:1] == b"\3" else 2
            at = _FLAGS + size + 2  # behind its number, and how it is protected
            yield int.from_bytes(content[_FLAGS : _FLAGS + size]), content[at : at + 4]


def _references(file: BinaryIO, begin: int, end: int) -> Iterator[tuple[bytes, int, tuple[int, ...]]]:
    """Yield the kind, the source and the targets of each reference in a `meta` box."""
    for table, table_end in boxes(file, begin, end, b"iref"):
        content = _read(file, table, table_end - table)
        letter, at = "I" if content[:1] != b"\0" else "H", _FLAGS
        head = struct.Struct(f">I4s{letter}H")
        while at + head.size <= len(content):
            size, kind, source, count = head.unpack_from(content, at)
            if size < head.size:
                return
            numbers = content[at + head.size : at + size]
            count = min(count, len(numbers) // struct.calcsize(letter))
            yield kind, source, struct.unpack_from(f">{count}{letter}", numbers)
            at += size


def _read(file: BinaryIO, begin: int, size: int) -> bytes:
    file.seek(begin)
    return file.read(min(size, _MOST_BYTES))
