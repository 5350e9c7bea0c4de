"""The frame rate of joined sources whose own varies."""

from fractions import Fraction

import pytest

from reelmill_server.model.media_info import VideoStreamInfo
from reelmill_server.plan.stream.joining import _steady_rate
from reelmill_server.plan.stream.video import burst_rate


@pytest.mark.parametrize(
    ("average", "told", "expected"),
    [
        ("25", "25", "25"),
        ("25/6", "25", "25"),  # with pauses
        ("10/3", "100", "60"),  # a GIF, whose ticks are all that is known
        ("11", "1000", "60"),
        ("2997/100", "1000", "2997/100"),  # times that are rounded
        ("120", "120", "120"),
        ("0", "1000", "0"),
    ],
)
def test_the_rate_of_the_bursts_is_kept(average: str, told: str, expected: str) -> None:
    """Unless all that is told is a tick: then as many frames as are usual at most, or the average if that is a usual rate."""
    stream = VideoStreamInfo(0, "h264", frame_rate=Fraction(told), average_rate=Fraction(average))
    assert burst_rate(stream) == Fraction(expected)


@pytest.mark.parametrize(
    ("average", "told", "expected"), [("0", "5", "5"), ("5", "0", "5"), ("5", "5", "5"), ("1/2", "5", "25"), ("0", "0", "0")]
)
def test_slow_video_of_which_one_rate_is_known_does_not_vary(average: str, told: str, expected: str) -> None:
    """MPEG-TS and ASF need not tell an average."""
    stream = VideoStreamInfo(0, "h264", frame_rate=Fraction(told), average_rate=Fraction(average))
    assert _steady_rate(stream) == Fraction(expected)
