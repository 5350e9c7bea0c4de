"""Captions are found wherever a packet may have them, and no further is searched."""

from fractions import Fraction
from typing import Any

import av
import pytest

from reelmill_server.media.libav import caption_search
from reelmill_server.media.libav.a53 import PLACE_BYTES, in_packet
from reelmill_server.media.libav.caption_search import CaptionSearch
from reelmill_server.media.libav.nal_units import parted, united

FIRST, SECOND = b"\xfc\x14\x20", b"\xfd\x14\x2c"


def units_of(encoder: str, options: str, captions: bytes) -> list[bytes]:
    """The units of one frame: parameter sets, captions, slices."""
    context: Any = av.CodecContext.create(encoder, "w")
    context.width, context.height, context.pix_fmt, context.time_base = 64, 64, "yuv420p", Fraction(1, 25)
    context.options = {f"{encoder[3:]}-params": f"{options}:keyint=1:repeat-headers=1:bframes=0", "preset": "ultrafast"}
    frame = av.VideoFrame(64, 64, "yuv420p")
    frame.pts = 0
    packets: list[Any] = [*context.encode(frame), *context.encode()]
    units = list(parted(bytes(packets[0]), 0))
    message = b"\xb5\0\x31GA94\x03" + bytes((0x40 | len(captions) // 3, 0xFF)) + captions + b"\xff"
    header, slices = (b"\x06", range(1, 6)) if encoder == "libx264" else (b"\x4e\x01", range(0, 64, 2))
    place = next(place for place, unit in enumerate(units) if (unit[0] & (0x1F if encoder == "libx264" else 0x7E)) in slices)
    return [*units[:place], header + b"\x04" + bytes((len(message),)) + message + b"\x80", *units[place:]]


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How far packets were searched."""
    searched: list[int] = []

    def noted(packet: av.Packet, end: int) -> bytes:
        searched.append(end)
        return in_packet(packet, end)

    monkeypatch.setattr(caption_search, "in_packet", noted)
    return searched


@pytest.mark.parametrize(("encoder", "codec"), [("libx264", "h264"), ("libx265", "hevc")])
@pytest.mark.parametrize("length", [0, 4], ids=["start codes", "lengths"])
def test_only_what_comes_before_the_slices_is_searched(encoder: str, codec: str, length: int, ends: list[int]) -> None:
    """Slices are most of a packet."""
    units = units_of(encoder, "log-level=none", FIRST)
    packet, extradata = av.Packet(united(units, length)), b""
    if length:
        extradata = _avcc(units) if codec == "h264" else b"\1" + bytes(20) + b"\xff\0"
    assert CaptionSearch(codec, extradata).of(packet) == FIRST
    assert ends[0] < packet.size


def _avcc(units: list[bytes]) -> bytes:
    """The description of H.264 in MP4, with its sequence parameter set alone."""
    sps = next(unit for unit in units if unit[0] & 0x1F == 7)
    return b"\1" + sps[1:4] + b"\xff\xe1" + len(sps).to_bytes(2) + sps + b"\0"


def test_of_two_fields_both_are_searched(ends: list[int]) -> None:
    """The captions of the second field lie behind the slices of the first."""
    units = [unit for captions in (FIRST, SECOND) for unit in units_of("libx264", "interlaced=1", captions)]
    assert CaptionSearch("h264", b"").of(av.Packet(united(units, 0))) == FIRST + SECOND
    assert ends == [PLACE_BYTES]


def test_what_says_nothing_of_fields_is_searched(ends: list[int]) -> None:
    """Without a parameter set nobody knows; MPEG-2 has fields, too."""
    packet = av.Packet(b"\0\0\1\x65" + bytes(30) + b"\0\0\1")
    assert CaptionSearch("h264", b"").of(packet) == CaptionSearch("mpeg2video", b"").of(packet) == b""
    assert CaptionSearch("h264", b"\0\0\1\x67\x64").of(packet) == b""
    assert ends == [PLACE_BYTES] * 3
