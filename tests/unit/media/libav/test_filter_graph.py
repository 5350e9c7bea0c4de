"""Chains of filters, where libav lacks what they need."""

from fractions import Fraction

import av
import pytest
from av import VideoFrame

from reelmill_server.errors import UnsupportedFormat
from reelmill_server.media.libav.filter_graph import Chain, _threads

YCGCO = 8


def test_colors_that_libav_does_not_convert_are_named() -> None:
    """As where YCgCo is to become an image."""
    frame = av.VideoFrame(16, 16, "yuv444p")
    frame.pts, frame.time_base, frame.colorspace = 0, Fraction(1, 25), YCGCO
    with pytest.raises(UnsupportedFormat, match="cannot convert frames of yuv444p, whose matrix is 8"):
        next(Chain(lambda: ("format=rgb24",)).push(frame))


@pytest.mark.parametrize(
    ("size", "filters", "threads"),
    [
        ((1920, 1080), ("scale=640:360:flags=bicubic", "setsar=1", "format=yuv420p"), 1),
        ((3840, 2160), ("scale=640:360",), 4),
        ((64, 48), ("bwdif=mode=send_frame",), 0),
    ],
)
def test_cheap_filters_of_small_frames_have_one_thread(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], filters: tuple[str, ...], threads: int
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert _threads(VideoFrame(*size, "gray"), filters) == threads
