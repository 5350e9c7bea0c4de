"""Show still images for a time."""

from collections.abc import Iterator
from fractions import Fraction

from reelmill_server.media.libav.timestamps import exact
from reelmill_server.media.libav.types import AnyPacket


def held(packets: Iterator[AnyPacket], end: Fraction) -> Iterator[AnyPacket]:
    """Yield the packets of a still image, which last until `end`, seconds of the source, or a little longer."""
    for packet in packets:
        if packet.pts is not None and packet.time_base:
            ticks = -(-end // exact(packet.time_base)) - packet.pts
            packet.duration = max(int(ticks), 1)  # whatever the file claims: AVIF says a second
        yield packet
