"""Refuse MP4 and QuickTime files whose tables cost libav more than their size lets expect."""

from collections.abc import Iterator
from typing import BinaryIO

from reelmill_server.errors import MediaLimitExceeded
from reelmill_server.media.input.boxes import boxes

# libav goes through all samples of a track for each entry of its edit list, and may list them all again.
_MOST_EDITS = 10_000
_FIRST = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")
_WAY = (b"moov", b"trak", b"edts", b"elst")
_COUNT_AT, _COUNT_BYTES = 4, 4  # after version and flags


def check_boxes(file: BinaryIO, size: int) -> None:
    """Raise MediaLimitExceeded for an edit list that is too long; files in other formats pass. The position is set to 0."""
    file.seek(4)
    if file.read(4) in _FIRST:
        for begin, _ in _along(file, 0, size, _WAY):
            file.seek(begin + _COUNT_AT)
            count = int.from_bytes(file.read(_COUNT_BYTES))
            if count > _MOST_EDITS:
                raise MediaLimitExceeded(f"an edit list has {count} entries, more than {_MOST_EDITS}")
    file.seek(0)


def _along(file: BinaryIO, begin: int, end: int, way: tuple[bytes, ...]) -> Iterator[tuple[int, int]]:
    """Yield the spans of the boxes at the end of a `way` of kinds of boxes."""
    for span in boxes(file, begin, end, way[0]):
        if len(way) == 1:
            yield span
        else:
            yield from _along(file, *span, way[1:])
