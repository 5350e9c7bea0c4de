"""Make files last as long as their video where the container counts the time of decoding."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.model.plan import StreamType, TargetPlan


@dataclass
class _Video:
    """State of a video stream that is written, in its ticks: the first timestamps, the end, and the packet held back."""

    begin: int
    decoded: int
    end: int
    held: AnyPacket


class LastDecoded:
    """Hold back the last packet of each video stream of MP4, where each frame lasts until the next one is decoded.

    The one that is decoded last, which need not be the one that is shown last, then gets the duration with which all of them
    together last as long as the video.
    """

    def __init__(self, plan: TargetPlan) -> None:
        fragments = plan.package is not None and plan.container == "mp4"
        counts = fragments or plan.muxer in ("mp4", "mov")
        self._kinds = [stream.type == StreamType.VIDEO and counts for stream in plan.streams]
        self._videos: dict[int, _Video] = {}

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
            end, video = pts + (packet.duration or 0), self._videos.get(index)
            if video is None:
                self._videos[index] = _Video(pts, dts, end, packet)
                continue
            ready.append(video.held)
            video.held = packet
            if pts < video.begin:
                video.begin = pts
            if end > video.end:
                video.end = end
        return ready

    def finish(self) -> Iterator[AnyPacket]:
        """Yield the packets that were held back."""
        for video in self._videos.values():
            packet = video.held
            missing = video.end - video.begin - ((packet.dts or 0) - video.decoded)
            shown = video.end - (packet.pts or 0)
            packet.duration = max(packet.duration or 0, min(missing, shown))
            # It is not shown for longer than that, but may be decoded later.
            packet.dts = (packet.dts or 0) + max(missing - packet.duration, 0)
            yield packet
