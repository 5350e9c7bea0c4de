"""Count what demuxers and decoders give, before any track or clock touches it: an output must account for it.

The arithmetic is this module's own, so that a mistake in that of the tracks does not repeat here.
"""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from operator import itemgetter
from typing import Any

from av import AudioFrame

from reelmill_server.media.input.bundle import Run
from reelmill_server.media.input.letters import TEXT_CODECS, Letters, text_in
from reelmill_server.media.input.part import Part, Span, own_parts
from reelmill_server.media.input.reader import claimed_ends
from reelmill_server.media.input.sights import Sight, Sights
from reelmill_server.media.input.tally import StreamTotals, Tally
from reelmill_server.media.libav.codec_names import canonical_name
from reelmill_server.media.libav.timestamps import exact
from reelmill_server.model.plan import InputPlan, StreamPlan
from reelmill_server.model.request import AlignMode
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.plan.clock import OVERRUN

UNTIMED, UNORDERED = "without a time", "back in time"
PADDING, BEYOND, OVERLAP = "encoder padding", "beyond the end", "overlaps what came before"
DAMAGED = "damaged, and no frame at all"
HIDDEN = "hidden by the source, and needed by no frame that is shown"
"""Why something is left out on purpose."""
_UNCLEAR = Fraction(1, 10)  # packets and frames say to about this whether audio outlasts its video by more than OVERRUN


_EARLIER = -(1 << 62)
"""Ticks: when a frame was decoded of which the container does not say it. Later ones may be shown before it."""


class Accountant:
    """Count what is given of every stream; packets and decoded frames of one stream apart."""

    def __init__(self, inputs: Sequence[InputPlan], window: Span | None = None) -> None:
        """`window`: the span of the source whose items count, in its seconds; None: that of each input."""
        self._inputs, self._window = inputs, window
        self._tallies: dict[tuple[Part, int, bool], Tally] = {}
        self._kinds: dict[tuple[Part, int], str] = {}
        self._sights = Sights()
        self._letters: dict[tuple[Part, int], tuple[str, Letters]] = {}

    def packet(self, part: Part, packet: Any, decoded: bool = False) -> None:
        """Count a packet that is copied. `decoded`: its frames are counted instead."""
        index = packet.stream_index
        base = part.bases.of(packet, index)
        if base is None:
            return
        pts, dts = packet.pts, packet.dts
        tally = self._tally(part, index, decoded)
        shown, begun = (dts if pts is None else pts), (pts if dts is None else dts)
        if tally.video and dts is None and pts is not None:
            begun = _EARLIER
        if tally.video and shown is not None:
            tally.latest = shown, base
            if shown + (packet.duration or 0) > tally.reached[0]:
                tally.reached = shown + (packet.duration or 0), base
        if (part, index) in self._letters:
            self._read(part, index, packet)
        if not decoded and not (_beyond(tally, shown, base) and packet.is_discard):
            tally.add(shown, begun, packet.duration or 0, base)

    def run(self, part: Part, run: Run) -> None:
        """Count packets that are copied."""
        tally = self._tally(part, run.index, False)
        if not run.timed or _beyond(tally, run.span[1], run.base) or not tally.takes(run):
            for packet in run.packets:
                self.packet(part, packet)
            return
        for packet in run.packets if (part, run.index) in self._letters else ():
            self._read(part, run.index, packet)
        ends = [begin + length for begin, length in zip(run.pts, run.durations, strict=True)]
        if tally.video:
            tally.latest = run.pts[-1], run.base
            tally.reached = max(tally.reached, (max(ends), run.base), key=itemgetter(0))
        tally.add_all(run, ends)

    def _read(self, part: Part, stream: int, packet: Any) -> None:
        codec, letters = self._letters[part, stream]
        letters.add(text_in(bytes(packet), codec))

    def frame(self, part: Part, stream: int, frame: Any, base: Any = None) -> None:
        """Count a decoded frame. `base`: its time base, where that is known already."""
        tally, audio = self._tally(part, stream, True), isinstance(frame, AudioFrame)
        if base is None:
            base = frame.time_base or tally.base
            if not base:
                return
        if audio:
            length = round(frame.samples * base.denominator / (frame.sample_rate * base.numerator))
        else:
            length = frame.duration or 0
        tally.add(frame.pts, None, length, base, audio)
        if tally.unseen and tally.began and frame.pts is not None and frame.time_base:
            tally.unseen = self._sights.take(part, stream, frame, tally.zero)

    def _tally(self, part: Part, stream: int, decoded: bool) -> Tally:
        tally = self._tallies.get((part, stream, decoded))
        if tally is None:
            tally = self._tallies[part, stream, decoded] = self._open(part)
            kind = self._kinds[part, stream] = part.source.streams[stream].type
            tally.video = kind == "video"
            codec = canonical_name(part.source.streams[stream].codec_context) if kind == "subtitle" else ""
            # Cues that begin before the span are read by themselves.
            if codec in TEXT_CODECS and not self._inputs[part.number].start_us:
                self._letters[part, stream] = codec, Letters()
            tally.unseen = decoded and self._window is None
            if tally.video and (claim := claimed_ends(part.source).get(stream)):
                tally.claimed = claim[1] * exact(part.source.streams[stream].time_base)
        return tally

    def _open(self, part: Part) -> Tally:
        plan = self._inputs[part.number]
        begin = Fraction(plan.origin_us + plan.start_us, MICROSECONDS)
        end = Fraction(plan.origin_us + plan.end_us, MICROSECONDS) if plan.end_us else None
        if window := self._window:
            until = end if window.end is None else window.end
            return Tally(window.begin, window.begin, until, window.from_front and not plan.start_us, begin)
        return Tally(part.key, begin, end, not plan.start_us, begin)

    def letters(self, plan: StreamPlan) -> Letters | None:
        """Return the letters of the only part of a subtitle stream; None: unknown."""
        wanted = [(part.input, part.stream) for part in own_parts(plan)]
        found = [letters for (part, stream), (_, letters) in self._letters.items() if wanted == [(part.number, stream)]]
        return found[0] if found and len(plan.parts) == 1 else None

    def sight(self, plan: StreamPlan) -> Sight | None:
        """Return how the first part of a stream of an output looks or sounds where it begins; None: nobody looked."""
        first = own_parts(plan)[:1]
        return self._sights.of(first[0].input, first[0].stream) if first and first[0] is plan.parts[0] else None

    def given(self, plan: StreamPlan, decoded: bool, from_key: bool) -> StreamTotals | None:
        """Return what was given for a stream of an output; None when nothing was, or when what counts depends on other inputs.

        `decoded`: frames, else packets; `from_key`: the output begins at the keyframe before the span.
        """
        if any(self._inputs[part.input].align is not AlignMode.NONE for part in plan.parts):
            return None
        total: StreamTotals | None = None
        lengths = doubts = Fraction(0)  # also of parts in which this stream has nothing
        for wanted in own_parts(plan):
            for (part, stream, kind), tally in self._tallies.items():
                if (part.number, stream, kind) == (wanted.input, wanted.stream, decoded):
                    given = tally.given(from_key)
                    length, doubt = self._length(part)
                    lengths, doubts = lengths + length, doubts + doubt
                    total = given if total is None else total if given is None else total + given
        return total and replace(total, length=lengths, doubt=doubts)

    def _length(self, wanted: Part) -> tuple[Fraction, Fraction]:
        """Return how long a part lasts, seconds, and by how much that may be wrong: with its video, or with audio that goes on
        for long.
        """
        ends: dict[str, Fraction] = {}
        for (part, stream, _), tally in self._tallies.items():
            given = tally.given(False) if part is wanted else None
            if given is not None:
                kind = self._kinds[part, stream]
                ends[kind] = max(ends.get(kind, given.last), given.last)
        video, audio = ends.get("video"), ends.get("audio")
        if video is None or audio is None:
            return max((end for end in (video, audio) if end is not None), default=Fraction(0)), Fraction(0)
        beyond = audio - video
        return (audio if beyond > OVERRUN else video), (abs(beyond) if abs(beyond - OVERRUN) < _UNCLEAR else Fraction(0))


def _beyond(tally: Tally, shown: int | None, base: Any) -> bool:
    """Return whether a packet is shown after the end that its stream claims: hidden ones are read for those before it."""
    return tally.claimed is not None and shown is not None and shown * exact(base) >= tally.claimed


def as_text(given: StreamTotals | None) -> list[str]:
    """Return it as it is kept in a chunk file."""
    return [] if given is None else [str(value) for value in vars(given).values()]


def from_text(texts: Sequence[str]) -> StreamTotals | None:
    """Return what `as_text` made."""
    if not texts:
        return None
    items, *times = texts
    return StreamTotals(int(items), *map(Fraction, times))
