"""Which characters a font file has glyphs for: the `cmap` table of OpenType, in the two formats that fonts use for Unicode.

A library for fonts would take a second for the largest of them, as it names every glyph.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

# (platform, encoding) of Unicode tables: those with all planes first, then those of the first plane.
_UNICODE = ((3, 10), (0, 6), (0, 4), (3, 1), (0, 3), (0, 2), (0, 1), (0, 0))
_LAST = 0xFFFF  # ends format 4, and is no character


def characters(path: str, number: int = 0) -> frozenset[int]:
    """The characters of face `number` of a font file; none for a file that is no font."""
    try:
        with open(path, "rb") as file:
            table = _table(file, number)
    except (OSError, struct.error):
        return frozenset()
    offsets = {(platform, kind): offset for platform, kind, offset in _records(table)}
    try:
        subtable = next(table[offsets[key] :] for key in _UNICODE if key in offsets)
        (form,) = struct.unpack_from(">H", subtable)
        return frozenset({4: _format_4, 12: _format_12}[form](subtable))
    except (StopIteration, KeyError, struct.error):
        return frozenset()


def _table(file: BinaryIO, number: int) -> bytes:
    """The bytes of the face's `cmap`, empty if it has none."""
    begin = 0
    if file.read(4) == b"ttcf":
        file.seek(12 + 4 * number)
        (begin,) = struct.unpack(">I", file.read(4))
    file.seek(begin + 4)
    (count,) = struct.unpack(">H6x", file.read(8))
    for tag, _, offset, length in struct.iter_unpack(">4sIII", file.read(16 * count)):
        if tag == b"cmap":
            file.seek(offset)
            return file.read(length)
    return b""


def _records(table: bytes) -> Iterator[tuple[int, int, int]]:
    if len(table) >= 4:
        (count,) = struct.unpack_from(">H", table, 2)
        yield from struct.iter_unpack(">HHI", table[4 : 4 + len(table[4 : 4 + 8 * count]) // 8 * 8])


def _format_12(table: bytes) -> Iterator[int]:
    """Groups of characters with glyphs that follow each other."""
    (count,) = struct.unpack_from(">I", table, 12)
    for first, last, _ in struct.iter_unpack(">III", table[16 : 16 + 12 * count]):
        yield from range(first, min(last, 0x10FFFF) + 1)


def _format_4(table: bytes) -> Iterator[int]:
    """Segments of characters; glyph 0 is none."""
    (double,) = struct.unpack_from(">H", table, 6)
    count = double // 2
    lasts, firsts, deltas, ranges = (
        struct.unpack_from(f">{count}H", table, begin) for begin in (14, 16 + double, 16 + 2 * double, 16 + 3 * double)
    )
    for place, (first, last, delta, start) in enumerate(zip(firsts, lasts, deltas, ranges, strict=True)):
        where = 16 + 3 * double + 2 * place + start
        for character in range(first, min(last, _LAST - 1) + 1):
            glyph = character
            if start:
                (glyph,) = struct.unpack_from(">H", table, where + 2 * (character - first))
            if (not start or glyph) and (glyph + delta) & 0xFFFF:
                yield character
