"""Time video where a container tells only when it is decoded.

libav may add the delay for which a stream's headers leave room, although no frame is reordered: all would be shown late. Of
codecs whose frames say whether they are reordered, it shows each other frame when the next such one is decoded, but the first
frame too early, and the last as soon as the one before it, or too soon after it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from av.container import InputContainer

from reelmill_server.media.libav.codec_names import codec_name
from reelmill_server.plan.clock import DECODING_FORMATS, TELLING_B_FRAMES


def timed_by_decoding(source: InputContainer, streams: Sequence[Any], packets: Iterator[Any]) -> Iterator[Any]:
    """Return `packets` of `source`; those of video that is not reordered are shown when they are decoded."""
    if source.format.name not in DECODING_FORMATS:
        return packets
    videos = [stream for stream in streams if stream.type == "video" and stream.codec_context]
    telling = {stream.index for stream in videos if codec_name(stream.codec_context) in TELLING_B_FRAMES}
    in_order = {stream.index for stream in videos if not stream.codec_context.has_b_frames} - telling
    delayed = {stream.index for stream in videos if stream.codec_context.has_b_frames} & telling
    packets = _at_decoding(packets, in_order) if in_order else packets
    return _by_the_next(packets, delayed) if delayed else packets


def _at_decoding(packets: Iterator[Any], indexes: set[int]) -> Iterator[Any]:
    for packet in packets:
        if packet.stream_index in indexes and packet.dts is not None:
            packet.pts = packet.dts
        yield packet


@dataclass
class _HeldPacket:
    """A packet that waits for the next one, how much later than the one before it is decoded, and the latest time shown."""

    packet: Any
    step: int = 0
    shown: int | None = None


def _by_the_next(packets: Iterator[Any], indexes: set[int]) -> Iterator[Any]:
    """Show the first frame of each stream in `indexes` when the next one is decoded, and the last one a step after its
    decoding, unless it is a B-frame.
    """
    waiting: dict[int, _HeldPacket] = {}
    for packet in packets:
        held = waiting.get(packet.stream_index) if packet.stream_index in indexes else None
        if packet.stream_index not in indexes or (held is None and None in (packet.pts, packet.dts)):
            yield packet
        elif held is None:
            waiting[packet.stream_index] = _HeldPacket(packet)
        elif None in (packet.pts, packet.dts):
            del waiting[packet.stream_index]
            yield from (_last(held), packet)
        else:
            before, step = held.packet, packet.dts - held.packet.dts
            if held.shown is None and before.pts == before.dts and packet.pts > packet.dts:
                before.pts = packet.dts
            yield before
            shown = before.pts if held.shown is None else max(held.shown, before.pts)
            waiting[packet.stream_index] = _HeldPacket(packet, step, shown)
    yield from map(_last, waiting.values())


def _last(held: _HeldPacket) -> Any:
    packet = held.packet
    if packet.dts == held.shown:
        packet.pts = packet.dts + held.step
    return packet
