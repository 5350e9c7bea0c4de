"""Encode audio."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from av import AudioFrame
from av.container import InputContainer, OutputContainer

from reelmill_server.errors import MediaLimitExceeded
from reelmill_server.media.input.audio_blocks import AudioBlock
from reelmill_server.media.input.part import Part, Span
from reelmill_server.media.libav.encoder import failure_of_encoder, open_encoder
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.track.audio_inputs import AudioInput, ExactAudioInput
from reelmill_server.media.track.base import StreamStats, Track, describe
from reelmill_server.media.track.loudness_warnings import loudness_warnings
from reelmill_server.media.track.mixer import Mixer
from reelmill_server.model.plan import ImagePlan, StreamPlan, TargetPlan

if TYPE_CHECKING:
    from reelmill_server.media.track.decoded_peak import DecodedPeak
    from reelmill_server.media.track.loudness import LoudnessStage

_FRAME_SAMPLES = 1024  # samples that limits count as one frame


class AudioTrack(Track):
    """Encode one audio input, or several that are mixed."""

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
        assert plan.audio and plan.working
        working = replace(plan, audio=plan.working)
        numbers = sorted({part.line for part in plan.parts})
        kind = ExactAudioInput if plan.counted else AudioInput
        self._inputs = [kind(working, [part for part in plan.parts if part.line == number]) for number in numbers]
        for audio in self._inputs:
            audio.written = self.written
        self._stage = _loudness_stage(plan, self.written)
        self._mixer = Mixer(plan.working, len(numbers), plan.ducking) if len(numbers) > 1 else None
        self._max_frames, self._base = max_frames, None
        self.stream = open_encoder(plan, output)
        self._decoded = _decoded_peak(plan, self.stream.codec_context)
        describe(self.stream, plan, sources, keep_metadata)

    def _of(self, part: Part) -> Iterator[tuple[int, AudioInput]]:
        """Yield the inputs to which the part belongs, with their numbers."""
        return ((number, audio) for number, audio in enumerate(self._inputs) if part.number in audio.parts)

    def begin(self, part: Part, span: Span) -> None:
        for _, audio in self._of(part):
            audio.begin(part, span)

    def shorten(self, part: Part, span: Span) -> None:
        for _, audio in self._of(part):
            audio.shorten(part, span)

    def feed(self, part: Part, stream: int, item: AudioBlock) -> Iterator[AnyPacket]:
        for number, audio in self._of(part):
            if audio.parts[part.number].stream == stream:
                yield from self._take(number, audio.feed(part, item))
                if not part.wanted(audio, stream):
                    part.close(self, stream)

    def reach(self, part: Part, seconds: Fraction) -> Iterator[AnyPacket]:
        for number, audio in self._of(part):
            yield from self._take(number, audio.reach(part, seconds))

    def end(self, part: Part, length: Fraction, last: bool) -> Iterator[AnyPacket]:
        for number, audio in self._of(part):
            yield from self._take(number, audio.end(part, length))
            if self._mixer and last:
                yield from self._encode_all(self._mixer.close(number))

    def finish(self) -> Iterator[AnyPacket]:
        for number in range(len(self._inputs)):
            if self._mixer:
                yield from self._encode_all(self._mixer.close(number))
        for frame in self._stage.flush() if self._stage else ():
            yield from self._encode(frame)
        yield from self._encode(None)

    def warnings(self, target: TargetPlan | ImagePlan) -> Iterator[str]:
        yield from super().warnings(target)
        if any(audio.muted for audio in self._inputs):
            yield f"{target.field}.audio: the source has none in the span: it is silent"
        yield from loudness_warnings(self.plan, self.written, target.field)

    def _take(self, number: int, frames: Iterator[AudioFrame]) -> Iterator[AnyPacket]:
        for frame in frames:
            yield from self._encode_all(self._mixer.push(number, frame) if self._mixer else iter((frame,)))

    def _encode_all(self, frames: Iterator[AudioFrame]) -> Iterator[AnyPacket]:
        for frame in frames:
            self.frames += -(-frame.samples // _FRAME_SAMPLES)
            self.written.samples += frame.samples
            if self.frames > self._max_frames:
                raise MediaLimitExceeded(f"the output has more than {self._max_frames} frames")
            for ready in self._stage.push(frame) if self._stage else (frame,):
                yield from self._encode(ready)

    def _encode(self, frame: AudioFrame | None) -> Iterator[AnyPacket]:
        try:
            packets = self.stream.encode(frame)
        except av.error.FFmpegError as error:
            raise failure_of_encoder(error, self.plan, "failed while encoding") from error
        if self._base is None and packets:
            self._base = packets[0].time_base
        for packet in packets:
            self.written.count(packet, self._base)
            if self._decoded:
                self._decoded.see(packet)
            yield packet
        if self._decoded and frame is None:
            self.written.decoded_peak = self._decoded.finish()


def _decoded_peak(plan: StreamPlan, encoder: Any) -> "DecodedPeak | None":
    if plan.loudness is None or not plan.loudness.tries:
        return None
    from reelmill_server.media.track.decoded_peak import DecodedPeak

    return DecodedPeak(encoder)


def _loudness_stage(plan: StreamPlan, written: StreamStats) -> "LoudnessStage | None":
    """Return the stage that the plan asks for. It is loaded here, as it needs numpy, which other tasks do without."""
    if plan.loudness is None or plan.audio is None:
        return None
    from reelmill_server.media.track.loudness import LoudnessStage

    return LoudnessStage(plan.loudness, plan.audio, written)
