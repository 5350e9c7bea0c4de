"""Time video that is not reordered by when it is decoded, where a container tells only that.

libav may add the delay for which a stream's headers leave room, although no frame is reordered: all would be shown late.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from av.container import InputContainer

from reelmill_server.media.libav.codec_names import codec_name
from reelmill_server.plan.clock import DECODING_FORMATS, TELLING_B_FRAMES


def timed_by_decoding(source: InputContainer, streams: Sequence[Any], packets: Iterator[Any]) -> Iterator[Any]:
    """Return `packets` of `source`; those of video that is not reordered are shown when they are decoded."""
    indexes = {stream.index for stream in streams if _in_order(stream)} if source.format.name in DECODING_FORMATS else set()
    return _at_decoding(packets, indexes) if indexes else packets


def _in_order(stream: Any) -> bool:
    context = stream.codec_context if stream.type == "video" else None
    return context is not None and not context.has_b_frames and codec_name(context) not in TELLING_B_FRAMES


def _at_decoding(packets: Iterator[Any], indexes: set[int]) -> Iterator[Any]:
    for packet in packets:
        if packet.stream_index in indexes and packet.dts is not None:
            packet.pts = packet.dts
        yield packet
