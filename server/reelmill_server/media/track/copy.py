"""Copy streams without decoding."""

from collections import deque
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from reelmill_server.errors import UnsupportedFormat
from reelmill_server.media.input.account import BEYOND, DAMAGED, HIDDEN, PADDING, UNTIMED
from reelmill_server.media.input.bundle import Run
from reelmill_server.media.input.part import Part, Span
from reelmill_server.media.libav.packets import shown_at
from reelmill_server.media.libav.random_access import refreshes_gradually
from reelmill_server.media.libav.timestamps import exact
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.track.base import Track
from reelmill_server.media.track.copied_stream import CopiedStream
from reelmill_server.media.track.hidden_frames import HiddenFrames
from reelmill_server.media.track.last_shown import LastShown
from reelmill_server.media.track.later_frames import LaterFrames
from reelmill_server.media.track.measures import PRIMING, Measures
from reelmill_server.media.track.output_times import OutputTimes
from reelmill_server.model.plan import ImagePlan, StreamPlan, TargetPlan
from reelmill_server.plan.clock import OVERRUN


class CopyTrack(Track):
    """Copy the packets of a stream, moved so that every part begins where the one before it ended.

    `revealed` counts frames that the source's edit list hides and the output's container cannot hide.
    """

    def __init__(self, plan: StreamPlan, copied: CopiedStream) -> None:
        super().__init__(plan)
        self.items, self.revealed, self._gradual = f"packets of {plan.type}", 0, False
        self._added, self._stream, self._time_base = copied, copied.stream, copied.time_base
        self._headers, self._sets = copied.headers, copied.sets
        self._is_audio = plan.type == "audio"
        self._measures: Measures | None = None  # known with the part's first packet
        self._times = OutputTimes(copied.time_base, copied.least_step, plan.type == "data")
        self._reached: int | None = None  # the latest decode timestamp of the part
        self._early: AnyPacket | None = None  # the last packet before the span, until one in it comes
        self._held_audio: deque[AnyPacket] | None = deque() if self._is_audio and len(plan.parts) > 1 else None
        self._last_shown = LastShown() if plan.type == "video" else None
        self._late = 0  # frames that are shown although they lie after the end of a part
        self._straight = plan.type in ("video", "audio") and copied.filter is None

    def begin(self, part: Part, span: Span) -> None:
        self._span, self._measures, self._reached, self._early = span, None, None, None
        self._times.begin()
        self._later = LaterFrames(self.plan.type == "video")
        self._midway = self.plan.type == "video" and not span.from_front  # until the first packet comes
        self._hidden = HiddenFrames()

    def shorten(self, part: Part, span: Span) -> None:
        self._span, self._measures = span, None

    def feed(self, part: Part, stream: int, item: AnyPacket) -> Iterator[AnyPacket]:
        item = item if self._sets is None else self._sets.of(item)
        pts, dts, base = item.pts, item.dts, part.bases.of(item, stream)
        if pts is None:
            pts = dts
        if pts is None or base is None:
            self._leave_out(item)
            return
        measures = self._measures
        if measures is None or (measures.base is not base and measures.base != base):
            measures = self._measure(base)
        decoded = pts if dts is None else dts
        # Matroska has no DTS for the first frames of a stream with B-frames: others may be shown before them.
        if (dts is not None or self._is_audio) and measures.over(decoded):
            part.close(self, stream)
            return
        if (pts < measures.begin or self._is_audio) and self._before(pts, item.duration or 0, measures):
            self._early = item if self._is_audio else None
            return
        self._early = None
        if self._headers is not None and not self._headers.check(item):
            self.written.dropped[DAMAGED] += 1
            return
        if measures.over(pts):
            self._later.add(item)
            return
        self.frames += 1
        # What an edit list hides behind its end was read for the frames that refer to it; before 0, it is in the span.
        self.written.ahead += not self._is_audio and pts >= max(measures.begin, 0) and item.is_discard
        if (dts is not None or self._is_audio) and self._goes_back(pts, decoded):
            self.unordered += 1
            return
        if self._midway:
            self._midway = False
            encoded_here = item.stream is None
            self._gradual = self._gradual or (not encoded_here and refreshes_gradually(item, self.plan.codec))
        yield from self._taken(item, pts, measures.begin)

    def _leave_out(self, item: AnyPacket) -> None:
        """Count a packet without a time. Raises UnsupportedFormat for one of video that is whole: later frames may need it."""
        if self.plan.type == "video" and self.frames and not item.is_corrupt:
            raise UnsupportedFormat(
                "some frames of the source's video have no time of their own, as several share a packet of the container: "
                "choose a codec other than copy"
            )
        self.written.dropped[UNTIMED] += 1

    def _taken(self, item: AnyPacket, pts: int, begin: int) -> Iterator[AnyPacket]:
        """Yield what is to be written now that `item` comes, a packet of the span, and with it all that it may need."""
        ahead = self._later.take(self._measured)
        self.written.ahead += len(ahead)
        for packet in (*ahead, *self._needed(item, pts, begin)):
            yield from self._in_time(packet)

    def _needed(self, item: AnyPacket, pts: int, begin: int) -> Sequence[AnyPacket]:
        """Return the frames to be copied now that `item` comes: with it those hidden before it that it may need."""
        if self.plan.type != "video":
            return (item,)
        dropped = self._hidden.dropped
        packets = self._hidden.push(item, pts, begin)
        if dropped_now := self._hidden.dropped - dropped:
            self.written.dropped[HIDDEN] += dropped_now
        hidden = len(packets) - (bool(packets) and pts >= begin)
        if hidden and self._clock.offset:
            raise UnsupportedFormat(
                "a source behind the first one hides frames that others need, which a joined copy would show among those "
                "before it: choose a codec other than copy"
            )
        self.revealed += hidden * self._added.reveals
        return packets

    def feed_all(self, part: Part, run: Run) -> Sequence[Sequence[AnyPacket]]:
        run = run if self._sets is None else self._sets.all_of(run)
        if not self._takes(run):
            return super().feed_all(part, run)
        self._early, self._reached = None, run.dts[-1]
        self.frames += len(run.packets)
        if self._held_audio is None:
            return self._all_moved(run)
        waiting, ready = self._held_audio, list[list[AnyPacket]]()
        for packet, begin in zip(run.packets, run.pts, strict=True):
            waiting.append(packet)
            ready.append([])
            while begin - shown_at(waiting[0]) > self._measured.overrun:
                ready[-1].append(waiting.popleft())
        if released := [packet for packets in ready for packet in packets]:
            self._all_moved(Run.of(run.index, run.base, released))
        return ready

    def _takes(self, run: Run) -> bool:
        """Return whether all of a run is taken, and nothing but moved: it lies in the span, and goes on where all before it
        ended.
        """
        if not (self._straight and run.timed and run.ordered) or self._later or self._midway:
            return False
        if self._reached is not None and run.dts[0] < self._reached:
            return False
        if self._last_shown is not None and any(packet.is_discard for packet in run.packets):
            return False
        if self._headers is not None and not all(map(self._headers.check, run.packets)):
            return False
        measures = self._measures or self._measure(run.base)
        # At a seam, the priming of an encoder is left out.
        at_seam = self._held_audio is not None and self._clock.offset and run.span[0] * exact(run.base) <= self._span.begin
        return measures.hold(run) and not at_seam

    def _all_moved(self, run: Run) -> Sequence[Sequence[AnyPacket]]:
        """Return what is to be written of a run that is taken, once each of its packets has come."""
        shown = self._last_shown
        together = self._times.move_together(run, self._measured) if run.timed and run.ordered else None
        if together is None:
            moved = [[self._moved(packet)] for packet in run.packets]
            known = moved if shown is None else [shown.push(packet) for (packet,) in moved]
            return [[written for packet in packets for written in self._written(packet)] for packets in known]
        stream = self._stream
        for packet in run.packets:
            packet.stream = stream
        if shown is None:
            self.written.add_all(run.size_bytes, *together, self._time_base)
            return [(packet,) for packet in run.packets]
        ready = shown.push_all(run.packets, *together)
        if packets := [packet for known in ready for packet in known]:
            self.written.count_all(packets, self._time_base)
        return ready

    def _before(self, begin: int, duration: int, measures: Measures) -> bool:
        """Return whether a packet lies before the span, or an edit list hides it and the audio after it does not need it."""
        if begin < measures.begin and not self._span.from_front:
            return True
        hidden = self._is_audio and begin + duration < measures.primed
        self.written.dropped[PADDING] += hidden
        return hidden

    @property
    def _measured(self) -> Measures:
        assert self._measures is not None
        return self._measures

    def _measure(self, base: Any) -> Measures:
        """Measure the part in ticks of `base`, the time base of its packets."""
        if self._measures is not None:  # the time base changed: these are in ticks of the old one
            self._reached = None
            self._times.begin()
        self._measures = Measures.of(base, self._span, self._clock, self._time_base, self._added.priming)
        return self._measures

    def _goes_back(self, shown: int, decoded: int) -> bool:
        """Return whether the packet lies before what was already copied, as at the seams of joined recordings.

        A frame that is decoded late but shown in time stays: only its decode timestamp is moved.
        """
        if self._reached is not None and decoded < self._reached:
            return self.plan.type != "video" or shown < self._reached
        self._reached = decoded
        return False

    def _in_time(self, item: AnyPacket) -> Sequence[AnyPacket]:
        """Hold back audio that may turn out to be longer than the video beside it.

        An encoder's priming belongs at the front of a file; at a seam it is dropped.
        """
        if self._last_shown is not None:
            return [written for known in self._last_shown.push(self._moved(item)) for written in self._written(known)]
        if self._held_audio is None:
            return self._written(self._moved(item))
        if self._clock.offset and _begin(item) + _length(item) / 2 <= self._span.begin:
            self.written.dropped[PADDING] += 1
            return ()
        self._held_audio.append(item)
        ready: list[AnyPacket] = []
        while _begin(item) - _begin(self._held_audio[0]) > 2 * OVERRUN:
            ready += self._written(self._moved(self._held_audio.popleft()))
        return ready

    def _moved(self, item: AnyPacket) -> AnyPacket:
        return self._times.move(item, self._measures or self._measure(item.time_base))

    def _written(self, packet: AnyPacket) -> Sequence[AnyPacket]:
        packets = (packet,) if self._added.filter is None else self._added.filter.filter(packet)
        for ready in packets:
            ready.stream = self._stream
            self.written.count(ready, self._time_base if ready is packet else ready.time_base)
        return packets

    def _on_the_way(self) -> Iterator[AnyPacket]:
        """Yield the audio packet that is heard where the span begins, if none begins in it: it begins there then. If the span
        lies in a gap, that is the last one before it, as no file has a stream without packets.
        """
        early, self._early, measures = self._early, None, self._measures
        if early is None or measures is None or self.frames or measures.over(measures.begin):
            return
        length = _own_length(early)
        end = shown_at(early) + length
        self.written.in_gap = end <= measures.begin
        early.pts = early.dts = measures.begin
        early.duration = length if self.written.in_gap else end - measures.begin
        self.frames += 1
        self.written.held += 1
        yield from self._in_time(early)

    def end(self, part: Part, length: Fraction, last: bool) -> Iterator[AnyPacket]:
        if last:
            yield from self._on_the_way()
        # Audio that begins after the end, or lies more after than before it, is left out.
        for packet in self._held_audio or ():
            if last or _begin(packet) + _length(packet) / 2 <= self._span.begin + length:
                yield from self._written(self._moved(packet))
            else:
                self.written.dropped[BEYOND] += 1
        if self._held_audio is not None:
            self._held_audio.clear()
        if self._last_shown is not None:
            until = self._end_of(part, length, last)
            for packet in self._last_shown.end(until):
                yield from self._written(packet)
            if last and not self._added.reveals and self.written.ahead > self._late:
                self.shown_until = until * self._time_base
            else:
                self._late = self.written.ahead
        self._clock.advance(length)

    def _end_of(self, part: Part, length: Fraction, last: bool) -> int:
        """Return until when the last frame of the part is shown, in ticks of the output: the next part, or the end of the span
        or the stream.
        """
        span, end = self._span, part.reached(next(own.stream for own in self.plan.parts if own.input == part.number))
        if last and end is not None:
            length = (end if span.end is None else min(end, span.end)) - span.begin
        return round(self._clock.at(length) / self._time_base)

    def warnings(self, target: TargetPlan | ImagePlan) -> Iterator[str]:
        yield from super().warnings(target)
        if self.written.in_gap:
            yield f"{target.field}: the audio has a gap in all of the span: only its last packet before that is in the copy"
        if self.revealed and isinstance(target, TargetPlan):
            output = "segments" if target.package else target.container
            hidden = f"the source hides its first {self.revealed} frames, which {output} cannot"
            yield f"{target.field}: {hidden}: they are shown"
        if self._late and isinstance(target, TargetPlan):
            late = f"{self._late} frames that are shown after the end are in the copy, as frames before it refer to them"
            yield f"{target.field}: {late}: players show them"
        if (damaged := self.written.dropped[DAMAGED]) and isinstance(target, TargetPlan):
            yield f"{target.field}: {damaged} of the source's {self.items} are damaged: left out"
        if self._gradual and isinstance(target, TargetPlan):
            begins = "copied video begins where frames are refreshed gradually"
            yield f"{target.field}: {begins}: players show the first ones incomplete or not at all: encode the video"
        # Hidden packets were copied as far as the source was read from its front: those are what players skip then.
        begin = min(self.written.extent.first or Fraction(0), Fraction(0))
        if self._added.skipped + begin > PRIMING and isinstance(target, TargetPlan):
            skipped = f"players skip the first {float(self._added.skipped):.2f} s of the copied audio"
            yield f"{target.field}: {skipped}, as the source's edit list says: encode the audio, or copy to mp4"


def _begin(packet: AnyPacket) -> Fraction:
    return Fraction(shown_at(packet) * packet.time_base)


def _own_length(packet: AnyPacket) -> int:
    """Return how long a packet of audio is, in its ticks; some demuxers add the gap behind it."""
    context: Any = packet.stream.codec_context if packet.stream is not None else None
    length = packet.duration or 0
    if context is None or not context.frame_size or not context.sample_rate:
        return length
    return min(length, round(Fraction(context.frame_size, context.sample_rate) / exact(packet.time_base)))


def _length(packet: AnyPacket) -> Fraction:
    return (packet.duration or 0) * packet.time_base if packet.time_base else Fraction(0)
