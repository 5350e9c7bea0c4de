"""Time video where a container tells only when it is decoded.

libav may add the delay for which a stream's headers leave room, although no frame is reordered: all would be shown late. Of
codecs whose frames say whether they are reordered, it shows each other frame when the next such one is decoded, but the first
frame too early, and the last as soon as the one before it, or too soon after it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from av.codec.context import Flags
from av.container import InputContainer

from reelmill_server.media.libav.codec_names import codec_name
from reelmill_server.plan.clock import COUNTING_FORMATS, DECODING_FORMATS, TELLING_B_FRAMES, UNSURE_FORMATS

_MOST_HELD = 4096
_UNTOLD = (("asf", "mpeg2video"), ("asf_o", "mpeg2video"))  # of which libav shows each frame when the next one is decoded
_PACKED = re.compile(rb"DivX\d+(?:b|Build)\d+p")  # several frames in a packet, of which libav tells wrong times


def delay(stream: Any) -> int:
    """Return by how many ticks the packets of a stream are moved ahead: those of reordered video in a format that counts from
    the first packet, beside audio that begins with it. One frame is decoded before the first is shown.
    """
    if stream.type != "video" or stream.container.format.name not in COUNTING_FORMATS or not stream.codec_context:
        return 0
    if is_packed(stream):
        return 0
    return int(bool(stream.codec_context.has_b_frames) and codec_name(stream.codec_context) in TELLING_B_FRAMES)


def is_packed(stream: Any) -> bool:
    """Return whether packets of a stream of MPEG-4 hold a frame and the one that is shown before it, or nothing."""
    return bool(_PACKED.search(stream.codec_context.extradata or b""))


def counts_decoding(stream: Any) -> bool:
    """Return whether of the packets of a stream only the decode timestamps lie on the clock of the streams beside it."""
    return stream.container.format.name in COUNTING_FORMATS and not delay(stream)


def timed_by_decoding(source: InputContainer, streams: Sequence[Any], packets: Iterator[Any]) -> Iterator[Any]:
    """Return `packets` of `source`; those of video that is not reordered are shown when they are decoded."""
    if source.format.name not in DECODING_FORMATS:
        return packets
    videos = [stream for stream in streams if stream.type == "video" and stream.codec_context]
    packets = _decoded_in_turn(packets, {stream.index for stream in videos})
    telling = {stream.index for stream in videos if codec_name(stream.codec_context) in TELLING_B_FRAMES}
    in_order = {stream.index for stream in videos if not stream.codec_context.has_b_frames} - telling
    delayed = {stream.index for stream in videos if stream.codec_context.has_b_frames} & telling
    packets = _at_decoding(packets, in_order) if in_order else packets
    packets = _by_the_next(packets, delayed) if delayed else packets
    moved = {stream.index: ticks for stream in videos if (ticks := delay(stream))}
    return _ahead(packets, moved) if moved else packets


def counts_all(streams: Sequence[Any]) -> Sequence[Any]:
    """Return those of `streams` of which the decoder's output alone tells when frames are shown; maybe, where the format is not
    sure. Their decoders are to give frames before a keyframe that they cannot decode, too: they count.
    """
    counting = [stream for stream in streams if _counts_all(stream)]
    for stream in counting:
        stream.codec_context.flags |= Flags.output_corrupt
    return counting


def _counts_all(stream: Any) -> bool:
    if stream.type != "video" or stream.container.format.name not in (*DECODING_FORMATS, *UNSURE_FORMATS):
        return False
    context = stream.codec_context
    if not context or not context.has_b_frames:
        return False
    name = codec_name(context)
    untold = name not in TELLING_B_FRAMES or (stream.container.format.name, name) in _UNTOLD
    return untold or is_packed(stream)


def one_after_another(streams: Sequence[Any], packets: Iterator[Any]) -> Iterator[Any]:
    """Return `packets` of a source that may tell only when reordered frames are decoded: those of `streams` without a gap
    between them leave it open when they are shown. Frames without a time follow the one before them, the first of them is shown
    when the first packet is decoded.
    """
    return _without_times(packets, {stream.index for stream in streams})


def _without_times(packets: Iterator[Any], indexes: set[int]) -> Iterator[Any]:
    next_time: dict[int, int] = {}  # of streams of which a keyframe has come
    first: dict[int, Any] = {}  # that keyframe, until the packet behind it comes
    held: list[Any] = []  # from there on
    for packet in packets:
        index, pts = packet.stream_index, packet.pts
        if index in indexes and pts is not None and (index in next_time or packet.is_keyframe):
            if index not in next_time:
                first[index] = packet
            elif pts != next_time[index]:
                indexes.discard(index)  # it tells when they are shown
                first.pop(index, None)
            else:
                for counting in (first.pop(index, packet), packet):
                    counting.pts, counting.dts = None, counting.pts if counting.pts is not None else counting.dts
            next_time[index] = pts + (packet.duration or 0)
        held.append(packet)
        if not first or len(held) > _MOST_HELD:
            yield from held
            held, first = [], {}
    yield from held


def _decoded_in_turn(packets: Iterator[Any], indexes: set[int]) -> Iterator[Any]:
    """Yield the packets; those of streams in `indexes` without a time, as libav leaves one behind the front of ASF when it has
    sought it, are decoded when the one before them ends.
    """
    ends: dict[int, int] = {}
    for packet in packets:
        index = packet.stream_index
        if index in indexes and packet.size:
            if packet.dts is None and index in ends:
                packet.dts = ends[index]
            if packet.dts is not None:
                ends[index] = packet.dts + (packet.duration or 0)
        yield packet


def _ahead(packets: Iterator[Any], ticks: Mapping[int, int]) -> Iterator[Any]:
    for packet in packets:
        if packet.stream_index in ticks and packet.dts is not None:
            packet.dts -= ticks[packet.stream_index]
            packet.pts = None if packet.pts is None else packet.pts - ticks[packet.stream_index]
        yield packet


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
            shown = before.pts if held.shown is None else max(held.shown, before.pts)
            waiting[packet.stream_index] = _HeldPacket(packet, step, shown)
            yield before  # which is moved then
    yield from map(_last, waiting.values())


def _last(held: _HeldPacket) -> Any:
    packet = held.packet
    if packet.dts == held.shown:
        packet.pts = packet.dts + held.step
    return packet
