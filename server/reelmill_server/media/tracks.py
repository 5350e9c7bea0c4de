"""Tracks: what one output does with one stream of the source.

A track is fed in the order of the source and knows when it has all of its span. Times are exact: timestamps are compared and
moved as rational numbers, seconds counted from the source's own zero.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import av
from av import AudioFrame, VideoFrame
from av.container import InputContainer, OutputContainer
from av.stream import Disposition

from reelmill_server.errors import MediaLimitExceeded
from reelmill_server.media.encoding import EncoderDown, open_encoder
from reelmill_server.media.graph import Chain
from reelmill_server.media.types import AnyPacket
from reelmill_server.media.words import said
from reelmill_server.model.plan import StreamPlan

# A request's seconds are decimal and a source's timestamps are not: a frame within this of the edge is taken to be on it.
TOLERANCE = Fraction(1, 1_000_000)
_DROPPED_METADATA = ("encoder", "duration", "major_brand", "minor_version", "compatible_brands", "language")
_LONGEST_GAP_SECONDS = 1
_FRAME_SAMPLES = 1024  # of sound, as limits count


@dataclass(frozen=True)
class Span:
    """The span of the source that a target takes, in the source's own seconds; `end` None: until the end.

    `from_front`: it begins with the source. Then nothing is before it, as the preroll of sound and what an edit list hides have
    timestamps before the source's first.
    """

    begin: Fraction
    end: Fraction | None
    from_front: bool = False

    def before(self, time: Fraction) -> bool:
        """Whether `time` is before the span."""
        return not self.from_front and time < self.begin - TOLERANCE

    def after(self, time: Fraction) -> bool:
        """Whether `time` is at or after the span's end."""
        return self.end is not None and time >= self.end - TOLERANCE


@dataclass
class Written:
    """What went into one stream of an output: packets, their bytes, and the seconds of the first and the end of the last."""

    packets: int = 0
    size_bytes: int = 0
    first: Fraction | None = None
    last_start: Fraction = Fraction(0)
    last: Fraction = Fraction(0)

    def count(self, packet: AnyPacket) -> None:
        """Adds one packet that is about to be written."""
        self.packets += 1
        self.size_bytes += packet.size
        if packet.pts is not None and packet.time_base:
            time = packet.pts * packet.time_base
            self.first = time if self.first is None else min(self.first, time)
            self.last_start = max(self.last_start, time)
            self.last = max(self.last, time + (packet.duration or 0) * packet.time_base)


class Track(Protocol):
    """What an output does with one stream of the source.

    `frames` were to be encoded; `unordered` of them had a timestamp that is not after the one before, and were left out.
    """

    plan: StreamPlan
    written: Written
    wants_frames: bool
    done: bool
    frames: int
    unordered: int

    def feed(self, item: Any) -> Iterator[AnyPacket]:
        """Gives the packets to write once `item` (a frame or a packet, as `wants_frames` says) went in."""

    def finish(self) -> Iterator[AnyPacket]:
        """Gives the packets that were held back."""


def copy_metadata(source: Mapping[str, str]) -> dict[str, str]:
    """Titles and the like, without what describes the old file itself."""
    return {key: value for key, value in source.items() if key not in _DROPPED_METADATA}


def describe(stream: Any, source: Any, keep_metadata: bool) -> None:
    """Carries a stream's description over: language and disposition always, the rest if it is to be kept."""
    if keep_metadata:
        stream.metadata.update(copy_metadata(source.metadata))
    if source.language and source.language != "und":
        stream.metadata["language"] = source.language
    stream.disposition = Disposition(int(source.disposition) & ~int(Disposition.attached_pic))


class CopyTrack:
    """Keeps the packets of a stream as they are, moved so that the span begins at 0."""

    wants_frames = False

    def __init__(
        self, plan: StreamPlan, output: OutputContainer, source: InputContainer, span: Span, keep_metadata: bool
    ) -> None:
        origin: Any = source.streams[plan.parts[0].streams[0]]
        self.plan, self.written, self.done = plan, Written(), False
        self.frames = self.unordered = 0
        self._span = span
        self._previous: int | None = None
        self._beyond: list[AnyPacket] = []
        # opaque: only then a codec that can be decoded but not encoded here can be copied.
        self._stream: Any = output.add_stream_from_template(origin, opaque=True)
        if plan.codec_tag:
            self._stream.codec_context.codec_tag = plan.codec_tag
        if plan.type == "video" and origin.average_rate and self._stream.codec_context:
            self._stream.codec_context.framerate = origin.average_rate
        describe(self._stream, origin, keep_metadata)

    def feed(self, item: AnyPacket) -> Iterator[AnyPacket]:
        """Gives the packet, unless it lies outside the span.

        The end is judged by decoding time: a picture shown after the end may be needed by one shown before it, and is given
        only when such a one comes.
        """
        time_base = item.time_base
        pts = item.pts if item.pts is not None else item.dts
        if pts is None or time_base is None:
            return
        decoded = pts if item.dts is None else item.dts
        if self._span.after(decoded * time_base):
            self.done = True
            return
        if self._span.before(pts * time_base):
            return
        if self._span.after(pts * time_base):
            self._beyond.append(item)
            return
        for packet in (*self._beyond, item):
            yield self._moved(packet)
        self._beyond.clear()

    def _moved(self, item: AnyPacket) -> AnyPacket:
        time_base: Any = item.time_base
        pts: Any = item.pts if item.pts is not None else item.dts
        decoded = pts if item.dts is None else item.dts
        shift = round(self._span.begin / time_base)
        item.pts = pts - shift
        if item.dts is not None:
            item.dts -= shift
        if not item.duration and self._previous is not None:
            # Else the last packet would last no time, and readers of MP4 would leave it out.
            item.duration = max(0, decoded - self._previous)
        self._previous = decoded
        item.stream = self._stream
        self.written.count(item)
        return item

    def finish(self) -> Iterator[AnyPacket]:
        """Nothing is held back."""
        return iter(())


class EncodeTrack:
    """Decoded frames through filters into an encoder."""

    wants_frames = True

    def __init__(
        self,
        plan: StreamPlan,
        output: OutputContainer,
        source: InputContainer,
        span: Span,
        keep_metadata: bool,
        max_frames: int,
    ) -> None:
        origin: Any = source.streams[plan.parts[0].streams[0]]
        self.plan, self.written, self.done = plan, Written(), False
        self.frames = 0
        self.unordered = 0
        self._held: VideoFrame | None = None
        self._durations: dict[int, int] = {}
        self._span, self._max_frames = span, max_frames
        self._heard: int | None = None
        self._sound_end: Fraction | None = None
        self._chain = Chain(
            lambda: (*_move(plan, origin.time_base, span, self._heard), *plan.parts[0].filters),
            (origin.sample_aspect_ratio if plan.video else None) or Fraction(1),
            (origin.average_rate if plan.video else None) or Fraction(25),
        )
        self._stream = open_encoder(plan, output)
        describe(self._stream, origin, keep_metadata)

    def feed(self, item: VideoFrame | AudioFrame) -> Iterator[AnyPacket]:
        """Gives the packets that are ready once `item` is encoded; frames outside the span are dropped."""
        if item.pts is None or item.time_base is None:
            return
        time = item.pts * item.time_base
        if self._span.after(time):
            self.done = True
            return
        # Sound is cut to the sample by a filter: a frame may begin before the span and end in it.
        if isinstance(item, VideoFrame) and self._span.before(time):
            return
        for whole in (item,) if isinstance(item, VideoFrame) else self._without_gap(item, time):
            for frame in self._chain.push(whole):
                yield from self._take(frame)

    def _without_gap(self, item: AudioFrame, time: Fraction) -> Iterator[AudioFrame]:
        """`item`, after silence if there is a long gap before it: the resampler would hold all of the gap in memory."""
        end = time if self._sound_end is None else self._sound_end
        while time - end > _LONGEST_GAP_SECONDS:
            yield _silence(item, end)
            end += 1
        self._sound_end = time + Fraction(item.samples, item.sample_rate)
        yield item

    def finish(self) -> Iterator[AnyPacket]:
        """Gives what the filters and the encoder still hold."""
        for frame in self._chain.flush():
            yield from self._take(frame)
        if self._held is not None:
            yield from self._encode(self._held)
        yield from self._encode(None)

    def _take(self, frame: VideoFrame | AudioFrame) -> Iterator[AnyPacket]:
        """Encodes sound at once, a picture when the next one tells how long it is shown: MP4 counts decoding time."""
        self.frames += -(-frame.samples // _FRAME_SAMPLES) if isinstance(frame, AudioFrame) else 1
        if self.frames > self._max_frames:
            raise MediaLimitExceeded(f"the output has more than {self._max_frames} frames")
        if isinstance(frame, AudioFrame):
            self._heard = None if frame.pts is None else frame.pts + frame.samples
            yield from self._encode(frame)
            return
        held = self._held
        if held is not None and held.pts is not None and frame.pts is not None:
            if frame.pts <= held.pts:
                self.unordered += 1
                return  # no encoder takes two pictures of one time
            held.duration = frame.pts - held.pts
            yield from self._encode(held)
        self._held = frame

    def _encode(self, frame: VideoFrame | AudioFrame | None) -> Iterator[AnyPacket]:
        if isinstance(frame, VideoFrame):
            frame.pict_type = 0  # else the encoder repeats the source's choice of I, P and B
            self._remember_duration(frame)
        try:
            packets = self._stream.encode(frame)
        except av.error.FFmpegError as error:
            raise EncoderDown(self.plan.encoder, self.plan.device, f"failed while encoding: {said(error)}") from error
        for packet in packets:
            packet.duration = self._durations.pop(packet.pts, packet.duration) if packet.pts is not None else packet.duration
            self.written.count(packet)
            yield packet

    def _remember_duration(self, frame: VideoFrame) -> None:
        """Encoders of video forget how long a picture is shown, which only the last one of a file tells."""
        if frame.pts is not None and frame.time_base and frame.duration:
            scale = frame.time_base / self._stream.codec_context.time_base
            self._durations[round(frame.pts * scale)] = round(frame.duration * scale)


def _silence(like: AudioFrame, time: Fraction) -> AudioFrame:
    """A second of silence, in the format of `like`, at `time`."""
    frame = AudioFrame(like.format.name, like.layout.name, like.sample_rate)
    quiet = b"\x80" if like.format.name in ("u8", "u8p") else b"\0"
    for plane in frame.planes:
        plane.update(quiet * plane.buffer_size)
    frame.sample_rate, frame.time_base = like.sample_rate, like.time_base
    frame.pts = round(time / like.time_base) if like.time_base else None
    return frame


def _move(plan: StreamPlan, time_base: Fraction, span: Span, heard: int | None) -> tuple[str, ...]:
    """Filters that make the span begin at 0, and for sound cut it to the sample.

    async=1 fills gaps in the sound with silence and drops overlaps, so that samples and clock agree; a new chain goes on where
    the last one ended, after `heard` samples.
    """
    if plan.audio is None:
        return (f"setpts=PTS-({round(span.begin / time_base)})",)
    rate = plan.audio.sample_rate
    start = round(span.begin * rate)
    end = f":end_pts={round(span.end * rate)}" if span.end is not None else ""
    resumed = f":first_pts={start + heard}" if heard is not None else ""
    return (f"aresample={rate}:async=1{resumed}", f"atrim=start_pts={start}{end}", f"asetpts=PTS-({start})")
