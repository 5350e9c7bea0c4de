"""See by its first bytes that a packet holds something else: an index leads to bytes that were overwritten, or never came."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from reelmill_server.media.libav.codec_names import codec_name

_MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
_RAW = ("aac", "mp3")
_HEAD = 8
_EMPTY = bytes(_HEAD)
_LENGTH, _LONG = 4, 3  # bytes of the length of a NAL unit, as configurations say it
_UNITS = {"h264": 4, "hevc": 21}  # where avcC and hvcC say it
# Whose packets never begin with as many zeros.
_NEVER_EMPTY = "h264 hevc mpeg4 av1 vp9 prores dnxhd mjpeg aac mp3 mp3float ac3 eac3".split()


def _is_unit(head: bytes, size: int) -> bool:
    return 0 < int.from_bytes(head[:_LENGTH], "big") <= size - _LENGTH


def _is_filled(head: bytes, _: int) -> bool:
    return head != _EMPTY


def _is_synchronized(head: bytes, _: int) -> bool:
    return head[0] == 0xFF and head[1] >= 0xE0


def head_checks(container: Any, streams: Iterable[Any]) -> Mapping[int, Callable[[bytes, int], bool]]:
    """Return by the index of streams what tells whether the first bytes of a packet, of a size, begin one."""
    name = container.format.name
    if name in _RAW:
        return {stream.index: _is_synchronized for stream in streams if stream.type == "audio"}
    return {stream.index: check for stream in streams if name == _MP4 and (check := _check(stream))}


def _check(stream: Any) -> Callable[[bytes, int], bool] | None:
    codec = codec_name(stream.codec_context)
    data = bytes(stream.codec_context.extradata or b"") if codec in _UNITS else b""
    at = _UNITS.get(codec, 0)
    if len(data) > at and data[0] == 1 and data[at] & _LONG == _LONG:
        return _is_unit
    return _is_filled if codec in _NEVER_EMPTY else None


def marked_by_head(packets: Iterable[Any], checks: Mapping[int, Callable[[bytes, int], bool]]) -> Iterator[Any]:
    """Yield the packets; those that do not begin as they must are marked as damaged."""
    for packet in packets:
        size = packet.size
        if size >= _HEAD and (check := checks.get(packet.stream_index)) and not check(bytes(memoryview(packet)[:_HEAD]), size):
            packet.is_corrupt = True
        yield packet
