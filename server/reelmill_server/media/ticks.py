"""Times of packets as whole numbers of their time base.

They are as exact as rational numbers, and cost a tenth of the time where every packet of a film is asked.
"""

from fractions import Fraction
from math import lcm
from typing import Any


class Line:
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
        self._given: Any = None  # compared as it is: that is quicker
        self._base: Fraction | None = None
        self._seconds = 0.0  # of a tick
        self._ticks: tuple[int, int, int] | None = None  # first, last start, last end
        self._before: tuple[Fraction | None, Fraction, Fraction] = (None, Fraction(0), Fraction(0))  # of other bases

    def add(self, begin: int, duration: int, base: Any) -> None:
        """Adds a packet, in ticks of `base`, its time base."""
        if base is not self._given and base != self._given:
            self._before, self._ticks, self._given, self._base = self._now(), None, base, exact(base)
            self._seconds = float(base)
        end = begin + duration
        if self._ticks is None:
            self._ticks = (begin, begin, end)
            return
        first, last, reached = self._ticks
        if begin < first or begin > last or end > reached:
            self._ticks = (min(first, begin), max(last, begin), max(reached, end))

    def since(self, begin: int) -> int:
        """How many ticks after the last packet one begins at `begin`; 0 for the first one and those that go back."""
        return 0 if self._ticks is None else max(0, begin - self._ticks[1])

    @property
    def roughly(self) -> float:
        """`last`, of the present time base only, as near as a float is."""
        return self._ticks[2] * self._seconds if self._ticks else 0.0

    def reach(self, time: Fraction) -> None:
        """Adds something that is over at `time`."""
        first, last, reached = self._before
        self._before = (first, last, max(reached, time))

    @property
    def first(self) -> Fraction | None:
        """When the first packet begins."""
        return self._now()[0]

    @property
    def last_start(self) -> Fraction:
        """When the last one begins; not less than 0."""
        return self._now()[1]

    @property
    def last(self) -> Fraction:
        """When the last one ends; not less than 0."""
        return self._now()[2]

    def _now(self) -> tuple[Fraction | None, Fraction, Fraction]:
        ticks, base, before = self._ticks, self._base, self._before
        if ticks is None or base is None:
            return before
        begin = ticks[0] * base
        first = begin if before[0] is None else min(before[0], begin)
        return first, max(before[1], ticks[1] * base), max(before[2], ticks[2] * base)
