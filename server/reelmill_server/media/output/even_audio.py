"""Let audio of MXF begin and end with the video: streams have no times there, and libav's muxer drops frames without audio."""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

from reelmill_server.errors import UnsupportedFormat
from reelmill_server.media.libav.timestamps import exact
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.track.base import Track
from reelmill_server.model.plan import StreamType, TargetPlan

_MXF = "mxf"
_SAMPLE_BYTES = {"pcm_s16le": 2, "pcm_s24le": 3}
_PACKET_SECONDS = 1  # of silence
_HEARD = Fraction(1, 10)  # seconds: less is not worth a warning
_GAP = Fraction(3, 2)  # frames from the first to the second that is decoded: others between them are missing


class EvenAudio:
    """Put silence in front of audio that begins later than the video, and behind audio that ends earlier."""

    def __init__(self, plan: TargetPlan, output: Any, tracks: Sequence[Track], note: Callable[[str], None]) -> None:
        """`output` is an open container; what is `written` of `tracks` learns of the silence, `note` is told of it."""
        kinds = [stream.type for stream in plan.streams]
        self._applies = plan.muxer == _MXF and StreamType.VIDEO in kinds
        self._plan, self._output, self._tracks, self._note = plan, output, tracks, note
        self._video = kinds.index(StreamType.VIDEO) if self._applies else -1
        self._first: dict[int, AnyPacket] = {}
        self._frames = 0
        self._shown = Fraction(0)

    def all_of(self, bundles: Iterator[Sequence[AnyPacket]]) -> Iterator[Sequence[AnyPacket]]:
        """Yield `bundles`, of which the first ones are the first packet of each stream, with the silence.

        Raises UnsupportedFormat for video that begins later than its audio, or ends earlier, or lacks frames.
        """
        if not self._applies:
            yield from bundles
            return
        held: list[AnyPacket] = []
        begun = False
        for packets in bundles:
            for packet in packets:
                self._see(packet)
            held += packets
            if begun or len(self._first) == len(self._plan.streams):
                yield [*([] if begun else self._in_front()), *held]
                begun, held = True, []
        yield held
        yield self._behind()

    def _see(self, packet: AnyPacket) -> None:
        """Count the frames. Raises UnsupportedFormat where those behind the first keyframe are missing."""
        first = self._first.setdefault(packet.stream_index, packet)
        if packet.stream_index != self._video:
            return
        self._frames += 1
        if packet.pts is not None:
            self._shown = max(self._shown, (packet.pts + (packet.duration or 0)) * exact(packet.time_base))
        if self._frames == 2 and packet.dts is not None and first.dts is not None:
            step = (first.duration or 0) * exact(first.time_base)
            if packet.dts * exact(packet.time_base) - first.dts * exact(first.time_base) > _GAP * step > 0:
                raise UnsupportedFormat(
                    f"{self._plan.field}: mxf numbers its frames, and a copy lacks those that refer to frames before it: "
                    "choose a codec other than copy for the video"
                )

    def _in_front(self) -> list[AnyPacket]:
        video = self._first[self._video]
        begin = (video.pts or 0) * exact(video.time_base)
        packets: list[AnyPacket] = []
        for index, packet in sorted(self._first.items()):
            late = (packet.pts or 0) * exact(packet.time_base) - begin
            if self._plan.streams[index].type != StreamType.AUDIO or abs(late) <= self._half:
                continue
            if late < 0:
                raise UnsupportedFormat(
                    f"{self._plan.field}: mxf begins all streams together, and the video begins {float(-late):.3f} s after the "
                    "audio: choose a codec other than copy for it"
                )
            packets += self._silence(index, begin, late, "before")
        return packets

    def _behind(self) -> list[AnyPacket]:
        packets: list[AnyPacket] = []
        video = self._first.get(self._video)
        last = 0 if video is None else (video.pts or 0) * exact(video.time_base) + self._frames * 2 * self._half
        if self._shown - last > self._half:
            raise UnsupportedFormat(
                f"{self._plan.field}: mxf numbers its frames, and a copy that ends among B-frames lacks some: ask for one more "
                "frame, or one less, or choose a codec other than copy for the video"
            )
        for index in self._first:
            end = self._tracks[index].written.extent.last
            if self._plan.streams[index].type != StreamType.AUDIO:
                continue
            if end - last > 2 * self._half:
                raise UnsupportedFormat(
                    f"{self._plan.field}: mxf ends with its video, and the audio goes on for {float(end - last):.3f} s: ask "
                    "for a duration, or choose another container"
                )
            if last - end > self._half:
                packets += self._silence(index, end, last - end, "behind")
        return packets

    @property
    def _half(self) -> Fraction:
        """Half a frame of the video."""
        video = self._first[self._video]
        return (video.duration or 0) * exact(video.time_base) / 2

    def _silence(self, index: int, begin: Fraction, seconds: Fraction, where: str) -> list[AnyPacket]:
        stream, first, written = self._output.streams[index], self._first[index], self._tracks[index].written
        context, base = stream.codec_context, exact(first.time_base)
        size = _SAMPLE_BYTES[self._plan.streams[index].codec] * context.channels
        before, behind = written.silence
        written.silence = (seconds, behind) if where == "before" else (before, seconds)
        if seconds >= _HEARD:
            self._note(f"{float(seconds):.3f} s of silence {where} the audio: mxf has samples for all of the video")
        packets, left = [], round(seconds * context.sample_rate)
        at = begin
        while left:
            count = min(left, _PACKET_SECONDS * context.sample_rate)
            packet = AnyPacket(bytes(count * size))
            packet.stream, packet.time_base = stream, first.time_base
            packet.pts = packet.dts = round(at / base)
            packet.duration = max(1, round(Fraction(count, context.sample_rate) / base))
            packets.append(packet)
            at, left = at + Fraction(count, context.sample_rate), left - count
        return packets
