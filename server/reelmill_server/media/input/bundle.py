"""Read packets in bundles: what is asked of each packet is read once, and compared and added up for all of them together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import av

from reelmill_server.media.libav.errors import check_memory
from reelmill_server.media.libav.packets import twin
from reelmill_server.media.libav.timestamps import TimeBases
from reelmill_server.media.libav.types import AnyPacket

_MOST_PACKETS, _MOST_BYTES = 256, 1 << 20


@dataclass
class Run:
    """Consecutive packets of the stream `index`, in ticks of `base`, and their values in columns.

    A duration of 0 is unknown.
    """

    index: int
    base: Any  # the type is PyAV's own
    packets: Sequence[AnyPacket]
    pts: Sequence[Any]
    dts: Sequence[Any]
    durations: list[int]
    size_bytes: int

    @classmethod
    def of(cls, index: int, base: Any, packets: Sequence[AnyPacket]) -> "Run":
        """Read the columns of `packets`."""
        return cls(
            index,
            base,
            packets,
            [packet.pts for packet in packets],
            [packet.dts for packet in packets],
            [packet.duration or 0 for packet in packets],
            sum([packet.size for packet in packets]),
        )

    @cached_property
    def timed(self) -> bool:
        """Whether all packets have both timestamps and a duration."""
        return bool(self.base) and min(self.durations) > 0 and None not in self.pts and None not in self.dts

    @cached_property
    def ordered(self) -> bool:
        """Whether no packet of a run that is `timed` is decoded before the one in front of it."""
        return self.dts == sorted(self.dts)

    @cached_property
    def span(self) -> tuple[int, int]:
        """The first and the last time at which a packet of a run that is `timed` is shown."""
        return min(self.pts), max(self.pts)

    def twin(self) -> "Run":
        """Return the same packets for another output."""
        return replace(self, packets=[twin(packet) for packet in self.packets])


@dataclass
class Bundle:
    """Packets that were read one after the other, stream by stream; `order`: the stream of each.

    `over`: nothing follows; `error`: why, if reading broke off.
    """

    runs: list[Run] = field(default_factory=list)
    order: list[int] = field(default_factory=list)
    over: bool = False
    error: av.error.FFmpegError | None = None


def read_bundle(packets: Iterator[AnyPacket], bases: TimeBases) -> Bundle:
    """Read the next packets, without those that mark the end of a stream. Small ones come in larger bundles."""
    bundle, packets_read, size = Bundle(over=True), list[AnyPacket](), 0
    try:
        for packet in packets:
            length = packet.size
            if not length and packet.dts is None:
                continue
            packets_read.append(packet)
            size += length
            if size >= _MOST_BYTES or len(packets_read) >= _MOST_PACKETS:
                bundle.over = False
                break
    except av.error.FFmpegError as error:
        check_memory(error)
        bundle.error = error
    bundle.order = [packet.stream_index for packet in packets_read]
    by_stream: dict[int, list[AnyPacket]] = {index: [] for index in bundle.order}
    for index, packet in zip(bundle.order, packets_read, strict=True):
        by_stream[index].append(packet)
    bundle.runs = [Run.of(index, bases.of(run[0], index), run) for index, run in by_stream.items()]
    return bundle
