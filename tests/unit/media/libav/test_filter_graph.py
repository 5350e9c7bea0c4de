"""Chains of filters, where libav lacks what they need."""

from fractions import Fraction

import av
import pytest

from reelmill_server.errors import UnsupportedFormat
from reelmill_server.media.libav.filter_graph import Chain

YCGCO = 8


def test_colors_that_libav_does_not_convert_are_named() -> None:
    """As where YCgCo is to become an image."""
    frame = av.VideoFrame(16, 16, "yuv444p")
    frame.pts, frame.time_base, frame.colorspace = 0, Fraction(1, 25), YCGCO
    with pytest.raises(UnsupportedFormat, match="cannot convert frames of yuv444p, whose matrix is 8"):
        next(Chain(lambda: ("format=rgb24",)).push(frame))
