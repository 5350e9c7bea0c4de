"""Video frames whose source leaves their time out."""

from fractions import Fraction

from av import VideoFrame
from hypothesis import given
from hypothesis import strategies as st

from reelmill_server.media.input.frame_times import RepeatedTimes

_LENGTH = 3600


def frame(pts: int | None) -> VideoFrame:
    """A frame of a 25th of a second."""
    video_frame = VideoFrame(16, 16, "gray")
    video_frame.pts, video_frame.time_base, video_frame.duration = pts, Fraction(1, 90000), _LENGTH
    return video_frame


@given(st.lists(st.booleans(), min_size=1, max_size=12), st.integers(-(10**6), 10**9))
def test_a_frame_without_a_time_follows_the_one_before(timed: list[bool], begin: int) -> None:
    """As in MPEG-PS, where a PES packet has one time for several frames; nothing is known before the first one."""
    frames = [frame(begin + number * _LENGTH if known else None) for number, known in enumerate(timed)]
    times = RepeatedTimes()
    for one in frames:
        times.separate([one])
    first = timed.index(True) if True in timed else len(timed)
    assert [one.pts for one in frames] == [None] * first + [begin + n * _LENGTH for n in range(first, len(timed))]
