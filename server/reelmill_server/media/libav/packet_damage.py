"""Mark packets that were overwritten, or never came: by their first bytes where an index leads to them, and by holes of zeros,
as downloads leave them in files.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Any

from reelmill_server.media.libav.codec_names import codec_name

_MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
_RAW = ("aac", "mp3")
_HEAD = 8
_LENGTH, _LONG = 4, 3  # bytes of the length of a NAL unit, as configurations say it
_UNITS = {"h264": 4, "hevc": 21}  # where avcC and hvcC say it
# Whose packets never begin with as many zeros.
_NEVER_EMPTY = "h264 hevc mpeg4 av1 vp9 prores dnxhd mjpeg aac mp3 mp3float ac3 eac3".split()
# Whose entropy coders give no long run of zeros; H.264 and later ones break up any of three.
_SOLID = frozenset(("h264", "hevc", "vvc", "vp8", "vp9"))
_LARGE = 4096  # bytes of a packet in which a hole is looked for
_STEP, _HITS = 512, 4  # bytes between two that are looked at; so many zeros among these, and all between them
_START_CODE_END = 1  # zeros before a start code (00 00 01) are stuffing: ITU-T H.264, annex B


@dataclass(frozen=True)
class Head:
    """What the first bytes of a packet are, which `read` returns as a number: no less than `least`, and no more than follow if
    they are a `length`.
    """

    read: Callable[[Any], tuple[int]]
    least: int
    length: bool = False


_UNIT = Head(Struct(">I").unpack_from, 1, length=True)
_FILLED = Head(Struct(">Q").unpack_from, 1)
_SYNCHRONIZED = Head(Struct(">H").unpack_from, 0xFFE0)


def heads(container: Any, streams: Iterable[Any]) -> Mapping[int, Head]:
    """Return by the index of streams how their packets begin, as far as it is known."""
    name = container.format.name
    if name in _RAW:
        return {stream.index: _SYNCHRONIZED for stream in streams if stream.type == "audio"}
    return {stream.index: head for stream in streams if name == _MP4 and (head := _head(stream))}


def _head(stream: Any) -> Head | None:
    codec = codec_name(stream.codec_context)
    data = bytes(stream.codec_context.extradata or b"") if codec in _UNITS else b""
    at = _UNITS.get(codec, 0)
    if len(data) > at and data[0] == 1 and data[at] & _LONG == _LONG:
        return _UNIT
    return _FILLED if codec in _NEVER_EMPTY else None


def solid_streams(streams: Iterable[Any]) -> frozenset[int]:
    """Return the indexes of streams whose packets have long runs of zeros only where they were damaged."""
    return frozenset(stream.index for stream in streams if codec_name(stream.codec_context) in _SOLID)


def damaged_marked(packets: Iterable[Any], begins: Mapping[int, Head], solid: Collection[int]) -> Iterator[Any]:
    """Yield the packets; those that do not begin as they must, or of `solid` streams have a hole, are marked as damaged."""
    known = {index: (head.read, head.least, head.length) for index, head in begins.items()}  # what is read of each packet
    for packet in packets:
        size, index = packet.size, packet.stream_index
        if size >= _HEAD and index in known:
            read, least, length = known[index]
            (head,) = read(packet)
            if head < least or (length and head > size - _LENGTH):
                packet.is_corrupt = True
        if size >= _LARGE and index in solid and has_hole(memoryview(packet)):
            packet.is_corrupt = True
        yield packet


def has_hole(data: memoryview) -> bool:
    """Return whether a packet of a codec that writes none has a run of 2 kB of zeros, or a little less, that is no stuffing."""
    looked_at = bytes(data[::_STEP])
    at = looked_at.find(bytes(_HITS))
    while at >= 0:
        begin, end = at * _STEP, (at + _HITS - 1) * _STEP + 1
        if not any(data[begin:end]):
            behind = bytes(data[end:]).lstrip(b"\0")
            return bool(behind) and behind[0] != _START_CODE_END
        at = looked_at.find(bytes(_HITS), at + 1)
    return False
