"""Edit lists of MP4 that end early, or have several parts: what they show is what comes out."""

import re
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from reelmill_server.errors import InvalidMedia, UnsupportedFormat
from tests import judge
from tests.media.converter import CLIP, Converter, encoded, target
from tests.sources import Audio, Clip, Shelf, Video

pytestmark = pytest.mark.media

FRAME = 0.04
SOURCE = Clip("mp4", (Video(gop=12),), ())
Edits = Sequence[tuple[int, int]]
"""The first frame of each part and how many it shows."""


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        yield kind, data[at + 8 : at + size]
        at += size


def _box(kind: bytes, *contents: bytes) -> bytes:
    return struct.pack(">I4s", 8 + sum(map(len, contents)), kind) + b"".join(contents)


def edited(path: Path, result: Path, edits: Edits) -> Path:
    """Write `path`, whose index lies behind its media, with another edit list. A part that begins at -1 shows nothing."""
    data = path.read_bytes()
    scales = {kind: struct.unpack_from(">I", data, data.index(kind) + 16)[0] for kind in (b"mvhd", b"mdhd")}
    match = re.search(b"elst.{12}(.{4})", data, re.DOTALL)
    assert match
    delay = int.from_bytes(match[1])  # of the frames that are decoded in another order
    shown = [
        (round(count * FRAME * scales[b"mvhd"]), 0xFFFFFFFF if first < 0 else delay + round(first * FRAME * scales[b"mdhd"]))
        for first, count in edits
    ]
    entries = b"".join(struct.pack(">IIHH", length, begin, 1, 0) for length, begin in shown)
    listed = _box(b"edts", _box(b"elst", struct.pack(">II", 0, len(edits)), entries))

    def changed(kind: bytes, content: bytes) -> bytes:
        if kind == b"edts":
            return listed
        inner = [changed(*box) for box in _boxes(content)] if kind in (b"moov", b"trak") else [content]
        return _box(kind, *inner)

    assert data.index(b"mdat") < data.index(b"moov")
    result.write_bytes(b"".join(changed(*box) for box in _boxes(data)))
    return result


@pytest.mark.parametrize("first", [0, 9])
@pytest.mark.parametrize("count", [18, 20, 21, 25])
def test_frames_behind_the_end_of_an_edit_list_are_not_shown(
    convert: Converter, shelf: Shelf, tmp_path: Path, first: int, count: int
) -> None:
    """As phones trim. Encodes show what the list does; copies hold one frame more where shown ones refer to it, and hide it
    again, or say that it is shown.
    """
    source = edited(shelf.get(SOURCE), tmp_path / "edited.mp4", [(first, count)])
    asked = [*range(first, first + count)]
    assert judge.numbers(source) == asked
    converted = convert(source, target("mp4", encoded(), None))
    assert judge.numbers(converted.path) == asked
    assert judge.describe(converted.path).duration == pytest.approx(count * FRAME, abs=0.01)
    copied = convert(source, target("mp4", audio=None))
    booked = {adjustment.reason: adjustment.count for adjustment in copied.artifact.streams[0].adjustments}
    more = booked.get("after the span, for frames in it that refer to them", 0)
    assert judge.numbers(copied.path) == asked and more <= 1 and not copied.warnings
    if count == 18:
        shown = convert(source, target("mkv", audio=None))
        assert len(judge.numbers(shown.path)) == first + count + more  # Matroska hides none at the start, either
        assert len([text for text in shown.warnings if f"hides its first {first} frames" in text]) == bool(first)
        assert len([text for text in shown.warnings if "shown after the end" in text]) == more


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_a_joined_copy_cannot_hide_frames_at_its_seam(convert: Converter, shelf: Shelf, tmp_path: Path, container: str) -> None:
    """Those of the first source it can; those of the next would be shown among the last ones of the first."""
    source = edited(shelf.get(SOURCE), tmp_path / "edited.mp4", [(9, 16)])
    copied = target(container, audio=None)
    assert convert.concat([(source, CLIP), (shelf.get(SOURCE), CLIP)], copied).paths
    with pytest.raises(UnsupportedFormat, match="hides frames that others need"):
        convert.concat([(shelf.get(SOURCE), CLIP), (source, CLIP)], copied)


def test_an_edit_list_that_shows_nothing_is_an_error_of_the_source(convert: Converter, shelf: Shelf, tmp_path: Path) -> None:
    """Not of the disk, as what a seek fails with would say."""
    source = edited(shelf.get(SOURCE), tmp_path / "edited.mp4", [(-1, 25)])
    for start in (0, 0.5):
        with pytest.raises(InvalidMedia):
            convert(source, target("mp4", encoded(), None), start=start)


def test_parts_of_an_edit_list_follow_each_other(convert: Converter, shelf: Shelf, tmp_path: Path) -> None:
    """In an encode; a copy, which has one part, is refused."""
    source = edited(shelf.get(SOURCE), tmp_path / "edited.mp4", [(20, 10), (5, 10)])
    converted = convert(source, target("mp4", encoded(), None))
    assert judge.numbers(converted.path) == judge.numbers(source) == [*range(20, 30), *range(5, 15)]
    with pytest.raises(UnsupportedFormat, match="edit list"):
        convert(source, target("mp4", audio=None))


def test_a_delay_is_not_in_the_length_of_what_ends_early(convert: Converter, shelf: Shelf, tmp_path: Path) -> None:
    """libav counts the empty part in, so that such sources were refused as truncated, and copies as incomplete."""
    clip = Clip("mp4", (Video(gop=12),), (Audio(),))
    source = edited(shelf.get(clip), tmp_path / "late.mp4", [(-1, 8), (0, 20)])
    for spec in (target("mp4", encoded()), target("mp4"), target("mkv")):
        assert judge.numbers(convert(source, spec).path)[:20] == [*range(20)]


@pytest.mark.parametrize(("edits", "rate", "told"), [([(0, 10), (-1, 10), (10, 10)], 1, "pauses"), ([(0, 20)], 2, "changes")])
def test_what_of_an_edit_list_is_not_followed_is_told(
    convert: Converter, shelf: Shelf, tmp_path: Path, edits: Edits, rate: int, told: str
) -> None:
    """libav shows media where there is to be none, and all at its usual speed."""
    source = edited(shelf.get(SOURCE), tmp_path / "edited.mp4", edits)
    data = bytearray(source.read_bytes())
    for number in range(len(edits)):
        place = data.index(b"elst") + 12 + 12 * number + 8
        data[place : place + 2] = rate.to_bytes(2)
    source.write_bytes(data)
    (warning,) = convert(source, target("mp4", encoded(), None)).warnings
    assert f"the edit list of the video of sources[0] {told}" in warning
    assert not convert(
        edited(shelf.get(SOURCE), tmp_path / "plain.mp4", [(-1, 5), (0, 20)]), target("mp4", audio=None)
    ).warnings
