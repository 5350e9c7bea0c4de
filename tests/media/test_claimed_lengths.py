"""Files that claim to be longer or shorter than they are, in any of the places where they claim it."""

import re
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from reelmill_server.errors import OutputInvalid
from reelmill_server.media.result.verify import verify
from reelmill_server.model.request import AudioSpec, TargetSpec
from tests.media.converter import encoded, target
from tests.media.test_gate import made
from tests.sources import Audio, Clip, Shelf, Video

pytestmark = pytest.mark.media

CLIP = Clip("mp4", (Video(seconds=2, b_frames=2),), (Audio(seconds=2),))
MOVIE, FLASH = target("mp4", encoded(), AudioSpec("aac")), target("flv", encoded(), AudioSpec("aac"))

Change = Callable[[bytes], bytes]


def boxed(kind: bytes, place: int, factor: float) -> Change:
    """The 32 bits at `place` in the contents of each box of `kind` are multiplied."""

    def change(content: bytes) -> bytes:
        changed = bytearray(content)
        for result in re.finditer(kind, content):
            begin = result.end() + place
            value = round(int.from_bytes(content[begin : begin + 4]) * factor)
            changed[begin : begin + 4] = value.to_bytes(4)
        return bytes(changed)

    return change


def matroska(factor: float) -> Change:
    """`Duration` (0x4489, a float of eight bytes) is multiplied."""

    def change(content: bytes) -> bytes:
        place = content.index(b"\x44\x89\x88") + 3
        (value,) = struct.unpack_from(">d", content, place)
        return content[:place] + struct.pack(">d", value * factor) + content[place + 8 :]

    return change


def flash(factor: float) -> Change:
    """`duration` in the script tag is multiplied."""

    def change(content: bytes) -> bytes:
        place = content.index(b"duration\x00") + 9
        (value,) = struct.unpack_from(">d", content, place)
        return content[:place] + struct.pack(">d", value * factor) + content[place + 8 :]

    return change


@pytest.mark.sample(every=3)
@pytest.mark.parametrize(
    ("spec", "change", "words"),
    [
        (MOVIE, boxed(b"mvhd", 16, 1.5), "movie claims 3.0"),
        (MOVIE, boxed(b"mvhd", 16, 0.9), "movie claims 1.8"),
        (MOVIE, boxed(b"tkhd", 20, 1.5), "claims"),
        (MOVIE, boxed(b"mdhd", 16, 1.5), "claim|came out"),
        (MOVIE, boxed(b"elst", 8, 1.5), "its edits 3.0"),
        (target("mkv", encoded(), AudioSpec("aac")), matroska(1.5), "file claims 3.0"),
        (target("mkv", encoded(), AudioSpec("aac")), matroska(0.9), "file claims 1.8"),
        (FLASH, flash(1.5), "file claims 3.1"),
    ],
    ids=["mvhd", "short mvhd", "tkhd", "mdhd", "elst", "matroska", "short matroska", "flv"],
)
def test_a_wrong_claim_is_refused(spec: TargetSpec, change: Change, words: str, shelf: Shelf, tmp_path: Path) -> None:
    """And the file as it was written is not."""
    produced = made(shelf, tmp_path, (CLIP,), spec)
    verify(produced)
    path = Path(produced.path)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(OutputInvalid, match=words):
        verify(produced)
