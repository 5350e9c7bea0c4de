"""Make files last as long as their video where the container counts the time of decoding."""

from collections.abc import Iterator
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

    def all_of(self, packets: Iterator[AnyPacket]) -> Iterator[AnyPacket]:
        """Yield the packets to write for `packets`."""
        if any(self._kinds):
            for packet in packets:
                yield from self.of(packet)
            yield from self.finish()
        else:
            yield from packets

    def of(self, packet: AnyPacket) -> Iterator[AnyPacket]:
        """Yield the packets to write once `packet` came."""
        index, pts, dts = packet.stream.index, packet.pts, packet.dts
        if not self._kinds[index] or pts is None or dts is None:
            yield packet
            return
        end, video = pts + (packet.duration or 0), self._videos.get(index)
        if video is None:
            self._videos[index] = _Video(pts, dts, end, packet)
            return
        yield video.held
        video.begin, video.end, video.held = min(video.begin, pts), max(video.end, end), packet

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
