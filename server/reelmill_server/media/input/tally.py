"""Count the items of one stream, and where they lie, against the span that is read of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from reelmill_server.media.input.bundle import Run
from reelmill_server.media.input.part import TOLERANCE
from reelmill_server.media.libav.timestamps import exact, shortest_step


@dataclass(frozen=True)
class StreamTotals:
    """Totals of what was read of one stream, within the span that an output takes.

    `items` are frames or packets. `first` and `last_start` are when the first and the last of them begin, `last` when the last
    one ends, `length` how long all parts together last, each with its video or with audio that goes on for long, `covered` how
    much time they fill; in seconds from the beginning of the span. `doubt`: by how much `length` may be wrong, where it is not
    clear whether audio goes on for long. `overlap`: how much time of items lies over what came before them. `longest`: how
    long the longest item is, whole.
    """

    items: int
    first: Fraction
    last_start: Fraction
    last: Fraction
    length: Fraction
    covered: Fraction
    doubt: Fraction = Fraction(0)
    overlap: Fraction = Fraction(0)
    longest: Fraction = Fraction(0)

    def also(self, other: "StreamTotals") -> "StreamTotals":
        """Return this and what was given in the same reading."""
        return replace(self + other, length=max(self.length, other.length), doubt=max(self.doubt, other.doubt))

    def __add__(self, other: "StreamTotals") -> "StreamTotals":
        return StreamTotals(
            self.items + other.items,
            min(self.first, other.first),
            max(self.last_start, other.last_start),
            max(self.last, other.last),
            self.length + other.length,
            self.covered + other.covered,
            self.doubt + other.doubt,
            self.overlap + other.overlap,
            max(self.longest, other.longest),
        )


@dataclass
class _Count:
    """Items in ticks of one time base."""

    begun: bool = False
    items: int = 0
    first: int = 0
    last_start: int = 0
    last: int = 0
    reached: int = 0
    covered: int = 0
    overlap: int = 0
    longest: int = 0

    def add(self, begin: int, end: int, items: int = 1) -> None:
        if not self.begun:
            self.begun, self.first, self.last_start, self.last, self.reached = True, begin, begin, begin, begin
        self.items += items
        reached = self.reached
        if begin >= reached:  # as most are
            self.covered += end - begin
            self.reached = end
        else:
            self.overlap += max(0, min(reached, end) - begin - 1)  # a tick may be the rounding of lengths
            self.covered += max(0, end - reached)
            self.reached = max(reached, end)
            self.first = min(self.first, begin)
        if begin >= self.last_start:
            # Of video not the latest end of all: a packet's duration may be another frame's, where frames are reordered.
            self.last = max(self.last, end) if begin == self.last_start else end
            self.last_start = begin

    def add_all(self, begins: Sequence[int], ends: Sequence[int]) -> None:
        """Add as many items."""
        self.add(begins[0], ends[0])
        rest, reached, overlap, covered = begins[1:], self.reached, 0, 0
        if rest == ends[:-1] and rest and rest[0] >= reached:  # one behind the other
            covered, reached = ends[-1] - ends[0], ends[-1]
        else:
            for begin, end in zip(rest, ends[1:], strict=True):
                if begin >= reached:
                    covered += end - begin
                    reached = end
                else:
                    overlap += max(0, min(reached, end) - begin - 1)
                    covered += max(0, end - reached)
                    reached = max(reached, end)
        self.items += len(rest)
        self.overlap, self.covered, self.reached = self.overlap + overlap, self.covered + covered, reached
        self.first = min(self.first, *begins)
        latest = max(begins)
        if latest >= self.last_start:
            last = max(end for begin, end in zip(begins, ends, strict=True) if begin == latest)
            self.last = max(self.last, last) if latest == self.last_start else last
            self.last_start = latest

    def given(self, base: Fraction, begin: Fraction, video: bool) -> StreamTotals:
        # Audio that overlaps ends with whichever item reaches farthest, as what is made of it does.
        end = self.last if video else self.reached
        first, last_start, last = (tick * base - begin for tick in (self.first, self.last_start, end))
        covered, overlap, longest = (ticks * base for ticks in (self.covered, self.overlap, self.longest))
        return StreamTotals(self.items, first, last_start, last, last, covered, overlap=overlap, longest=longest)


class Tally:
    """Count the items of one stream in one reading of an input: those in the span, and those from the keyframe before it on.

    Nothing counts that comes after an item at or beyond the end of the span.
    """

    def __init__(self, key: Fraction, begin: Fraction, end: Fraction | None, from_front: bool, zero: Fraction) -> None:
        """Times in seconds of the source; `from_front`: nothing lies before the span; `zero`: the output's 0."""
        self.zero = zero
        self.claimed: Fraction | None = None
        """Where video ends by its container, which knows better than a frame that is not decoded last; None: unknown."""
        self.latest: tuple[int, Any] = (0, None)
        """When the frame is shown that was decoded last, in ticks of a time base; None: unknown."""
        self.reached: tuple[int, Any] = (0, None)
        """Where the packets of video end, likewise: some hold a frame and give none of their own."""
        self.unseen = False
        """Whether nobody has looked at the first frames of the span yet."""
        self.video = False
        self.key, self.begin, self._end, self._from_front = key, begin, end, from_front
        self.base: Any = None
        self._counts: dict[Fraction, tuple[_Count, _Count]] = {}
        self._over = False
        self._next: int | None = None
        self._before: int | None = None
        self._begins: list[int] = []  # of the last frames, if they do not say how long they last

    def _measure(self, base: Any) -> None:
        tick = exact(base)
        before = None if self._next is None else self._next * exact(self.base)
        self._before = None
        self._begins = []
        self._next = None if before is None else round(before / tick)
        self.base = base
        self._ticks = tuple(-(-(time - TOLERANCE) // tick) for time in (self.key, self.begin))
        self._stop = None if self._end is None else -(-(self._end - TOLERANCE) // tick)
        self._now = self._counts.setdefault(tick, (_Count(), _Count()))

    def add(self, shown: int | None, decoded: int | None, length: int, base: Any, divisible: bool = False) -> None:
        """Add an item, in ticks of `base`; one without a time follows the one before it. One without a length lasts as long as
        that one, a frame as long as the shortest of those before it. One that is `divisible` counts from where the span begins
        in it.
        """
        if base is not self.base and base != self.base:
            self._measure(base)
        begin = self._next if shown is None else shown
        if begin is None:
            begin = self._ticks[1]
        if not length:
            length = self._usual(begin, decoded)
        self._next, self._before = begin + length, begin
        stop = self._stop
        if stop is not None and (begin if decoded is None else decoded) >= stop:
            self._over = True
        if self._over or (stop is not None and begin >= stop):
            return
        end = begin + length if stop is None else min(begin + length, stop)
        counted = self._now[1]
        counted.longest = max(counted.longest, length)
        key, front = self._ticks
        if begin >= front or self._from_front:
            counted.add(begin, end)
        elif divisible and end > front:
            self._now[1].add(front, end)
            if front > key:
                self._now[0].add(max(begin, key), front, items=0)
        elif begin >= key or (divisible and end > key):
            self._now[0].add(max(begin, key), end)

    def _usual(self, begin: int, decoded: int | None) -> int:
        """Return how long an item lasts that does not say so; 0: unknown, or packets of video, which may be reordered."""
        if self.video:
            return shortest_step(self._begins, begin) if decoded is None else 0
        return 0 if self._before is None else max(begin - self._before, 0)

    @property
    def began(self) -> bool:
        """Whether an item of the span was counted."""
        return any(body.begun for _, body in self._counts.values())

    def takes(self, run: Run) -> bool:
        """Return whether all of a run, which is `timed`, counts as the items before it."""
        if self.base is None:
            self._measure(run.base)
        if self._over or (run.base is not self.base and run.base != self.base):
            return False
        if self._stop is not None and max(run.span[1], *run.dts) >= self._stop:
            return False
        return self._from_front or run.span[0] >= self._ticks[1]

    def add_all(self, run: Run, ends: Sequence[int]) -> None:
        """Add the packets of a run that it `takes`, which end at `ends`."""
        if self._stop is not None:
            ends = [min(end, self._stop) for end in ends]
        self._now[1].add_all(run.pts, ends)
        self._now[1].longest = max(self._now[1].longest, *run.durations)
        self._next, self._before = run.pts[-1] + run.durations[-1], run.pts[-1]

    def given(self, from_key: bool) -> StreamTotals | None:
        """Return what is counted; `from_key`: from the keyframe on."""
        begin = min(self.key, self.begin) if from_key and not self._from_front else self.zero
        total: StreamTotals | None = None
        for tick, (lead, body) in self._counts.items():
            for count in (lead, body) if from_key else (body,):
                if count.begun:
                    given = count.given(tick, begin, self.video)
                    total = given if total is None else total.also(given)
        return total if total is None or not self.video else self._held(total, begin)

    def _held(self, given: StreamTotals, begin: Fraction) -> StreamTotals:
        """Return it with the end of the frame shown last: it stays on screen until the next one, or until its stream ends.

        Its own duration may be a distance of decode timestamps, unless nothing was decoded after it.
        """
        (shown, base), (reached, reached_base) = self.latest, self.reached
        end = self._end if self._over else self.claimed
        if end is None and reached_base is not None:
            end = reached * exact(reached_base)
        if end is None:
            return given
        if not self._over and base is not None and shown * exact(base) - begin >= given.last_start:
            end = max(end, given.last + begin)
        last = (end if self._end is None else min(end, self._end)) - begin
        return replace(given, last=last, length=last) if last > given.last_start else given
