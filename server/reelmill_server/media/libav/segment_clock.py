"""Segment boundaries: the frames at which a keyframe is forced."""

from fractions import Fraction

from reelmill_server.model.time import MICROSECONDS


class SegmentClock:
    """Find the first frame at or after each multiple of `segment_us` on the output's clock; 0: there are no segments.

    All renditions of one source with the same frame rate thus get their keyframes at the same times.
    """

    def __init__(self, segment_us: int) -> None:
        self._length = Fraction(segment_us, MICROSECONDS)
        self._next = Fraction(0)

    def begins(self, time: Fraction) -> bool:
        """Return whether a segment begins with the frame at `time`, seconds. Frames must be asked for in order."""
        if not self._length or time < self._next:
            return False
        self._next = (time // self._length + 1) * self._length
        return True
