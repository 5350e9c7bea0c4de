"""Copy streams without decoding."""

import operator
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer, OutputContainer

from reelmill_server.errors import UnsupportedFormat
from reelmill_server.media.input.account import BEYOND, DAMAGED, HIDDEN, PADDING, UNTIMED
from reelmill_server.media.input.bundle import Run
from reelmill_server.media.input.edited_end import in_several_parts
from reelmill_server.media.input.part import Part, Span
from reelmill_server.media.input.source import average_rate
from reelmill_server.media.libav.random_access import refreshes_gradually
from reelmill_server.media.libav.timestamps import exact
from reelmill_server.media.libav.trial_header import codec_delay, undelayed
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.track.base import Track, describe, template_of
from reelmill_server.media.track.hidden_frames import HiddenFrames
from reelmill_server.media.track.last_shown import LastShown
from reelmill_server.media.track.measures import PRIMING, Measures
from reelmill_server.media.track.one_header import headers_of
from reelmill_server.media.track.repeated_sets import RepeatedSets
from reelmill_server.model.plan import ImagePlan, StreamPlan, TargetPlan
from reelmill_server.plan.clock import OVERRUN, finer
from reelmill_server.plan.stream.container_fit import plain_rate

# AVI needs start codes, and one tick per frame: its muxer writes an empty packet for every tick without a frame.
_BITSTREAM_FILTERS = {("avi", "h264"): "h264_mp4toannexb"}
_TICKS_PER_PICTURE = ("avi", "mxf")
# These count audio in samples; where the source's ticks are coarser, several packets may fall on one.
_COUNTING_SAMPLES = ("mp4", "mov", "ipod")
_TAKING_EQUAL_TIMES = ("matroska", "webm", "flv")  # of their muxers in libav, those with AVFMT_TS_NONSTRICT
_SKIPPING = ("matroska", "webm")  # that have decoders skip audio at the beginning (CodecDelay)
_ALONE = ("flac", "alac", "pcm_", "wavpack", "tta")  # audio of which each packet is decoded without those before it
_SKIPPING_ALWAYS = ("opus",)  # its own header says how much
_PAUSE = Fraction(1, 2)
_FRAMES_AHEAD = 4  # so many frames are decoded before one that is shown before them, at least
# Only their edit lists can say that the first frames are to be decoded, but not shown.
_HIDING = ("mp4", "mov")


class CopyTrack(Track):
    """Copy the packets of a stream, moved so that every part begins where the one before it ended.

    `revealed` counts frames that the source's edit list hides and the output's container cannot hide.
    """

    def __init__(
        self,
        plan: StreamPlan,
        output: OutputContainer,
        sources: Sequence[InputContainer],
        keep_metadata: bool,
        midway: bool = False,
    ) -> None:
        """`midway`: nothing is copied that the source's front hides."""
        super().__init__(plan)
        origin: Any = template_of(plan, sources)
        if in_several_parts(origin):
            raise UnsupportedFormat(
                f"the source's edit list shows parts of its {plan.type} again or in another order, which a copy cannot: choose "
                "a codec other than copy"
            )
        self.items, self.revealed, self._gradual = f"packets of {plan.type}", 0, False
        self._is_audio = plan.type == "audio"
        skips = self._is_audio and output.format.name in _SKIPPING
        self._skipped = codec_delay(origin) if skips else Fraction(0)
        self._reveals = plan.type == "video" and output.format.name not in _HIDING
        self._measures: Measures | None = None  # known with the part's first packet
        self._previous: int | None = None
        self._reached: int | None = None  # the latest decode timestamp of the part
        self._last_decoded: int | None = None
        self._beyond: list[AnyPacket] = []
        self._early: AnyPacket | None = None  # the last packet before the span, until one in it comes
        self._held_audio: deque[AnyPacket] | None = deque() if plan.type == "audio" and len(plan.parts) > 1 else None
        self._last_shown = LastShown() if plan.type == "video" else None
        hides = midway and self._skipped > 0 and plan.codec not in _SKIPPING_ALWAYS
        with undelayed(origin, self._skipped) if hides else nullcontext(origin) as described:
            # opaque=True: PyAV otherwise looks for an encoder, and a codec with a decoder only could not be copied.
            self._stream: Any = output.add_stream_from_template(described, opaque=True)
        self._skipped = Fraction(0) if hides else self._skipped
        self._priming = self._skipped if plan.codec.startswith(_ALONE) else max(PRIMING, self._skipped)
        self._time_base = _ticks(origin, self._is_audio and output.format.name in _COUNTING_SAMPLES)
        # Where a container has coarse ticks, and takes several packets at one, short packets of audio would move ever later.
        self._least_step = 0 if self._is_audio and output.format.name in _TAKING_EQUAL_TIMES else 1
        if plan.codec_tag:
            self._stream.codec_context.codec_tag = plan.codec_tag
        if plan.type == "video" and origin.sample_aspect_ratio and self._stream.codec_context:
            self._stream.codec_context.sample_aspect_ratio = (
                origin.sample_aspect_ratio
            )  # for codecs whose bitstream does not carry it
        if plan.type == "video" and self._stream.codec_context and (rate := average_rate(origin)):
            rate *= self._clock.speed
            if output.format.name in _TICKS_PER_PICTURE:
                rate = plain_rate(rate)
                self._stream.time_base = 1 / rate
            self._stream.codec_context.framerate = rate
        name = _BITSTREAM_FILTERS.get((output.format.name, plan.codec))
        self._filter = av.BitStreamFilterContext(name, origin, self._stream) if name else None
        self._headers = headers_of(plan.codec, origin, output.format.name)
        self._sets = RepeatedSets.needed(plan.codec, origin, output)
        self._straight = plan.type in ("video", "audio") and self._filter is None
        describe(self._stream, plan, sources, keep_metadata)

    def begin(self, part: Part, span: Span) -> None:
        self._span, self._measures, self._previous, self._reached, self._early = span, None, None, None, None
        self._pause: int | None = None  # by how much what lies beyond the end is brought near to it
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
        if measures.over(decoded):
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
            self._beyond.append(item)
            return
        self.frames += 1
        # What an edit list hides behind its end was read for the frames that refer to it; before 0, it is in the span.
        self.written.ahead += not self._is_audio and pts >= max(measures.begin, 0) and item.is_discard
        # Containers with one timestamp per packet have no DTS for the first frames of a stream with B-frames.
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
        self.written.ahead += len(self._beyond)
        if self._beyond:
            self._bring_near()
        for packet in (*self._beyond, *self._needed(item, pts, begin)):
            yield from self._in_time(packet)
        self._beyond.clear()

    def _bring_near(self) -> None:
        """Show frames that are decoded for earlier ones soon after the end: behind a pause, the copy would last until there."""
        stop, first = self._measured.end, self._beyond[0]
        if stop is None or self.plan.type != "video":
            return
        pause = self._pause
        if pause is None:
            later = _stamp(first) - stop - _FRAMES_AHEAD * (first.duration or 0)
            pause = self._pause = later if later * exact(self._measured.base) > _PAUSE else 0
        for packet in self._beyond if pause else ():
            packet.pts = max(_stamp(packet) - pause, stop)

    def _needed(self, item: AnyPacket, pts: int, begin: int) -> Sequence[AnyPacket]:
        """Return the frames to be copied now that `item` comes: with it those hidden before it that it may need."""
        if self.plan.type != "video":
            return (item,)
        dropped = self._hidden.dropped
        packets = self._hidden.push(item, pts, begin)
        if dropped_now := self._hidden.dropped - dropped:
            self.written.dropped[HIDDEN] += dropped_now
        self.revealed += (len(packets) - (bool(packets) and pts >= begin)) * self._reveals
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
            while begin - _stamp(waiting[0]) > self._measured.overrun:
                ready[-1].append(waiting.popleft())
        if released := [packet for packets in ready for packet in packets]:
            self._all_moved(Run.of(run.index, run.base, released))
        return ready

    def _takes(self, run: Run) -> bool:
        """Return whether all of a run is taken, and nothing but moved: it lies in the span, and goes on where all before it
        ended.
        """
        if not (self._straight and run.timed and run.ordered) or self._beyond or self._midway:
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
        together = self._move_together(run) if run.timed and run.ordered else None
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

    def _move_together(self, run: Run) -> tuple[Sequence[int], Sequence[int]] | None:
        """Move a run if its packets stay in order; return when each is shown now and how long, if it was."""
        measures, step = self._measured, self._least_step
        shown, decoded = measures.place.all(run.pts), measures.place.all(run.dts)
        lengths = measures.length.all(run.durations)
        behind = self._last_decoded is None or decoded[0] >= self._last_decoded + step
        apart = not step or len({*decoded}) == len(decoded)
        if not (behind and apart and all(map(operator.ge, shown, decoded))):
            return None
        if shown is not run.pts or decoded is not run.dts or lengths is not run.durations:
            for packet, pts, dts, duration in zip(run.packets, shown, decoded, lengths, strict=True):
                packet.pts, packet.dts, packet.duration = pts, dts, duration
        if exact(run.base) != self._time_base:
            for packet in run.packets:
                packet.time_base = self._time_base
        self._previous, self._last_decoded = run.dts[-1], decoded[-1]
        return shown, lengths

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
            self._previous = self._reached = None
        self._measures = Measures.of(base, self._span, self._clock, self._time_base, self._priming)
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
        measures, dts = self._measures or self._measure(item.time_base), item.dts
        pts: Any = item.pts if item.pts is not None else dts
        decoded = pts if dts is None else dts
        duration: int | Fraction = item.duration or 0
        if not duration and self._previous is not None:
            # A last packet of no duration would be dropped by readers of MP4.
            duration = max(0, decoded - self._previous)
        self._previous = decoded
        if (
            self.plan.type == "data" and measures.stop is not None
        ):  # data packets may last long; a player would wait for their end
            duration = min(duration, measures.stop - pts)
        moved = measures.place.at(pts)
        if dts is not None:
            item.dts = self._after_the_last(measures.place.at(decoded))
        elif self._last_decoded is not None:  # the first frames of a further part: a muxer would take them for earlier ones
            item.dts = self._after_the_last(self._last_decoded)
        if item.dts is not None:
            moved = max(moved, item.dts)
        item.pts, item.duration = moved, measures.length.at(duration)
        item.time_base = self._time_base
        return item

    def _written(self, packet: AnyPacket) -> Sequence[AnyPacket]:
        packets = (packet,) if self._filter is None else self._filter.filter(packet)
        for ready in packets:
            ready.stream = self._stream
            self.written.count(ready, self._time_base if ready is packet else ready.time_base)
        return packets

    def _after_the_last(self, decoded: int) -> int:
        """Keep decode timestamps in order: at a seam, those of two sources, or of one that was joined, may cross."""
        if self._last_decoded is not None:
            decoded = max(decoded, self._last_decoded + self._least_step)
        self._last_decoded = decoded
        return decoded

    def _on_the_way(self) -> Iterator[AnyPacket]:
        """Yield the audio packet that is heard where the span begins, if none begins in it: it begins there then."""
        early, self._early, measures = self._early, None, self._measures
        if early is None or measures is None or self.frames or measures.over(measures.begin):
            return
        end = _stamp(early) + (early.duration or 0)
        if end > measures.begin:
            early.pts = early.dts = measures.begin
            early.duration = end - measures.begin
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
        self._beyond.clear()
        if self._last_shown is not None:
            for packet in self._last_shown.end(self._end_of(part, length, last)):
                yield from self._written(packet)
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
        if self.revealed and isinstance(target, TargetPlan):
            output = "segments" if target.package else target.container
            hidden = f"the source hides its first {self.revealed} frames, which {output} cannot"
            yield f"{target.field}: {hidden}: they are shown"
        if (damaged := self.written.dropped[DAMAGED]) and isinstance(target, TargetPlan):
            yield f"{target.field}: {damaged} of the source's {self.items} are damaged: left out"
        if self._gradual and isinstance(target, TargetPlan):
            begins = "copied video begins where frames are refreshed gradually"
            yield f"{target.field}: {begins}: players show the first ones incomplete or not at all: encode the video"
        # Hidden packets were copied as far as the source was read from its front: those are what players skip then.
        begin = min(self.written.extent.first or Fraction(0), Fraction(0))
        if self._skipped + begin > PRIMING and isinstance(target, TargetPlan):
            skipped = f"players skip the first {float(self._skipped):.2f} s of the copied audio, as the source's edit list says"
            yield f"{target.field}: {skipped}: encode the audio, or copy to mp4"


def _ticks(origin: Any, in_samples: bool) -> Fraction:
    """Return the time base for the packets of a copy of `origin`: one in which cuts can be told, or samples."""
    base, context = finer(exact(origin.time_base)), origin.codec_context
    rate = context.sample_rate if in_samples and context else 0
    return min(base, Fraction(1, rate)) if rate else base


def _stamp(packet: AnyPacket) -> int:
    stamp: Any = packet.pts if packet.pts is not None else packet.dts
    return int(stamp)


def _begin(packet: AnyPacket) -> Fraction:
    return Fraction(_stamp(packet) * packet.time_base)


def _length(packet: AnyPacket) -> Fraction:
    return (packet.duration or 0) * packet.time_base if packet.time_base else Fraction(0)
