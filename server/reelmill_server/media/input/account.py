"""Count what demuxers and decoders give, before any track or clock touches it: an output must account for it.

The arithmetic is this module's own, so that a mistake in that of the tracks does not repeat here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from av import AudioFrame

from reelmill_server.media.input.part import TOLERANCE, Part, Span, own_parts
from reelmill_server.media.libav.timestamps import exact
from reelmill_server.model.plan import InputPlan, StreamPlan
from reelmill_server.model.request import AlignMode
from reelmill_server.model.time import MICROSECONDS

UNTIMED, UNORDERED = "without a time", "back in time"
PADDING, BEYOND, OVERLAP = "encoder padding", "beyond the end", "overlaps what came before"
"""Why something is left out on purpose."""


@dataclass(frozen=True)
class Given:
    """Totals of what was read of one stream, within the span that an output takes.

    `items` are frames or packets. `first` and `last_start` are when the first and the last of them begin, `last` when the last
    one ends, `length` how long all parts together last, each with the longest of its streams, `covered` how much time they
    fill; in seconds from the beginning of the span.
    """

    items: int
    first: Fraction
    last_start: Fraction
    last: Fraction
    length: Fraction
    covered: Fraction

    def also(self, other: "Given") -> "Given":
        """Return this and what was given in the same reading."""
        return replace(self + other, length=max(self.length, other.length))

    def __add__(self, other: "Given") -> "Given":
        return Given(
            self.items + other.items,
            min(self.first, other.first),
            max(self.last_start, other.last_start),
            max(self.last, other.last),
            self.length + other.length,
            self.covered + other.covered,
        )


@dataclass
class _Count:
    """Items in ticks of one time base."""

    items: int = 0
    first: int = 0
    last_start: int = 0
    last: int = 0
    covered: int = 0

    def add(self, begin: int, end: int) -> None:
        if not self.items:
            self.first = self.last_start = self.last = begin
        self.items += 1
        self.covered += max(0, end - max(begin, self.last))
        self.first = min(self.first, begin)
        if begin >= self.last_start:
            # Not the latest end of all: a packet's duration may be another frame's, where frames are reordered.
            self.last_start, self.last = begin, end

    def given(self, base: Fraction, begin: Fraction) -> Given:
        first, last_start, last = (tick * base - begin for tick in (self.first, self.last_start, self.last))
        return Given(self.items, first, last_start, last, last, self.covered * base)


class _Tally:
    """Count the items of one stream in one reading of an input: those in the span, and those from the keyframe before it on.

    Nothing counts that comes after an item at or beyond the end of the span.
    """

    def __init__(self, key: Fraction, begin: Fraction, end: Fraction | None, from_front: bool, zero: Fraction) -> None:
        """Times in seconds of the source; `from_front`: nothing lies before the span; `zero`: the output's 0."""
        self._zero = zero
        self.key, self.begin, self._end, self._from_front = key, begin, end, from_front
        self._base: Any = None
        self._counts: dict[Fraction, tuple[_Count, _Count]] = {}
        self._over = False
        self._next: int | None = None
        self._before: int | None = None

    def _measure(self, base: Any) -> None:
        tick = exact(base)
        before = None if self._next is None else self._next * exact(self._base)
        self._before = None
        self._next = None if before is None else round(before / tick)
        self._base = base
        self._ticks = tuple(-(-(time - TOLERANCE) // tick) for time in (self.key, self.begin))
        self._stop = None if self._end is None else -(-(self._end - TOLERANCE) // tick)
        self._now = self._counts.setdefault(tick, (_Count(), _Count()))

    def add(self, shown: int | None, decoded: int | None, length: int, base: Any) -> None:
        """Add an item, in ticks of `base`; one without a time follows the one before it, and a frame without a length lasts as
        long as the one before it.
        """
        if base is not self._base and base != self._base:
            self._measure(base)
        begin = self._next if shown is None else shown
        if begin is None:
            begin = self._ticks[1]
        if decoded is None and not length and self._before is not None:
            length = max(begin - self._before, 0)
        self._next, self._before = begin + length, begin
        stop = self._stop
        if stop is not None and (begin if decoded is None else decoded) >= stop:
            self._over = True
        if self._over or (stop is not None and begin >= stop):
            return
        end = begin + length if stop is None else min(begin + length, stop)
        key, front = self._ticks
        if begin >= front or self._from_front:
            self._now[1].add(begin, end)
        elif begin >= key:
            self._now[0].add(begin, end)

    def given(self, from_key: bool) -> Given | None:
        """Return what is counted; `from_key`: from the keyframe on."""
        begin = min(self.key, self.begin) if from_key and not self._from_front else self._zero
        found: Given | None = None
        for tick, (lead, body) in self._counts.items():
            for count in (lead, body) if from_key else (body,):
                if count.items:
                    given = count.given(tick, begin)
                    found = given if found is None else found.also(given)
        return found


class Accountant:
    """Count what is given of every stream; packets and decoded frames of one stream apart."""

    def __init__(self, inputs: Sequence[InputPlan], window: Span | None = None) -> None:
        """`window`: the span of the source whose items count, in its seconds; None: that of each input."""
        self._inputs, self._window = inputs, window
        self._tallies: dict[tuple[Part, int, bool], _Tally] = {}
        self._lasting: set[tuple[Part, int]] = set()  # streams of video and audio

    def packet(self, part: Part, packet: Any) -> None:
        """Count a packet that is copied."""
        index = packet.stream_index
        base = part.bases.of(packet, index)
        if base is None:
            return
        pts, dts = packet.pts, packet.dts
        shown, decoded = (dts if pts is None else pts), (pts if dts is None else dts)
        self._tally(part, index, False).add(shown, decoded, packet.duration or 0, base)

    def frame(self, part: Part, stream: int, frame: Any) -> None:
        """Count a decoded frame."""
        base = frame.time_base
        if not base:
            return
        if isinstance(frame, AudioFrame):
            length = round(frame.samples * base.denominator / (frame.sample_rate * base.numerator))
        else:
            length = frame.duration or 0
        self._tally(part, stream, True).add(frame.pts, None, length, base)

    def _tally(self, part: Part, stream: int, decoded: bool) -> _Tally:
        tally = self._tallies.get((part, stream, decoded))
        if tally is None:
            tally = self._tallies[part, stream, decoded] = self._open(part)
            if part.source.streams[stream].type in ("video", "audio"):
                self._lasting.add((part, stream))
        return tally

    def _open(self, part: Part) -> _Tally:
        plan = self._inputs[part.number]
        begin = Fraction(plan.origin_us + plan.start_us, MICROSECONDS)
        end = Fraction(plan.origin_us + plan.end_us, MICROSECONDS) if plan.end_us else None
        if window := self._window:
            until = end if window.end is None else window.end
            return _Tally(window.begin, window.begin, until, window.from_front and not plan.start_us, begin)
        return _Tally(part.key, begin, end, not plan.start_us, begin)

    def given(self, plan: StreamPlan, decoded: bool, from_key: bool) -> Given | None:
        """Return what was given for a stream of an output; None when nothing was, or when what counts depends on other inputs.

        `decoded`: frames, else packets; `from_key`: the output begins at the keyframe before the span.
        """
        if any(self._inputs[part.input].align is not AlignMode.NONE for part in plan.parts):
            return None
        found: Given | None = None
        for wanted in own_parts(plan):
            for (part, stream, kind), tally in self._tallies.items():
                if (part.number, stream, kind) == (wanted.input, wanted.stream, decoded):
                    given = tally.given(from_key)
                    if given is not None:
                        given = replace(given, length=max(given.length, self._length(part)))
                    found = given if found is None else found if given is None else found + given
        return found

    def _length(self, wanted: Part) -> Fraction:
        """Return how long a part lasts, seconds: with its audio or its video, whichever is longer."""
        lengths = [
            given.last
            for (part, stream, _), tally in self._tallies.items()
            if part is wanted and (part, stream) in self._lasting
            for given in (tally.given(False),)
            if given is not None
        ]
        return max(lengths, default=Fraction(0))


def as_text(given: Given | None) -> list[str]:
    """Return it as it is kept in a chunk file."""
    return [] if given is None else [str(value) for value in vars(given).values()]


def from_text(texts: Sequence[str]) -> Given | None:
    """Return what `as_text` made."""
    if not texts:
        return None
    items, *times = texts
    return Given(int(items), *map(Fraction, times))
