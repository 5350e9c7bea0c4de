"""Boxes of MP4, whatever sizes they claim."""

import io

from reelmill_server.media.input.boxes import boxes

HUGE = (1 << 64) - 1


def test_none_is_longer_than_what_holds_it() -> None:
    """Nor does one inside it lie beyond what a file can have, or is read as more than there is."""
    inner = b"\0\0\0\x01trak" + (HUGE - 1).to_bytes(8) + b"abc"
    file = io.BytesIO(b"\0\0\0\x01moov" + HUGE.to_bytes(8) + inner)
    ((begin, end),) = boxes(file, 0, len(file.getvalue()), b"moov")
    assert (begin, end) == (16, len(file.getvalue()))
    assert [*boxes(file, begin, end, b"trak")] == [(begin + 16, end)]
    assert [*boxes(file, begin, HUGE, b"mdia")] == []


def test_sizes_of_all_kinds() -> None:
    """In 32 bits, in 64, and up to the end; a size that has no room for itself ends the walk."""
    file = io.BytesIO(b"\0\0\0\x09freex" + b"\0\0\0\x01free" + (17).to_bytes(8) + b"y" + b"\0\0\0\x00freezz")
    assert [*boxes(file, 0, len(file.getvalue()), b"free")] == [(8, 9), (25, 26), (34, 36)]
    assert [*boxes(io.BytesIO(b"\0\0\0\x07freexyz"), 0, 11, b"free")] == []
