"""HDR10 metadata as libav keeps it, and what no stream can hold."""

import struct

import pytest
from av import VideoFrame

from reelmill_server.media.input import hdr_metadata
from reelmill_server.model.media_info import ContentLight, MasteringDisplay

_POINTS = (34_000, 16_000, 13_250, 34_500, 7_500, 3_000, 15_635, 16_450)


def _display(
    points: tuple[int, ...] = _POINTS, luminance: tuple[int, int] = (1, 10_000_000), flags: tuple[int, int] = (1, 1)
) -> bytes:
    """An AVMasteringDisplayMetadata, in the units of HEVC's SEI message."""
    numbers = [*((point, 50_000) for point in points), *((value, 10_000) for value in luminance)]
    return struct.pack("=22i", *(number for pair in numbers for number in pair), *flags)


def _read(monkeypatch: pytest.MonkeyPatch, display: bytes | None, light: bytes | None) -> tuple[object, object]:
    result = iter((display, light))
    monkeypatch.setattr(hdr_metadata, "frame_data", lambda frame, codec, kind: next(result))
    return hdr_metadata.hdr_metadata_of(VideoFrame(16, 16), "hevc")


def test_units_are_those_of_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chromaticities of 0.00002, luminance of 0.0001 cd/m²."""
    display, light = _read(monkeypatch, _display(), struct.pack("=2I", 1000, 400))
    assert display == MasteringDisplay((34_000, 16_000), (13_250, 34_500), (7_500, 3_000), (15_635, 16_450), 1, 10_000_000)
    assert light == ContentLight(1000, 400)


@pytest.mark.parametrize(
    "display",
    [
        _display(points=(1 << 16, *_POINTS[1:])),
        _display(points=(-1, *_POINTS[1:])),
        _display(luminance=(2, 1)),
        _display(luminance=(-1, 1)),
        _display(flags=(1, 0)),
        _display(flags=(0, 1)),
        _display()[:80],
    ],
    ids=["beyond 16 bits", "negative", "turned round", "negative luminance", "no luminance", "no primaries", "cut short"],
)
def test_what_no_stream_can_hold_is_none(monkeypatch: pytest.MonkeyPatch, display: bytes) -> None:
    """Encoders would write something else, and records could not hold it."""
    assert _read(monkeypatch, display, struct.pack("=2I", 1 << 16, 1)) == (None, None)
