"""Read the sources once, decode what must be decoded, and feed every output."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from av import AudioFrame
from av.container import InputContainer

from reelmill_server.errors import InvalidMedia
from reelmill_server.media.input.account import Accountant
from reelmill_server.media.input.audio_blocks import AudioBlock
from reelmill_server.media.input.concat import ConcatReader, concat_readers
from reelmill_server.media.input.decoder_threads import decoder_threads
from reelmill_server.media.input.decoding import Decoding, StreamDecoding
from reelmill_server.media.input.finite import silence_invalid
from reelmill_server.media.input.frame_times import VideoTimes
from reelmill_server.media.input.part import Part, Span, own_parts
from reelmill_server.media.input.reader import Reader, assign_timestamps
from reelmill_server.media.input.seek import read
from reelmill_server.media.libav.codec_names import codec_name
from reelmill_server.media.libav.packets import twin
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.output.base import Output, Stopped, StopSignal
from reelmill_server.media.track.base import Track
from reelmill_server.model.plan import Plan, StreamPlan
from reelmill_server.plan.clock import OVERRUN, UNTIMED_FORMATS

_TICK_SECONDS = 1
_Takers = Sequence[tuple[Output, Track]]
_NOBODY: tuple[_Takers, _Takers] = ((), ())


@dataclass(frozen=True)
class Scope:
    """Say which part of the sources is read.

    `streams`: the streams that are read; None: those that the outputs take. `lead_in`: reading begins at the keyframe before
    this many seconds of the span; None: before all of it. `counted`: broken packets shown outside of this span do not count,
    since the neighboring chunks count them; None: all count. `whole`: every input is read to the end of its span even when
    no output wants more, since the result may depend on where it ends. `hurried`: frames before the lead-in to which no other
    refers are not decoded; none of them is missed, but they are not accounted for.
    """

    streams: Sequence[StreamPlan] | None = None
    lead_in: Fraction | None = None
    counted: Span | None = None
    whole: bool = False
    hurried: bool = False


class Feed:
    """Feed all outputs from one reading of a plan's inputs.

    `decoded`: how many packets were given to decoders; `warnings`: what the user should know about the reading.
    """

    def __init__(
        self,
        plan: Plan,
        outputs: Sequence[Output],
        sources: Sequence[InputContainer],
        *,
        decoding: Decoding,
        accountant: Accountant,
        scope: Scope,
        stop: StopSignal,
    ) -> None:
        """`outputs` are all outputs of the conversion, `sources` follow the inputs of the plan; `decoding` counts broken
        packets, `accountant` what is given.
        """
        self.warnings: list[str] = []
        self.decoded = 0
        self._plan, self._scope, self._stop = plan, scope, stop
        self._outputs, self._fed = outputs, [output for output in outputs if output.fed]
        self._decoding, self._accountant = decoding, accountant
        self._ticked: tuple[Reader | None, float] = (None, 0.0)
        listening = defaultdict(list)
        for output in self._fed:
            for track in output.tracks:
                for part in own_parts(track.plan):
                    listening[part.input, part.stream].append((output, track))
        self._listening: dict[tuple[int, int], list[tuple[Output, Track]]] = dict(listening)
        self._takers = {key: (_taking(entries, True), _taking(entries, False)) for key, entries in self._listening.items()}
        self._set_threads(sources)
        plans = [track.plan for output in self._fed for track in output.tracks]
        streams = plans if scope.streams is None else scope.streams
        self._main, self._attached = concat_readers(plan.inputs, sources, streams, scope.lead_in)

    def _set_threads(self, sources: Sequence[InputContainer]) -> None:
        """Choose by how many threads video is decoded."""
        for (number, index), entries in self._listening.items():
            stream: Any = sources[number].streams[index]
            if stream.type == "video" and not stream.codec_context.is_open:  # as it is of an input that loops
                threads = decoder_threads(stream, [track.plan for _, track in entries])
                stream.codec_context.thread_count = threads or stream.codec_context.thread_count

    @property
    def expected_seconds(self) -> float:
        """Return how long the concatenated inputs will be together, as far as is known so far; 0: unknown."""
        return float(self._main.expected()) if self._fed else 0.0

    def run(self) -> None:
        """Read all inputs to their ends. Raises InvalidMedia when a source breaks off, Stopped, and what outputs fail with."""
        for _ in self.steps():
            pass

    def steps(self) -> Iterator[None]:
        """Read all inputs to their ends, a little at each step. Raises as `run`."""
        if not self._fed:
            return
        main = self._main
        while not main.exhausted:
            running = [inputs for inputs in self._attached if not inputs.exhausted] if self._attached else ()
            self._step(min((main, *running), key=lambda inputs: inputs.position) if running else main)
            self._tick()
            yield
        for inputs in self._attached:
            self._finish(inputs, main.position)
        for output in self._fed:
            output.finish()

    def _step(self, inputs: ConcatReader, until: Fraction | None = None) -> None:
        """Read one packet. At the end of an input the next one begins, unless the reader ends at `until`."""
        reader = inputs.reader or self._begin(inputs)
        if reader is None:
            return
        packet, broken = read(reader.packets)
        if self._stop.is_set():
            raise Stopped
        if broken:
            self.warnings.append(broken)
        if packet is None:
            self._check_end(reader)
            self._end(inputs, reader)
            return
        reader.note(packet)
        if packet.is_corrupt:
            self._mark_damaged(reader, packet)
        self._give(reader.part, packet)
        if until is None and self._enough(reader):
            self._end(inputs, reader)

    def _mark_damaged(self, reader: Reader, packet: AnyPacket) -> None:
        if not _is_short(packet) and (reader.part.number, packet.stream_index) in self._listening:
            reader.mark_damaged(self._counted(reader.part, packet), packet)

    def _check_end(self, reader: Reader) -> None:
        """Raise InvalidMedia when a source breaks off; images are still made of what there is."""
        try:
            reader.check_end()
        except InvalidMedia as error:
            if self._plan.targets:
                raise
            self.warnings.append(error.message)

    def _begin(self, inputs: ConcatReader) -> Reader | None:
        reader = inputs.next()
        if reader is not None:
            for output in self._fed:
                output.begin(reader.part)
        return reader

    def _end(self, inputs: ConcatReader, reader: Reader) -> None:
        """End an input that has given everything. One that is padded stays open until the concatenated inputs have ended."""
        self._conclude(reader)
        if inputs.plan.align == "pad":
            inputs.exhausted = True
            return
        for output in self._fed:
            output.end(reader.part, reader.end(), inputs.last and not inputs.loops)
        self._begin(inputs)

    def _finish(self, inputs: ConcatReader, until: Fraction) -> None:
        """Read an attached input on after the concatenated ones have ended: to its end, or as far as they went if it is
        aligned.
        """
        while not inputs.exhausted and not self._aligned(inputs, until):
            self._step(inputs, until if inputs.aligned else None)
        if inputs.aligned and inputs.reader is not None:
            self._conclude(inputs.reader)
            for output in self._fed:
                output.end(inputs.reader.part, None, True)

    def _conclude(self, reader: Reader) -> None:
        """Give what audio is held back, and take over what the reader noticed."""
        self._give_rest(reader.part)
        reader.count_damaged()
        self.warnings += [text for text in reader.warnings() if text not in self.warnings]

    def _aligned(self, inputs: ConcatReader, until: Fraction) -> bool:
        """Return whether an aligned input has given everything before `until`: the last frames leave the decoder late."""
        if not inputs.aligned or inputs.position < until:
            return False
        if inputs.reader is None:
            return True
        # A short input that loops would be read again and again before its tracks could tell that they have enough.
        self._give_rest(inputs.reader.part)
        for output in self._fed:
            output.settle()
        return self._satisfied(inputs.reader.part)

    def _tick(self) -> None:
        """Tell outputs once per second of media how far reading has come: they generate what no source has."""
        main, reader = self._main, self._main.reader
        if reader is not None and reader is self._ticked[0] and reader.latest - self._ticked[1] < _TICK_SECONDS:
            return
        self._ticked = (reader, reader.latest if reader else 0.0)
        for output in self._outputs:
            output.check()  # outputs that read by themselves may have failed
        waiting = [inputs.reader for inputs in self._attached if inputs.exhausted and inputs.aligned and inputs.reader]
        for output in self._fed:
            if main.reader:
                output.reach(main.reader.part, max(Fraction(0), main.reader.position - 2 * OVERRUN))
            for reader in waiting:
                output.reach(reader.part, max(Fraction(0), main.position - 2 * OVERRUN))

    def _enough(self, reader: Reader) -> bool:
        return self._satisfied(reader.part) and (reader.over or not self._scope.whole)

    def _satisfied(self, part: Part) -> bool:
        """Return whether no track wants more of the input."""
        if not part.over:
            return False
        listeners = [
            (track, stream)
            for (number, stream), entries in self._listening.items()
            if number == part.number
            for _, track in entries
        ]
        return bool(listeners) and not any(part.wanted(track, stream) for track, stream in listeners)

    def _give(self, part: Part, packet: AnyPacket) -> None:
        stream = packet.stream.index  # `stream_index` of the packet that ends a stream is always 0
        decoding, copying = self._takers.get((part.number, stream), _NOBODY)
        if part.over:  # for most of the packets, nobody has closed anything yet
            decoding, copying = ([entry for entry in them if part.wanted(entry[1], stream)] for them in (decoding, copying))
        if decoding:
            self._give_decoded(part, packet, decoding)
        if not copying or (packet.size == 0 and packet.dts is None):
            return  # an empty packet marks the end of the stream: only decoders need it
        if part.changes is not None:
            part.changes.check(packet)
        self._accountant.packet(part, packet)
        *others, (last, its_track) = copying
        for output, track in others:
            output.give(part, track, stream, twin(packet))
        last.give(part, its_track, stream, packet)

    def _give_decoded(self, part: Part, packet: AnyPacket, decoding: Sequence[tuple[Output, Track]]) -> None:
        """Decode a packet and give its frames; those of audio in blocks."""
        stream, kind = packet.stream.index, packet.stream.type
        base = part.bases.of(packet, stream)
        counts = self._counted(part, packet)
        if kind == "video":
            self._accountant.packet(part, packet, decoded=True)
        frames = self._frames(part, packet, counts, base)
        for frame in frames:
            self._accountant.frame(part, stream, frame, base)
        if kind == "audio":
            self._give_blocks(part, packet, frames, counts, base)
        else:
            self._give_frames(part, stream, decoding, frames)

    def _give_frames(self, part: Part, stream: int, decoding: Sequence[tuple[Output, Track]], frames: Sequence[Any]) -> None:
        for frame in frames:
            for output, track in decoding:
                output.give(part, track, stream, frame)

    def _give_blocks(
        self, part: Part, packet: AnyPacket, frames: Sequence[AudioFrame], counts: StreamDecoding, base: Any
    ) -> None:
        """Give what `frames` of audio, which came with `packet`, complete."""
        stream = packet.stream.index
        blocks = [*part.blocks[stream].join(frames, base)]
        if self._is_early(part, packet):  # what does not count must not be joined to what does
            blocks += part.blocks[stream].rest()
        if blocks:
            self._give_sound(part, stream, blocks, counts)

    def _give_rest(self, part: Part) -> None:
        """Give the audio that waits for more."""
        for stream, held in part.blocks.items():
            if blocks := [*held.rest()]:
                counts = self._decoding.of(self._plan.inputs[part.number].source, stream, "audio")
                self._give_sound(part, stream, blocks, counts)

    def _give_sound(self, part: Part, stream: int, blocks: Sequence[AudioBlock], counts: StreamDecoding) -> None:
        counts.invalid += silence_invalid(block.frame for block in blocks)
        decoding, _ = self._takers.get((part.number, stream), _NOBODY)
        self._give_frames(part, stream, [entry for entry in decoding if part.wanted(entry[1], stream)], blocks)

    def _frames(self, part: Part, packet: AnyPacket, counts: StreamDecoding, base: Any) -> Sequence[Any]:
        """Return the frames that a packet completes, each with its time. `base`: the time base of the packet and its frames."""
        self.decoded += 1
        stream = packet.stream
        if self._scope.hurried and stream.type == "video" and self._main.reader:
            stream.codec_context.skip_frame = "NONREF" if self._main.reader.is_needless(packet) else "DEFAULT"
        other = "" if part.changes is None else part.changes.of(packet)
        frames = counts.refuse(other) if other else counts.decode(packet)
        if stream.type == "audio":
            frames = [frame for frame in frames if isinstance(frame, AudioFrame)]  # a stream may change its kind midway
            frames = part.times[stream.index].complete(packet, frames, base)
        else:
            times = part.video_times.get(stream.index)
            if times is None:
                times = part.video_times[stream.index] = VideoTimes(stream)
            frames = times.complete(packet, frames)
        if part.source.format.name in UNTIMED_FORMATS:
            assign_timestamps(frames, packet.stream, part.shown)
            part.shown += len(frames)
        return frames

    def _counted(self, part: Part, packet: AnyPacket) -> StreamDecoding:
        """Return the counters of a packet's stream; those of a packet that does not count here are thrown away."""
        counted, decoding = self._scope.counted, self._decoding
        if self._is_early(part, packet):
            decoding = Decoding()
        elif counted and packet.pts is not None and packet.time_base:
            time = packet.pts * packet.time_base
            if counted.before(time) or counted.after(time):
                decoding = Decoding()
        return decoding.of(self._plan.inputs[part.number].source, packet.stream.index, packet.stream.type)

    def _is_early(self, part: Part, packet: AnyPacket) -> bool:
        """Return whether a packet of audio lies before the span: reading may begin in the middle of what the demuxer takes for
        one.
        """
        if part.sought is None or packet.stream.type != "audio" or packet.pts is None or not packet.time_base:
            return False
        return packet.pts * packet.time_base < part.sought


def _taking(entries: _Takers, frames: bool) -> _Takers:
    """Return those of `entries` that take frames, or packets."""
    return [entry for entry in entries if entry[1].wants_frames == frames]


def _is_short(packet: AnyPacket) -> bool:
    """Return whether a packet marked as damaged only ends early, as the last one of a recording that was not closed: every
    sample that uncompressed audio has is whole.
    """
    context = packet.stream.codec_context
    return codec_name(context).startswith("pcm_")
