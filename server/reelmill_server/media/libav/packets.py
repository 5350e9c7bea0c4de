"""Packets: twins for several outputs, and when they are shown."""

from reelmill_server.media.libav.types import AnyPacket


def twin(packet: AnyPacket, copy: AnyPacket | None = None) -> AnyPacket:
    """Return a packet with the same bytes (shared) and with a stream and timestamps of its own, since muxing changes those.

    `copy`: a packet with other bytes that is to become the twin.
    """
    copy = AnyPacket(packet) if copy is None else copy  # type: ignore[arg-type]
    copy.pts, copy.dts, copy.duration = packet.pts, packet.dts, packet.duration
    copy.time_base, copy.is_keyframe = packet.time_base, packet.is_keyframe
    for data in packet.iter_sidedata():
        copy.set_sidedata(data)
    return copy


def shown_at(packet: AnyPacket) -> int:
    """Return when a packet is shown, or decoded if its container does not say that, in its ticks."""
    return (packet.dts if packet.pts is None else packet.pts) or 0
