"""Times of packets as whole numbers of their time base.

They are as exact as rational numbers, and cost a tenth of the time where every packet of a film is asked.
"""

from fractions import Fraction
from math import lcm
from typing import Any


class AffineMap:
    """The whole number nearest to `factor` * x + `shift`, halves up, for whole x: what `tracks.nearest` gives for it."""

    def __init__(self, factor: Fraction, shift: Fraction = Fraction(0)) -> None:
        common = lcm(factor.denominator, shift.denominator)
        self._factor = 2 * factor.numerator * (common // factor.denominator)
        self._shift = 2 * shift.numerator * (common // shift.denominator) + common
        self._divisor = 2 * common

    def at(self, number: int | Fraction) -> int:
        """The value for `number`, which may be a rational one, too."""
        return (self._factor * number + self._shift) // self._divisor


def exact(base: Any) -> Fraction:
    """A time base as libav's bindings have it: since PyAV 19 that is a type of their own, with less arithmetic."""
    return Fraction(base.numerator, base.denominator)


def first_tick(time: Fraction, base: Fraction) -> int:
    """The first tick of `base` (seconds) that is not before `time`: a tick is before `time` if it is smaller."""
    return -(-time // base)


class Extent:
    """How far many packets reach, seconds: when the first begins, when the last begins, and when the last ends.

    One thread adds, any may look. Their time base seldom changes.
    """

    def __init__(self) -> None:
        self._base: Any = None  # as packets have it
        self._ticks: tuple[Fraction, int, int, int] | None = None  # the time base; first, last start, last end
        self._before: tuple[Fraction | None, Fraction, Fraction] = (None, Fraction(0), Fraction(0))  # of other time bases

    def add(self, begin: int, duration: int, base: Any) -> None:
        """Adds a packet, in ticks of `base`, its time base."""
        end = begin + duration
        if self._ticks is None or base != self._base:
            self._before = (self.first, self.last_start, self.last)
            self._base, self._ticks = base, (exact(base), begin, begin, end)
            return
        tick, first, last, reached = self._ticks
        if begin < first or begin > last or end > reached:
            self._ticks = (tick, min(first, begin), max(last, begin), max(reached, end))

    def since(self, begin: int) -> int:
        """How many ticks after the last packet one begins at `begin`; 0 for the first one and those that go back."""
        return 0 if self._ticks is None else max(0, begin - self._ticks[2])

    def reach(self, time: Fraction) -> None:
        """Adds something that is over at `time`."""
        first, last, reached = self._before
        self._before = (first, last, max(reached, time))

    # What is now is taken before what was before: the other way round, what becomes old meanwhile would be in neither.

    @property
    def first(self) -> Fraction | None:
        """When the first packet begins."""
        now = self._ticks
        before = self._before[0]
        if now is None:
            return before
        begin = now[1] * now[0]
        return begin if before is None else min(before, begin)

    @property
    def last_start(self) -> Fraction:
        """When the last one begins; not less than 0."""
        now = self._ticks
        before = self._before[1]
        return before if now is None else max(before, now[2] * now[0])

    @property
    def last(self) -> Fraction:
        """When the last one ends; not less than 0."""
        now = self._ticks
        before = self._before[2]
        return before if now is None else max(before, now[3] * now[0])
