"""Show still images for a time."""

from collections.abc import Iterator
from fractions import Fraction
from math import ceil

from reelmill_server.media.libav.timestamps import exact
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.plan.clock import finer


def held(packets: Iterator[AnyPacket], end: Fraction) -> Iterator[AnyPacket]:
    """Yield the packets of a still image, which last until `end`, seconds of the source: in AVIF, a tick may be a second."""
    for packet in packets:
        if packet.time_base:
            base = exact(packet.time_base)
            packet.time_base = tick = finer(base)  # that of the empty packet at the end, too: frames may come with it
            if packet.pts is not None:
                packet.pts = packet.dts = round(packet.pts * base / tick)
                packet.duration = max(ceil(end / tick) - packet.pts, 1)  # whatever the file claims
        yield packet
