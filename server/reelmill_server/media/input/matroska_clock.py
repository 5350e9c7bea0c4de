"""Tell when video of Matroska is decoded behind a seam: libav finds that out of the times of the first recording only."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any


@dataclass
class _Order:
    """The times at which the last frames of a recording are shown, `delay` of which are decoded before the first is shown."""

    delay: int = 0
    counted: bool = False
    shown: list[int] = field(default_factory=list)
    last: int | None = None
    begin: int | None = None

    def decoded(self, packet: Any) -> int | None:
        """Return when a packet is decoded; None: before the first frame of the first recording is shown."""
        if packet.is_keyframe and self.last is not None and packet.pts < self.last:
            self.shown, self.last, self.begin = [], None, packet.pts  # another recording begins
        heappush(self.shown, packet.pts)
        if len(self.shown) > self.delay:
            self.last = heappop(self.shown)
            return self.last
        return None if self.begin is None else self.begin - self.delay + len(self.shown) - 1


def reordered(packets: Iterator[Any], videos: Collection[int]) -> Iterator[Any]:
    """Yield the packets of a source; those of the streams in `videos` that libav reorders are decoded as in its first
    recording.
    """
    orders = {index: _Order() for index in videos}
    for packet in packets:
        order = orders.get(packet.stream_index)
        if order is not None and packet.size and packet.pts is not None:
            if not order.counted:
                order.counted = packet.dts is not None
                order.delay += packet.dts is None
            if not order.delay:
                del orders[packet.stream_index]
            elif (decoded := order.decoded(packet)) is not None:
                packet.dts = decoded
        yield packet
