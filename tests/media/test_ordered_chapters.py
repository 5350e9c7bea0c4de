"""Matroska that says to play parts of it in an order of its own."""

import io

import pytest

from reelmill_server.media.input.ordered_chapters import is_played_in_parts
from tests import judge
from tests.media.converter import Converter, target
from tests.sources import Clip, Video

pytestmark = pytest.mark.media

CLUSTER = bytes.fromhex("1f43b675")
LIVE = Clip("matroska", (Video(size=(64, 48), seconds=0.4, b_frames=0),), (), options=(("live", "1"),))


def element(name: str, body: bytes) -> bytes:
    """An element of EBML with a size of two bytes."""
    return bytes.fromhex(name) + (1 << 14 | len(body)).to_bytes(2) + body


def chapters(*spans: tuple[int, int], ordered: bool = True, other: bytes = b"") -> bytes:
    """Chapters of an edition; `spans` in seconds, `other`: the name of another file that has them."""
    atoms = [
        element("b6", element("91", (begin * 10**9).to_bytes(8)) + element("92", (end * 10**9).to_bytes(8)) + other)
        for begin, end in spans
    ]
    return element("1043a770", element("45b9", element("45dd", bytes([ordered])) + b"".join(atoms)))


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        (chapters((20, 30), (0, 10)), True),
        (chapters((0, 20)), True),
        (chapters((0, 60), other=element("6e67", bytes(16))), True),
        (chapters((0, 10), (10, 60)), False),
        (chapters((20, 30), (0, 10), ordered=False), False),
        (b"", False),
    ],
)
def test_parts_are_told_from_the_whole(body: bytes, parts: bool) -> None:
    """Also where chapters lie behind the media."""
    head = element("1a45dfa3", b"") + bytes.fromhex("1853806701ffffffffffffff")
    assert is_played_in_parts(io.BytesIO(head + body + CLUSTER), 60.0) == parts
    seek = element("114d9b74", element("4dbb", element("53ab", bytes.fromhex("1043a770")) + element("53ac", b"\x40")))
    behind = (seek + element("1f43b675", b"")).ljust(0x40, b"\0") + body
    assert is_played_in_parts(io.BytesIO(head + behind), 60.0) == parts


def test_an_order_that_is_not_followed_is_told(convert: Converter) -> None:
    """All of the file is there, in the order in which it lies."""
    data = convert.shelf.get(LIVE).read_bytes()
    path = convert.shelf.put("ordered.mkv", data.replace(CLUSTER, chapters((2, 3), (0, 1)) + CLUSTER, 1))
    converted = convert(path, target("mp4", audio=None))
    assert judge.numbers(converted.path) == [*range(10)]
    assert "its ordered chapters say to play parts" in converted.warnings[0]
