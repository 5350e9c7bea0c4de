"""Packet timestamps as integers of their time base: as exact as rational numbers, at a tenth of the cost per packet."""

import operator
from bisect import insort
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from math import lcm
from typing import Any

from reelmill_server.media.libav.codec_names import codec_name

_STEPS = 5  # so many of the last frames tell how long one lasts


class AffineMap:
    """The integer nearest to `factor` * x + `shift`, halves up, for integer x: the result of `track.base.nearest`, computed
    faster.
    """

    def __init__(self, factor: Fraction, shift: Fraction = Fraction(0)) -> None:
        common = lcm(factor.denominator, shift.denominator)
        self._factor = 2 * factor.numerator * (common // factor.denominator)
        self._shift = 2 * shift.numerator * (common // shift.denominator) + common
        self._divisor = 2 * common

    def at(self, number: int | Fraction) -> int:
        """Return the value for `number`, which may also be rational."""
        return (self._factor * number + self._shift) // self._divisor

    def all(self, numbers: Sequence[int]) -> Sequence[int]:
        """Return the values for `numbers`."""
        factor, shift, divisor = self._factor, self._shift, self._divisor
        # Half a step of rounding does not move integers.
        if factor == divisor and shift == divisor // 2:
            return numbers
        return [(factor * number + shift) // divisor for number in numbers]


class TimeBases:
    """The time bases of the packets of a container. Reading one from a packet makes a new rational number each time."""

    def __init__(self, container: Any) -> None:
        # Ogg may change that of a stream where another one follows it; Opus always has the same.
        ogg = container.streams if container.format.name == "ogg" else ()
        self._changing = {stream.index for stream in ogg if codec_name(stream.codec_context) != "opus"}
        self._known: dict[int, Any] = {}

    def of(self, packet: Any, stream: int) -> Any:
        """Return the time base of a packet of `stream`, as PyAV gives it; None: unknown."""
        base = self._known.get(stream)
        if base is None:
            base = packet.time_base or None
            if base is not None and stream not in self._changing:
                self._known[stream] = base
        return base


def exact(base: Any) -> Fraction:
    """Return a time base as a Fraction: since PyAV 19 it is a type with less arithmetic."""
    return Fraction(base.numerator, base.denominator)


def first_tick(time: Fraction, base: Fraction) -> int:
    """Return the first tick of `base` (seconds) that is not before `time`: a tick is before `time` if it is smaller."""
    return -(-time // base)


def shortest_step(begins: list[int], begin: int) -> int:
    """Return how long a frame lasts that does not say so: it begins at `begin`, and those before it at `begins`, ascending,
    which is kept up to date. Of the last distances the shortest counts, as a pause may be among them.
    """
    insort(begins, begin)
    del begins[:-_STEPS]
    return min((after - before for before, after in pairwise(begins)), default=0)


class Extent:
    """The extent of packets in time, seconds: when the first begins, when the last begins, and when the last ends.

    One thread adds, any thread may look. Built for a time base that seldom changes.
    """

    def __init__(self) -> None:
        self._base: Any = None  # the type is PyAV's own
        self._ticks: tuple[Fraction, int, int, int] | None = None  # the time base; first, last start, last end
        self._before: tuple[Fraction | None, Fraction | None, Fraction | None] = (None, None, None)  # of other time bases

    def add(self, begin: int, duration: int, base: Any) -> None:
        """Add a packet, in ticks of `base`, its time base."""
        end = begin + duration
        if self._ticks is None or (base is not self._base and base != self._base):
            if self._ticks is not None:
                self._before = (self.first, self.last_start, self.last)
            self._base, self._ticks = base, (exact(base), begin, begin, end)
            return
        tick, first, last, reached = self._ticks
        if begin < first or begin > last or end > reached:
            self._ticks = (tick, min(first, begin), max(last, begin), max(reached, end))

    def add_all(self, begins: Sequence[int], durations: Sequence[int], base: Any) -> None:
        """Add packets that have durations, in ticks of `base`, their time base."""
        self.add(begins[0], durations[0], base)
        assert self._ticks is not None
        tick, first, last, reached = self._ticks
        end = max(map(operator.add, begins, durations))
        self._ticks = (tick, min(first, *begins), max(last, *begins), max(reached, end))

    @property
    def end(self) -> Fraction | None:
        """Return when the last packet of the current time base ends, which may be before 0; None: there was none."""
        now = self._ticks
        return None if now is None else now[3] * now[0]

    def since(self, begin: int) -> int:
        """Return how many ticks after the last packet one begins at `begin`; 0 for the first one and those that go back."""
        return 0 if self._ticks is None else max(0, begin - self._ticks[2])

    def widened(self, before: Fraction, behind: Fraction) -> "Extent":
        """Return an extent that begins and ends so many seconds earlier and later."""
        result, first = Extent(), self.first
        result._before = None if first is None else first - before, self.last_start + behind, self.last + behind
        return result

    def reach(self, time: Fraction) -> None:
        """Add something that ends at `time`."""
        first, last, reached = self._before
        self._before = (first, last, time if reached is None else max(reached, time))

    # Take the current values before the older ones: in the other order, what moves between them meanwhile would be missed.

    @property
    def first(self) -> Fraction | None:
        """Return when the first packet begins."""
        now = self._ticks
        before = self._before[0]
        if now is None:
            return before
        begin = now[1] * now[0]
        return begin if before is None else min(before, begin)

    @property
    def last_start(self) -> Fraction:
        """Return when the last packet begins, which may be before 0; 0: there was none."""
        return self._latest_of(1)

    @property
    def last(self) -> Fraction:
        """Return when the last packet ends, which may be before 0; 0: there was none."""
        return self._latest_of(2)

    def _latest_of(self, which: int) -> Fraction:
        now, before = self._ticks, self._before
        times = before[which], None if now is None else now[which + 1] * now[0]
        return max((time for time in times if time is not None), default=Fraction(0))


class ShownExtent(Extent):
    """The extent of video packets: it ends with the frame that is shown last, which need not be decoded last. Where packets
    do not say how long they last, as in MPEG-TS, that one lasts as long as those before it.

    `by_decoding`: the demuxer's durations are distances of decode timestamps (MP4). With B-frames the one before a pause then
    belongs to another frame, so the shortest one counts, until `end_at` tells the end.
    """

    def __init__(self, by_decoding: bool = False) -> None:
        super().__init__()
        self._by_decoding = by_decoding
        self._reordered = False
        self._shortest = 0
        self._latest = 0, 0  # when the packet decoded last begins and ends
        self._shown: list[int] = []  # the last begins, ascending, since a packet came without a duration

    def add(self, begin: int, duration: int, base: Any) -> None:
        if self._ticks is None or (base is not self._base and base != self._base):
            super().add(begin, duration, base)
            self._shortest, self._shown = duration, [] if duration else [begin]
            return
        tick, first, last, reached = self._ticks
        self._reordered = self._reordered or begin < last
        self._shortest = min(self._shortest, duration) if self._shortest and duration else duration or self._shortest
        if begin >= last:
            last, reached = begin, begin + duration
        if not duration or self._shown:
            self._shortest = shortest_step(self._shown, begin)
        if (self._by_decoding and self._reordered) or self._shown:
            reached = last + self._shortest
        self._latest = begin, begin + duration
        self._ticks = (tick, min(first, begin), last, reached)

    def add_all(self, begins: Sequence[int], durations: Sequence[int], base: Any) -> None:
        self.add(begins[0], durations[0], base)
        if self._shown or len(begins) == 1:  # some packets do not say how long they last
            for begin, duration in zip(begins[1:], durations[1:], strict=True):
                self.add(begin, duration, base)
            return
        assert self._ticks is not None
        tick, first, last, reached = self._ticks
        latest = max(begins)
        self._reordered = self._reordered or begins != sorted(begins)
        self._shortest = min(self._shortest, *durations)
        if latest >= last:
            place = len(begins) - 1 - begins[::-1].index(latest)  # of equal ones, the one that came last
            last, reached = latest, latest + durations[place]
        if self._by_decoding and self._reordered:
            reached = last + self._shortest
        self._latest = begins[-1], begins[-1] + durations[-1]
        self._ticks = (tick, min(first, *begins), last, reached)

    def end_at(self, end: int, hides: bool = False) -> None:
        """End with the stream, which claims to end at `end` in ticks of its packets, of which all were added.

        The duration of the packet that is decoded last is no distance: if it is shown last, it ends the stream, too, unless the
        stream hides (`hides`) what is shown after its end.
        """
        if self._ticks is None:
            return
        *known, last, _ = self._ticks
        begin, over = self._latest
        ends = [time for time in (end, end if hides or begin < last else over) if time > last]
        if ends:
            self._ticks = (*known, last, max(ends))  # type: ignore[assignment]
