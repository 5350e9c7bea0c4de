"""Make files last as long as their video where the container counts the time of decoding."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.model.plan import StreamType, TargetPlan


@dataclass
class _Line:
    """State of a stream that is written, in its ticks: the first timestamps, the end, and the packet held back."""

    begin: int
    decoded: int
    end: int
    held: AnyPacket


class LastDecoded:
    """Hold back the last packet of each video stream of MP4, where each frame lasts until the next one is decoded.

    The one that is decoded last, which need not be the one that is shown last, then gets the duration with which all of them
    together last as long as the video. Of fragments, libav moves the first packet to where the one before it ends, and one that
    is decoded earlier loses the time at which it is shown. So what is before lasts until then, no less, or what follows a
    pause would be decoded, and audio heard, too early; and no longer: a packet that is shown late enough is decoded behind it
    instead.
    """

    def __init__(self, plan: TargetPlan) -> None:
        self._fragments = plan.package is not None and plan.container == "mp4"
        counts = self._fragments or plan.muxer in ("mp4", "mov")
        kinds = (StreamType.VIDEO, StreamType.AUDIO) if self._fragments else (StreamType.VIDEO,)
        self._kinds = [stream.type in kinds and counts for stream in plan.streams]
        self._ends = [stream.type == StreamType.VIDEO for stream in plan.streams]
        self._lines: dict[int, _Line] = {}

    def all_of(self, bundles: Iterator[Sequence[AnyPacket]]) -> Iterator[Sequence[AnyPacket]]:
        """Yield the packets to write for those of `bundles`."""
        if not any(self._kinds):
            yield from bundles
            return
        for packets in bundles:
            yield self._of(packets)
        yield list(self.finish())

    def _of(self, packets: Sequence[AnyPacket]) -> Sequence[AnyPacket]:
        """Return the packets to write once `packets` came."""
        ready: list[AnyPacket] = []
        for packet in packets:
            index = packet.stream_index
            if not self._kinds[index] or (pts := packet.pts) is None or (dts := packet.dts) is None:
                ready.append(packet)
                continue
            end, line = pts + (packet.duration or 0), self._lines.get(index)
            if line is None:
                self._lines[index] = _Line(pts, dts, end, packet)
                continue
            begun, lasts = line.held.dts or 0, line.held.duration or 0
            if dts <= begun < pts:  # what it follows was moved behind it
                packet.dts = dts = begun + 1
            if self._fragments and (packet.is_keyframe or not self._ends[index]):
                if dts < begun + lasts <= pts:
                    packet.dts = dts = begun + lasts
                line.held.duration = dts - begun or lasts
            ready.append(line.held)
            line.held = packet
            if pts < line.begin:
                line.begin = pts
            if end > line.end:
                line.end = end
        return ready

    def finish(self) -> Iterator[AnyPacket]:
        """Yield the packets that were held back."""
        for index, line in self._lines.items():
            packet = line.held
            if not self._ends[index]:
                yield packet
                continue
            missing = line.end - line.begin - ((packet.dts or 0) - line.decoded)
            shown = line.end - (packet.pts or 0)
            packet.duration = max(packet.duration or 0, min(missing, shown))
            # It is not shown for longer than that, but may be decoded later, unless it begins a fragment.
            if not (self._fragments and packet.is_keyframe):
                packet.dts = (packet.dts or 0) + max(missing - packet.duration, 0)
            yield packet
