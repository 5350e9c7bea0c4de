"""Reads an output back and compares it with what was planned and what was written.

The file is opened anew, every packet is counted, and the first and the last group of pictures of each video, and the first and
the last packets of each sound, are decoded.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer

from reelmill_server.errors import InvalidMedia, OutputInvalid
from reelmill_server.media.output import Produced
from reelmill_server.media.tracks import Written
from reelmill_server.media.types import AnyPacket
from reelmill_server.model.plan import StreamPlan, TargetPlan
from reelmill_server.model.task import Artifact, ArtifactStream

_MICROSECONDS = 1_000_000
_SAMPLE_PACKETS = 50  # of sound, at each end
_GROUP_PACKETS = 600  # of a group of pictures, at each end
# Some muxers count in milliseconds (Matroska, FLV): times read back may be off by one.
_ROUNDING = Fraction(2, 1000)
# What a container promises for a whole file is no more exact than this.
_CLAIM_SECONDS, _CLAIM_SHARE = Fraction(1), Fraction(2, 100)


@dataclass
class Seen:
    """What one stream of the file read back holds; times in seconds."""

    packets: int = 0
    first: Fraction | None = None
    last: Fraction = Fraction(0)
    last_duration: Fraction = Fraction(0)
    head: list[AnyPacket] = field(default_factory=list)
    tail: deque[AnyPacket] = field(default_factory=lambda: deque(maxlen=_GROUP_PACKETS))
    keys: int = 0

    def count(self, packet: AnyPacket, video: bool) -> None:
        """Adds one packet that was read."""
        self.packets += 1
        if packet.pts is not None and packet.time_base:
            time = packet.pts * packet.time_base
            self.first = time if self.first is None else min(self.first, time)
            if time >= self.last:
                self.last, self.last_duration = time, (packet.duration or 0) * packet.time_base
        if video and packet.is_keyframe:
            self.keys += 1
            self.tail.clear()
        if (self.keys < 2 if video else self.packets <= _SAMPLE_PACKETS) and len(self.head) < _GROUP_PACKETS:
            self.head.append(packet)
        self.tail.append(packet)


def verify(produced: Produced) -> Artifact:
    """The artifact that `produced` is.

    Raises OutputInvalid when the file is not what was planned and written, InvalidMedia when the source gave less than its
    container promised.
    """
    plan = produced.plan
    where = f"targets[{plan.index}]"
    _compare_with_source(produced, where)
    try:
        with av.open(produced.path, "r") as container:
            seen = _read(container)
            _compare(container, plan, produced.written, seen, where)
            for stream, sight in zip(container.streams, seen, strict=True):
                _decode_ends(stream, sight, where)
            streams = tuple(
                _describe(stream, planned, sight)
                for stream, planned, sight in zip(container.streams, plan.streams, seen, strict=True)
            )
            duration = float((container.duration or 0) / _MICROSECONDS)
    except av.error.FFmpegError as error:
        raise OutputInvalid(f"{where}: the file cannot be read back: {error}") from error
    return Artifact(plan.uri, plan.index, Path(produced.path).stat().st_size, duration, plan.container, streams)


def _compare_with_source(produced: Produced, where: str) -> None:
    """Compares what was written with what the source's own figures promise: a source that breaks off is not converted."""
    plan = produced.plan
    for planned, written in zip(plan.streams, produced.written, strict=True):
        if written.packets == 0 and planned.type != "subtitle":
            raise InvalidMedia(f"{where}: the source's {planned.type} stream {planned.source_stream} gave nothing in the span")
        got_us = (written.last - (written.first or Fraction(0))) * _MICROSECONDS
        # A copy begins at a key frame and may be longer, and a late stream begins after 0: only less is wrong.
        if planned.expected_us and got_us + planned.slack_us + float(_ROUNDING) * _MICROSECONDS < planned.expected_us:
            _short(where, planned.type, got_us, planned.expected_us)
    lasts = [
        written.last for planned, written in zip(plan.streams, produced.written, strict=True) if planned.type != "subtitle"
    ]
    claimed = Fraction(plan.duration_us, _MICROSECONDS)
    if claimed and lasts and max(lasts) + max(_CLAIM_SECONDS, claimed * _CLAIM_SHARE) < claimed:
        _short(where, "media", max(lasts) * _MICROSECONDS, plan.duration_us)


def _short(where: str, kind: str, got_us: Fraction | float, expected_us: int) -> None:
    raise InvalidMedia(
        f"{where}: the source promises {expected_us / _MICROSECONDS:.3f} s of {kind} in the span, "
        f"but only {float(got_us) / _MICROSECONDS:.3f} s could be read: it is truncated or broken"
    )


def _read(container: InputContainer) -> list[Seen]:
    seen = [Seen() for _ in container.streams]
    for packet in container.demux():
        if packet.size == 0 and packet.dts is None:
            continue
        stream = container.streams[packet.stream_index]
        seen[packet.stream_index].count(packet, stream.type == "video")
    return seen


def _compare(container: InputContainer, plan: TargetPlan, written: Sequence[Written], seen: Sequence[Seen], where: str) -> None:
    kinds = [stream.type for stream in container.streams]
    if kinds != [stream.type for stream in plan.streams]:
        raise OutputInvalid(f"{where}: has the streams {kinds}, planned were {[stream.type for stream in plan.streams]}")
    for stream, planned, went_in, came_out in _aligned(container, plan, written, seen):
        name = stream.codec_context.codec.canonical_name if stream.codec_context else "unknown"
        if name != planned.codec:
            raise OutputInvalid(f"{where}: the {planned.type} is {name}, planned was {planned.codec}")
        _compare_counts(planned, went_in, came_out, where)
        if planned.video and (stream.codec_context.width, stream.codec_context.height) != (
            planned.video.width,
            planned.video.height,
        ):
            size = f"{stream.codec_context.width}x{stream.codec_context.height}"
            raise OutputInvalid(f"{where}: the video is {size}, planned was {planned.video.width}x{planned.video.height}")


def _aligned(container: InputContainer, plan: TargetPlan, written: Sequence[Written], seen: Sequence[Seen]) -> Iterator[Any]:
    return zip(container.streams, plan.streams, written, seen, strict=True)


def _compare_counts(planned: StreamPlan, went_in: Written, came_out: Seen, where: str) -> None:
    if planned.type == "video" and came_out.packets != went_in.packets:
        raise OutputInvalid(f"{where}: {went_in.packets} pictures went in, {came_out.packets} came out")
    if planned.type == "subtitle" or came_out.first is None or went_in.first is None:
        return
    # Lengths, not positions: muxers may move a file whose first timestamp is below 0. The start of the last picture is
    # compared, as its length is not kept by every container.
    expected, got = went_in.last_start - went_in.first, came_out.last - came_out.first
    frame = max(came_out.last_duration, Fraction(1, 1000))
    if abs(got - expected) > frame + _ROUNDING:
        raise OutputInvalid(f"{where}: {float(expected):.3f} s of {planned.type} went in, {float(got):.3f} s came out")


def _decode_ends(stream: Any, sight: Seen, where: str) -> None:
    """Decodes the first and the last packets; an encoder's mistake or a damaged file shows here."""
    if stream.type not in ("video", "audio") or not sight.packets:
        return
    tail = list(sight.tail)
    if stream.type == "audio":
        tail = tail[-_SAMPLE_PACKETS:]
    overlong = stream.type == "video" and len(tail) == _GROUP_PACKETS and not tail[0].is_keyframe
    for packets in (sight.head, [] if overlong else tail):
        if packets and not _decodes(stream, packets):
            raise OutputInvalid(f"{where}: the {stream.type} cannot be decoded")


def _decodes(stream: Any, packets: Sequence[AnyPacket]) -> bool:
    context = av.CodecContext.create(stream.codec_context.name, "r")
    context.extradata = stream.codec_context.extradata
    frames = 0
    try:
        for packet in packets:
            frames += len(context.decode(packet))
        frames += len(context.decode(None))
    except av.error.EOFError:
        pass
    except av.error.FFmpegError:
        return False
    return frames > 0


def _describe(stream: Any, planned: StreamPlan, sight: Seen) -> ArtifactStream:
    context = stream.codec_context
    video, audio = stream.type == "video", stream.type == "audio"
    return ArtifactStream(
        type=planned.type,
        codec=planned.codec,
        encoder=planned.encoder,
        reason=planned.reason,
        packet_count=sight.packets,
        duration_seconds=float(sight.last + sight.last_duration - (sight.first or 0)),
        width=context.width if video else 0,
        height=context.height if video else 0,
        sample_rate=context.sample_rate if audio else 0,
        channels=context.channels if audio else 0,
    )
