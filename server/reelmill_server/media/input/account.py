"""Count what demuxers and decoders give, before any track or clock touches it: an output must account for it.

The arithmetic is this module's own, so that a mistake in that of the tracks does not repeat here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from av import AudioFrame

from reelmill_server.media.input.part import TOLERANCE, Part, Span, own_parts
from reelmill_server.media.input.reader import claimed_ends
from reelmill_server.media.libav.timestamps import exact
from reelmill_server.model.plan import InputPlan, StreamPlan
from reelmill_server.model.request import AlignMode
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.plan.clock import OVERRUN

UNTIMED, UNORDERED = "without a time", "back in time"
PADDING, BEYOND, OVERLAP = "encoder padding", "beyond the end", "overlaps what came before"
"""Why something is left out on purpose."""
_UNCLEAR = Fraction(1, 10)  # packets and frames say to about this whether audio outlasts its video by more than OVERRUN


@dataclass(frozen=True)
class Given:
    """Totals of what was read of one stream, within the span that an output takes.

    `items` are frames or packets. `first` and `last_start` are when the first and the last of them begin, `last` when the last
    one ends, `length` how long all parts together last, each with its video or with audio that goes on for long, `covered` how
    much time they fill; in seconds from the beginning of the span. `doubt`: by how much `length` may be wrong, where it is not
    clear whether audio goes on for long. `overlap`: how much time of items lies over what came before them.
    """

    items: int
    first: Fraction
    last_start: Fraction
    last: Fraction
    length: Fraction
    covered: Fraction
    doubt: Fraction = Fraction(0)
    overlap: Fraction = Fraction(0)

    def also(self, other: "Given") -> "Given":
        """Return this and what was given in the same reading."""
        return replace(self + other, length=max(self.length, other.length), doubt=max(self.doubt, other.doubt))

    def __add__(self, other: "Given") -> "Given":
        return Given(
            self.items + other.items,
            min(self.first, other.first),
            max(self.last_start, other.last_start),
            max(self.last, other.last),
            self.length + other.length,
            self.covered + other.covered,
            self.doubt + other.doubt,
            self.overlap + other.overlap,
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

    def add(self, begin: int, end: int, items: int = 1) -> None:
        if not self.begun:
            self.begun, self.first, self.last_start, self.last, self.reached = True, begin, begin, begin, begin
        self.items += items
        self.overlap += max(0, min(self.reached, end) - begin - 1)  # a tick may be the rounding of lengths
        self.covered += max(0, end - max(begin, self.reached))
        self.reached = max(self.reached, end)
        self.first = min(self.first, begin)
        if begin >= self.last_start:
            # Not the latest end of all: a packet's duration may be another frame's, where frames are reordered.
            self.last = max(self.last, end) if begin == self.last_start else end
            self.last_start = begin

    def given(self, base: Fraction, begin: Fraction) -> Given:
        first, last_start, last = (tick * base - begin for tick in (self.first, self.last_start, self.last))
        return Given(self.items, first, last_start, last, last, self.covered * base, overlap=self.overlap * base)


class _Tally:
    """Count the items of one stream in one reading of an input: those in the span, and those from the keyframe before it on.

    Nothing counts that comes after an item at or beyond the end of the span.
    """

    def __init__(self, key: Fraction, begin: Fraction, end: Fraction | None, from_front: bool, zero: Fraction) -> None:
        """Times in seconds of the source; `from_front`: nothing lies before the span; `zero`: the output's 0."""
        self._zero = zero
        self.claimed: Fraction | None = None
        """Where video ends by its container, which knows better than a frame that is not decoded last; None: unknown."""
        self.latest: tuple[int, Any] = (0, None)
        """When the frame is shown that was decoded last, in ticks of a time base; None: unknown."""
        self.reached: tuple[int, Any] = (0, None)
        """Where the packets of video end, likewise: some hold a frame and give none of their own."""
        self.video = False
        self.key, self.begin, self._end, self._from_front = key, begin, end, from_front
        self.base: Any = None
        self._counts: dict[Fraction, tuple[_Count, _Count]] = {}
        self._over = False
        self._next: int | None = None
        self._before: int | None = None

    def _measure(self, base: Any) -> None:
        tick = exact(base)
        before = None if self._next is None else self._next * exact(self.base)
        self._before = None
        self._next = None if before is None else round(before / tick)
        self.base = base
        self._ticks = tuple(-(-(time - TOLERANCE) // tick) for time in (self.key, self.begin))
        self._stop = None if self._end is None else -(-(self._end - TOLERANCE) // tick)
        self._now = self._counts.setdefault(tick, (_Count(), _Count()))

    def add(self, shown: int | None, decoded: int | None, length: int, base: Any, divisible: bool = False) -> None:
        """Add an item, in ticks of `base`; one without a time follows the one before it, and a frame without a length lasts as
        long as the one before it. One that is `divisible` counts from where the span begins in it.
        """
        if base is not self.base and base != self.base:
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
        elif divisible and end > front:
            self._now[1].add(front, end)
            if front > key:
                self._now[0].add(max(begin, key), front, items=0)
        elif begin >= key or (divisible and end > key):
            self._now[0].add(max(begin, key), end)

    def given(self, from_key: bool) -> Given | None:
        """Return what is counted; `from_key`: from the keyframe on."""
        begin = min(self.key, self.begin) if from_key and not self._from_front else self._zero
        found: Given | None = None
        for tick, (lead, body) in self._counts.items():
            for count in (lead, body) if from_key else (body,):
                if count.begun:
                    given = count.given(tick, begin)
                    found = given if found is None else found.also(given)
        return found if found is None or not self.video else self._held(found, begin)

    def _held(self, given: Given, begin: Fraction) -> Given:
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


class Accountant:
    """Count what is given of every stream; packets and decoded frames of one stream apart."""

    def __init__(self, inputs: Sequence[InputPlan], window: Span | None = None) -> None:
        """`window`: the span of the source whose items count, in its seconds; None: that of each input."""
        self._inputs, self._window = inputs, window
        self._tallies: dict[tuple[Part, int, bool], _Tally] = {}
        self._kinds: dict[tuple[Part, int], str] = {}

    def packet(self, part: Part, packet: Any, decoded: bool = False) -> None:
        """Count a packet that is copied. `decoded`: its frames are counted instead."""
        index = packet.stream_index
        base = part.bases.of(packet, index)
        if base is None:
            return
        pts, dts = packet.pts, packet.dts
        shown, begun = (dts if pts is None else pts), (pts if dts is None else dts)
        tally = self._tally(part, index, decoded)
        if tally.video and shown is not None:
            tally.latest = shown, base
            if shown + (packet.duration or 0) > tally.reached[0]:
                tally.reached = shown + (packet.duration or 0), base
        if not decoded:
            tally.add(shown, begun, packet.duration or 0, base)

    def frame(self, part: Part, stream: int, frame: Any) -> None:
        """Count a decoded frame."""
        tally, audio = self._tally(part, stream, True), isinstance(frame, AudioFrame)
        base: Any = frame.time_base or tally.base
        if not base:
            return
        if audio:
            length = round(frame.samples * base.denominator / (frame.sample_rate * base.numerator))
        else:
            length = frame.duration or 0
        tally.add(frame.pts, None, length, base, audio)

    def _tally(self, part: Part, stream: int, decoded: bool) -> _Tally:
        tally = self._tallies.get((part, stream, decoded))
        if tally is None:
            tally = self._tallies[part, stream, decoded] = self._open(part)
            kind = self._kinds[part, stream] = part.source.streams[stream].type
            tally.video = kind == "video"
            if tally.video and (claim := claimed_ends(part.source).get(stream)):
                tally.claimed = claim[1] * exact(part.source.streams[stream].time_base)
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
                        length, doubt = self._length(part)
                        given = replace(given, length=length, doubt=doubt)
                    found = given if found is None else found if given is None else found + given
        return found

    def _length(self, wanted: Part) -> tuple[Fraction, Fraction]:
        """Return how long a part lasts, seconds, and by how much that may be wrong: with its video, or with audio that goes on
        for long.
        """
        ends: dict[str, Fraction] = {}
        for (part, stream, _), tally in self._tallies.items():
            given = tally.given(False) if part is wanted else None
            if given is not None:
                kind = self._kinds[part, stream]
                ends[kind] = max(ends.get(kind, Fraction(0)), given.last)
        video, audio = ends.get("video"), ends.get("audio")
        if video is None or audio is None:
            return max((end for end in (video, audio) if end is not None), default=Fraction(0)), Fraction(0)
        beyond = audio - video
        return (audio if beyond > OVERRUN else video), (abs(beyond) if abs(beyond - OVERRUN) < _UNCLEAR else Fraction(0))


def as_text(given: Given | None) -> list[str]:
    """Return it as it is kept in a chunk file."""
    return [] if given is None else [str(value) for value in vars(given).values()]


def from_text(texts: Sequence[str]) -> Given | None:
    """Return what `as_text` made."""
    if not texts:
        return None
    items, *times = texts
    return Given(int(items), *map(Fraction, times))
