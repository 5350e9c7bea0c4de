"""Boxes of MP4, whatever sizes they claim."""

import io
import struct
from types import SimpleNamespace
from typing import Any

import pytest

from reelmill_server.media.input.boxes import boxes
from reelmill_server.media.input.movie_tracks import with_tracks
from reelmill_server.model.media_info import MediaInfo

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


def test_no_content_begins_beyond_what_holds_it() -> None:
    """As that of a box with a size of 64 bits, of which the eight bytes ahead lie inside."""
    file = io.BytesIO(b"\0\0\0\x01trak" + (17).to_bytes(8) + b"y")
    assert [*boxes(file, 0, 8, b"trak")] == []


@pytest.mark.parametrize(
    "tables",
    [
        {b"stsd": bytes(4)},
        {b"stsc": bytes(4)},
        {b"stsd": struct.pack(">II8x", 0, 2), b"stsc": struct.pack(">5I", 0, 1, 1, 1, 0)},
    ],
    ids=["no descriptions", "no chunks", "description 0 of none"],
)
def test_tables_that_break_off_are_no_reason_to_read_all(tables: dict[bytes, bytes]) -> None:
    """Nor to fail: libav may not need them."""
    several = {b"stsd": struct.pack(">IIQQ", 0, 2, 8 << 32, 8 << 32), b"stsc": struct.pack(">8I", 0, 2, 1, 1, 1, 2, 1, 2)}
    data = box(b"stbl", *(box(kind, content) for kind, content in (several | tables).items()))
    data = box(b"moov", box(b"trak", box(b"mdia", box(b"minf", data))))
    container: Any = SimpleNamespace(
        format=SimpleNamespace(name="mov,mp4,m4a,3gp,3g2,mj2"), file=SimpleNamespace(file=Strict(data)), streams=[]
    )
    info = MediaInfo("")
    assert with_tracks(info, container) == info


def box(kind: bytes, *contents: bytes) -> bytes:
    """Return a box."""
    content = b"".join(contents)
    return struct.pack(">I4s", 8 + len(content), kind) + content


class Strict(io.BytesIO):
    """A file that nobody reads as a whole."""

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None and size >= 0
        return super().read(size)
