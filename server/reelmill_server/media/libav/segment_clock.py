"""Where segments begin: the pictures on which a key frame is forced."""

from fractions import Fraction

from reelmill_server.model.time import MICROSECONDS


class SegmentClock:
    """Finds the first picture at or after each multiple of `segment_us` on the output's clock; 0: there are no borders.

    All renditions of one source with one picture rate therefore get their key frames at the same times.
    """

    def __init__(self, segment_us: int) -> None:
        self._length = Fraction(segment_us, MICROSECONDS)
        self._next = Fraction(0)

    def begins(self, time: Fraction) -> bool:
        """Whether a segment begins with the picture at `time`, seconds; pictures are asked for in their order."""
        if not self._length or time < self._next:
            return False
        self._next = (time // self._length + 1) * self._length
        return True
