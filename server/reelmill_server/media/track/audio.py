"""Sound that is encoded."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import av
from av import AudioFifo, AudioFrame
from av.container import InputContainer, OutputContainer
from av.filter import Graph

from reelmill_server.errors import MediaLimitExceeded
from reelmill_server.media.input.part import Part, Span
from reelmill_server.media.libav.encoder import EncoderDown, open_encoder
from reelmill_server.media.libav.filter_graph import Chain
from reelmill_server.media.libav.log import error_text
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.track.base import Clock, Track, describe, nearest
from reelmill_server.model.plan import AudioOutput, PartPlan, StreamPlan
from reelmill_server.plan.clock import OVERRUN
from reelmill_server.plan.stream.audio import mixing, mixing_gain, resampling

_LONGEST_GAP_SECONDS = 1
_FRAME_SAMPLES = 1024  # of sound, as limits count


def silence(output: AudioOutput, samples: int) -> AudioFrame:
    """So many samples of silence as an encoder takes them."""
    frame = AudioFrame(output.sample_format, output.layout, samples)
    _fill_with_silence(frame)
    frame.sample_rate, frame.time_base = output.sample_rate, Fraction(1, output.sample_rate)
    return frame


def _fill_with_silence(frame: AudioFrame) -> None:
    quiet = b"\x80" if frame.format.name in ("u8", "u8p") else b"\0"
    for plane in frame.planes:
        plane.update(quiet * plane.buffer_size)


class AudioInput:
    """The parts of one sound behind each other, filtered: frames as the encoder takes them, `pts` in samples of the output."""

    def __init__(self, plan: StreamPlan, parts: Sequence[PartPlan]) -> None:
        assert plan.audio
        self.parts = {part.input: part for part in parts}
        self._output, self._rate = plan.audio, plan.audio.sample_rate
        self._clock, self._span = Clock(plan), Span(Fraction(0), None)
        self._chain: Chain | None = None
        self._heard: int | None = None
        self._source_rate = 0
        self._sound_end: Fraction | None = None

    def begin(self, part: Part, span: Span) -> None:
        """As `Track.begin`."""
        self._span, self._heard, self._sound_end = span, None, None
        plan = self.parts[part.number]
        self._chain = None if plan.stream < 0 else Chain(lambda: (*self._cut(), *plan.filters))

    def shorten(self, part: Part, span: Span) -> None:
        """As `Track.shorten`."""
        self._span = span

    def _cut(self) -> tuple[str, ...]:
        """Filters that make the span begin at 0 and cut it to the sample.

        async=1 fills gaps in the sound with silence and drops overlaps, so that samples and clock agree; a new chain goes on
        where the last one ended, after `_heard` samples.
        """
        rate, span = self._rate, self._span
        start = round(span.begin * rate)
        end = f":end_pts={round(span.end * rate)}" if span.end is not None else ""
        resumed = ""
        if self._heard is not None:  # libav counts the first sample at the source's rate
            begin = span.begin + self._heard * self._clock.speed / rate
            resumed = f":first_pts={round(begin * self._source_rate)}"
        return (f"{resampling(rate)}{resumed}", f"atrim=start_pts={start}{end}", f"asetpts=PTS-({start})")

    def feed(self, part: Part, item: AudioFrame) -> Iterator[AudioFrame]:
        """Gives the frames that come out once `item` went in."""
        if item.pts is None or not item.time_base or self._chain is None:
            return
        time = item.pts * item.time_base
        if self._span.after(time):
            part.close(self, self.parts[part.number].stream)
            return
        self._source_rate = item.sample_rate
        # Sound is cut to the sample by a filter: a frame may begin before the span and end in it.
        for whole in self._without_gap(item, time):
            yield from self._counted(self._chain.push(whole))

    def _without_gap(self, item: AudioFrame, time: Fraction) -> Iterator[AudioFrame]:
        """`item`, after silence if there is a long gap before it: the resampler would hold all of the gap in memory."""
        end = time if self._sound_end is None else self._sound_end
        while time - end > _LONGEST_GAP_SECONDS:
            yield _second_of_silence(item, end)
            end += 1
        self._sound_end = time + Fraction(item.samples, item.sample_rate)
        yield item

    def _counted(self, frames: Iterator[Any]) -> Iterator[AudioFrame]:
        for frame in frames:
            self._heard = None if frame.pts is None else frame.pts + frame.samples
            yield frame

    def reach(self, part: Part, seconds: Fraction) -> Iterator[AudioFrame]:
        """As `Track.reach`: nothing is made."""
        return iter(())

    def end(self, length: Fraction) -> Iterator[AudioFrame]:
        """Gives what the filters still hold; the part is over."""
        if self._chain is not None:
            yield from self._counted(self._chain.flush())
            self._chain = None
        self._clock.advance(length)


class ExactAudioInput(AudioInput):
    """A line without gaps in which every part has exactly the samples that its length asks for."""

    def __init__(self, plan: StreamPlan, parts: Sequence[PartPlan]) -> None:
        super().__init__(plan, parts)
        self._position = 0  # samples given so far
        self._first = 0  # the part's first sample
        self._fifo = AudioFifo()

    def begin(self, part: Part, span: Span) -> None:
        """As `Track.begin`."""
        super().begin(part, span)
        self._first = self._sample(Fraction(0))

    def feed(self, part: Part, item: AudioFrame) -> Iterator[AudioFrame]:
        """As `AudioInput.feed`; the last second is held back, as the part may end before its sound."""
        for frame in super().feed(part, item):
            yield from self._queue(frame)
        hold = round(2 * OVERRUN * self._rate)
        if self._fifo.samples > 2 * hold:
            yield from self._give(self._fifo.samples - hold)

    def reach(self, part: Part, seconds: Fraction) -> Iterator[AudioFrame]:
        """As `Track.reach`."""
        until = self._sample(seconds)
        made = self._chain is None or part.padded  # else sound may lie behind the pictures in the file
        if made and self._position + self._fifo.samples < until:
            yield from self._give(self._fifo.samples)
            yield from self._quiet(until)

    def end(self, length: Fraction) -> Iterator[AudioFrame]:
        """As `AudioInput.end`."""
        until = self._sample(length)
        for frame in super().end(length):
            yield from self._queue(frame)
        yield from self._give(min(self._fifo.samples, until - self._position))
        yield from self._quiet(until)
        self._fifo = AudioFifo()

    def _sample(self, seconds: Fraction) -> int:
        return nearest(self._clock.at(seconds) * self._rate)

    def _queue(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        """Adds a frame at its place: what lies before it is silence, what overlaps is left out."""
        begin = self._first + nearest((frame.pts or 0) * Fraction(frame.time_base or 0) * self._rate)
        waiting = self._position + self._fifo.samples
        if begin > waiting:
            yield from self._give(self._fifo.samples)
            yield from self._quiet(begin)
        frame.pts = None
        if begin < waiting:
            fresh = AudioFifo()
            fresh.write(frame)
            fresh.read(min(waiting - begin, frame.samples))
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
            yield self._placed(frame)

    def _quiet(self, until: int) -> Iterator[AudioFrame]:
        while self._position < until:
            yield self._placed(silence(self._output, min(until - self._position, self._rate)))

    def _placed(self, frame: AudioFrame) -> AudioFrame:
        frame.pts, frame.time_base = self._position, Fraction(1, self._rate)
        self._position += frame.samples
        return frame


class Mixer:
    """Several lines that are heard at once; one that ends early is silent from then on."""

    def __init__(self, output: AudioOutput, lines: int) -> None:
        self._graph = Graph()
        self._sources: list[Any] = []
        mix, *rest = (self._graph.add(*_named(text)) for text in mixing(output, lines))
        for number in range(lines):
            source = self._graph.add_abuffer(
                sample_rate=output.sample_rate,
                format=output.sample_format,
                layout=output.layout,
                time_base=Fraction(1, output.sample_rate),
            )
            volume = self._graph.add("volume", mixing_gain(lines))
            source.link_to(volume)
            volume.link_to(mix, 0, number)
            self._sources.append(source)
        node = mix
        for following in rest:
            node.link_to(following)
            node = following
        node.link_to(self._graph.add("abuffersink"))
        self._graph.configure()
        self._open = set(range(lines))

    def push(self, line: int, frame: AudioFrame) -> Iterator[AudioFrame]:
        """Gives what is mixed once `frame` of `line` went in."""
        self._sources[line].push(frame)
        yield from self._pull()

    def close(self, line: int) -> Iterator[AudioFrame]:
        """`line` gives nothing more."""
        if line in self._open:
            self._open.remove(line)
            self._sources[line].push(None)
            yield from self._pull()

    def _pull(self) -> Iterator[AudioFrame]:
        while True:
            try:
                frame: Any = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            yield frame


class AudioTrack(Track):
    """Sound of one line, or of several that are mixed, into an encoder."""

    wants_frames = True

    def __init__(
        self,
        plan: StreamPlan,
        output: OutputContainer,
        sources: Sequence[InputContainer],
        keep_metadata: bool,
        max_frames: int,
    ) -> None:
        super().__init__(plan)
        assert plan.audio
        numbers = sorted({part.line for part in plan.parts})
        kind = ExactAudioInput if plan.counted else AudioInput
        self._lines = [kind(plan, [part for part in plan.parts if part.line == number]) for number in numbers]
        self._mixer = Mixer(plan.audio, len(numbers)) if len(numbers) > 1 else None
        self._max_frames = max_frames
        self._stream = open_encoder(plan, output)
        describe(self._stream, plan, sources, keep_metadata)

    def _of(self, part: Part) -> Iterator[tuple[int, AudioInput]]:
        """The lines to which the part belongs."""
        return ((number, line) for number, line in enumerate(self._lines) if part.number in line.parts)

    def begin(self, part: Part, span: Span) -> None:
        for _, line in self._of(part):
            line.begin(part, span)

    def shorten(self, part: Part, span: Span) -> None:
        for _, line in self._of(part):
            line.shorten(part, span)

    def feed(self, part: Part, stream: int, item: AudioFrame) -> Iterator[AnyPacket]:
        for number, line in self._of(part):
            if line.parts[part.number].stream == stream:
                yield from self._take(number, line.feed(part, item))
                if not part.wanted(line, stream):
                    part.close(self, stream)

    def reach(self, part: Part, seconds: Fraction) -> Iterator[AnyPacket]:
        for number, line in self._of(part):
            yield from self._take(number, line.reach(part, seconds))

    def end(self, part: Part, length: Fraction, last: bool) -> Iterator[AnyPacket]:
        for number, line in self._of(part):
            yield from self._take(number, line.end(length))
            if self._mixer and last:
                yield from self._encode_all(self._mixer.close(number))

    def finish(self) -> Iterator[AnyPacket]:
        for number in range(len(self._lines)):
            if self._mixer:
                yield from self._encode_all(self._mixer.close(number))
        yield from self._encode(None)

    def _take(self, number: int, frames: Iterator[AudioFrame]) -> Iterator[AnyPacket]:
        for frame in frames:
            yield from self._encode_all(self._mixer.push(number, frame) if self._mixer else iter((frame,)))

    def _encode_all(self, frames: Iterator[AudioFrame]) -> Iterator[AnyPacket]:
        for frame in frames:
            self.frames += -(-frame.samples // _FRAME_SAMPLES)
            if self.frames > self._max_frames:
                raise MediaLimitExceeded(f"the output has more than {self._max_frames} frames")
            yield from self._encode(frame)

    def _encode(self, frame: AudioFrame | None) -> Iterator[AnyPacket]:
        try:
            packets = self._stream.encode(frame)
        except av.error.FFmpegError as error:
            raise EncoderDown(self.plan.encoder, self.plan.device, f"failed while encoding: {error_text(error)}") from error
        for packet in packets:
            self.written.count(packet)
            yield packet


def _named(text: str) -> tuple[str, str]:
    """The name of a filter and its arguments."""
    name, _, arguments = text.partition("=")
    return name, arguments


def _second_of_silence(like: AudioFrame, time: Fraction) -> AudioFrame:
    """A second of silence, in the format of `like`, at `time`."""
    frame = AudioFrame(like.format.name, like.layout.name, like.sample_rate)
    _fill_with_silence(frame)
    frame.sample_rate, frame.time_base = like.sample_rate, like.time_base
    frame.pts = round(time / like.time_base) if like.time_base else None
    return frame
