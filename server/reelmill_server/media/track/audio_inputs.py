"""The audio of one input of an output, cut to its span: filtered by libav, or counted sample by sample."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from av import AudioFifo, AudioFormat, AudioFrame, AudioResampler

from reelmill_server.media.input.account import BEYOND, OVERLAP, UNTIMED
from reelmill_server.media.input.audio_blocks import AudioBlock
from reelmill_server.media.input.part import Part, Span
from reelmill_server.media.libav.filter_graph import Chain
from reelmill_server.media.track.base import Clock, StreamStats, nearest
from reelmill_server.model.plan import AudioOutput, PartPlan, StreamPlan
from reelmill_server.plan.clock import OVERRUN
from reelmill_server.plan.stream.audio import resampling

_LONGEST_GAP_SECONDS = 1


def silence(output: AudioOutput, samples: int) -> AudioFrame:
    """Return `samples` samples of silence as an encoder takes them."""
    return _silence(AudioFormat(output.sample_format), output.layout, output.sample_rate, samples)


def _silence(sample_format: AudioFormat, layout: str, rate: int, samples: int) -> AudioFrame:
    packed = AudioFrame(sample_format.packed.name, layout, samples)
    plane = packed.planes[0]
    plane.update((b"\x80" if sample_format.bytes == 1 else b"\0") * plane.buffer_size)
    packed.sample_rate, packed.time_base = rate, Fraction(1, rate)
    if not sample_format.is_planar:
        return packed
    # Not written to its planes: PyAV reads beyond them where a frame has eight channels or more.
    (frame,) = AudioResampler(sample_format.name, layout, rate).resample(packed)
    return frame


class AudioInput:
    """Concatenate and filter the parts of one audio stream.

    It yields frames as the encoder takes them, `pts` in samples of the output.
    """

    def __init__(self, plan: StreamPlan, parts: Sequence[PartPlan]) -> None:
        assert plan.audio
        self.parts = {part.input: part for part in parts}
        self._output, self._rate = plan.audio, plan.audio.sample_rate
        self._clock, self._span = Clock(plan), Span(Fraction(0), None)
        self._chain: Chain | None = None
        self._samples: int | None = None
        self._source_rate = 0
        self._sound_end: Fraction | None = None
        self._lead = Fraction(0)  # seconds of the span before its first sample
        self._is_heard = self._gave = False  # whether the source, and what is in the span, has anything
        self.muted = False
        """Whether the span has nothing of audio that is heard before or after it."""
        self.written = StreamStats()

    def begin(self, part: Part, span: Span) -> None:
        """Begin a part that takes `span`."""
        self._span, self._samples, self._sound_end = span, None, None
        self._is_heard = self._gave = False
        plan = self.parts[part.number]
        self._chain = None if plan.stream < 0 else Chain(lambda: (*self._cut(), *plan.filters))

    def shorten(self, part: Part, span: Span) -> None:
        """Let the part end earlier, with `span`."""
        self._span = span

    def _cut(self) -> tuple[str, ...]:
        """Return filters that make the span begin at 0 and cut it to the sample.

        aresample's async=1 fills gaps with silence and drops overlaps, so that samples and clock agree. A new chain
        continues where the last one ended, after `_samples` samples. The tempo filter leaves the first sample at its time: that
        is what it is to be at the speed of the output.
        """
        rate, span, speed = self._rate, self._span, self._clock.speed
        start = round(span.begin * rate)
        end = f":end_pts={round(span.end * rate)}" if span.end is not None else ""
        resumed, lead = "", self._lead
        if self._samples is not None:  # aresample takes first_pts in samples of the source's rate
            lead = self._samples * speed / rate
            resumed = f":first_pts={round((span.begin + lead) * self._source_rate)}"
        moved = start - round((lead / speed - lead) * rate)
        return (f"{resampling(rate)}{resumed}", f"atrim=start_pts={start}{end}", f"asetpts=PTS-({moved})")

    def feed(self, part: Part, item: AudioBlock) -> Iterator[AudioFrame]:
        """Yield the frames that are ready once `item` went in."""
        frame = item.frame
        if frame.pts is None or not frame.time_base or self._chain is None:
            self.written.dropped[UNTIMED] += frame.pts is None
            return
        time, self._is_heard = frame.pts * frame.time_base, True
        if self._span.after(time):
            part.close(self, self.parts[part.number].stream)
            return
        self._source_rate = frame.sample_rate
        lead = max(time - self._span.begin, Fraction(0))
        if self._sound_end is None:
            self._lead = lead
        elif self._sound_end <= self._span.begin:  # what fills the gap is in the span from its beginning
            self.written.silent += nearest(lead / self._clock.speed * self._rate)
        self.written.taken += item.count
        # A filter cuts to the sample, since a frame may begin before the span and end in it.
        for whole in self._without_gap(frame, time):
            yield from self._count(self._chain.push(whole))

    def _without_gap(self, frame: AudioFrame, time: Fraction) -> Iterator[AudioFrame]:
        """Yield `frame`, after silence if a long gap precedes it: the resampler would hold all of the gap in memory."""
        end = time if self._sound_end is None else self._sound_end
        while time - end > _LONGEST_GAP_SECONDS:
            yield _second_of_silence(frame, end)
            end += 1
        self._sound_end = time + Fraction(frame.samples, frame.sample_rate)
        yield frame

    def _count(self, frames: Iterator[Any]) -> Iterator[AudioFrame]:
        for frame in frames:
            self._samples, self._gave = None if frame.pts is None else frame.pts + frame.samples, True
            yield frame

    def reach(self, part: Part, seconds: Fraction) -> Iterator[AudioFrame]:
        """Generate audio up to `seconds` of the part; here, none."""
        return iter(())

    def end(self, part: Part, length: Fraction) -> Iterator[AudioFrame]:
        """Yield what the filters still hold and end the part, which lasts `length`."""
        if self._chain is not None:
            yield from self._count(self._chain.flush())
            self._chain = None
        if self._is_heard and not self._gave:
            yield from self._mute(length)
        self._clock.advance(length)

    def _mute(self, length: Fraction) -> Iterator[AudioFrame]:
        """Yield silence in place of a part that lies in a gap of its audio."""
        self.muted = True
        begin, until = 0, nearest(length / self._clock.speed * self._rate)
        while begin < until:
            frame = silence(self._output, min(until - begin, self._rate))
            frame.pts, frame.time_base = begin, Fraction(1, self._rate)
            begin += frame.samples
            self.written.silent += frame.samples
            yield frame


class ExactAudioInput(AudioInput):
    """Concatenate audio without gaps: every part has exactly the samples that its length calls for."""

    def __init__(self, plan: StreamPlan, parts: Sequence[PartPlan]) -> None:
        super().__init__(plan, parts)
        self._position = 0  # samples yielded so far
        self._first = 0  # the part's first sample
        self._fifo = AudioFifo()

    def begin(self, part: Part, span: Span) -> None:
        super().begin(part, span)
        self._first = self._sample(Fraction(0))

    def feed(self, part: Part, item: AudioBlock) -> Iterator[AudioFrame]:
        for frame in super().feed(part, item):
            yield from self._queue(frame)
        hold = round(2 * OVERRUN * self._rate)
        if self._fifo.samples > 2 * hold:
            yield from self._give(self._fifo.samples - hold)

    def reach(self, part: Part, seconds: Fraction) -> Iterator[AudioFrame]:
        until = self._sample(seconds)
        generated = self._chain is None or part.padded  # otherwise its audio may still come, after the video in the file
        if generated and self._position + self._fifo.samples < until:
            yield from self._give(self._fifo.samples)
            yield from self._fill_silence(until)

    def end(self, part: Part, length: Fraction) -> Iterator[AudioFrame]:
        until = self._sample((part.alone and self._own_length(part)) or length)
        for frame in super().end(part, length):
            yield from self._queue(frame)
        self.written.cut[BEYOND] += max(self._position + self._fifo.samples - until, 0)
        yield from self._give(min(self._fifo.samples, until - self._position))
        yield from self._fill_silence(until)
        self._fifo = AudioFifo()

    def _mute(self, length: Fraction) -> Iterator[AudioFrame]:
        return iter(())  # all that is missing is silent

    def _own_length(self, part: Part) -> Fraction:
        """Return how long the audio of a part lasts, seconds; 0: none was read."""
        stream, span = self.parts[part.number].stream, self._span
        if stream not in part.extents:
            return Fraction(0)
        end = part.end_of(stream)
        return (end if span.end is None else min(end, span.end)) - span.begin

    def _sample(self, seconds: Fraction) -> int:
        return nearest(self._clock.at(seconds) * self._rate)

    def _queue(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        """Queue a frame at its time: gaps before it become silence, overlaps are dropped."""
        begin = self._first + nearest((frame.pts or 0) * Fraction(frame.time_base or 0) * self._rate)
        waiting = self._position + self._fifo.samples
        if begin > waiting:
            yield from self._give(self._fifo.samples)
            yield from self._fill_silence(begin)
        frame.pts = None
        if begin < waiting:
            fresh = AudioFifo()
            fresh.write(frame)
            late = min(waiting - begin, frame.samples)
            self.written.cut[OVERLAP] += late
            fresh.read(late)
            rest = fresh.read(fresh.samples) if fresh.samples else None
            if rest is None:
                return
            frame = rest
            frame.pts = None
        self._fifo.write(frame)

    def _give(self, samples: int) -> Iterator[AudioFrame]:
        while samples > 0:
            frame: Any = self._fifo.read(min(samples, self._rate))
            samples -= frame.samples
            yield self._stamp(frame)

    def _fill_silence(self, until: int) -> Iterator[AudioFrame]:
        self.written.silent += max(until - self._position, 0)
        while self._position < until:
            yield self._stamp(silence(self._output, min(until - self._position, self._rate)))

    def _stamp(self, frame: AudioFrame) -> AudioFrame:
        frame.pts, frame.time_base = self._position, Fraction(1, self._rate)
        self._position += frame.samples
        return frame


def _second_of_silence(like: AudioFrame, time: Fraction) -> AudioFrame:
    """Return a second of silence at `time`, in the format of `like`."""
    frame = _silence(like.format, like.layout.name, like.sample_rate, like.sample_rate)
    frame.time_base = like.time_base
    frame.pts = round(time / like.time_base) if like.time_base else None
    return frame
