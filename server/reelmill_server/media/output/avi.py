"""Let the streams of an AVI begin when they do: libav's muxer puts the first packet of each at 0, whatever its time."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import chain
from typing import Any, BinaryIO

from reelmill_server.media.libav.timestamps import exact
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.model.plan import StreamType, TargetPlan

_AVI = "avi"
_HEAD_BYTES, _LIST, _FIELD = 8, b"LIST", 4
_SCALE_AT, _RATE_AT, _START_AT = 20, 24, 28  # in a stream's header: its ticks, how many are a second, and when it begins


class LateStreams:
    """Put an empty packet in front of video that begins late, as every player knows it: the muxer fills the ticks from there to
    the first frame with more of them. Of audio, empty packets last no time: its header is to say when it begins.
    """

    def __init__(self, plan: TargetPlan, output: Any) -> None:
        """`output` is an open container."""
        self._applies, self._output, self._streams = plan.muxer == _AVI, output, plan.streams
        self.begins: dict[int, Fraction] = {}
        """When late audio begins, seconds, by the number of the stream."""

    def all_of(self, bundles: Iterator[Sequence[AnyPacket]]) -> Iterator[Sequence[AnyPacket]]:
        """Return `bundles`, of which the first ones are the first packet of each stream, with the empty packets."""
        if not self._applies:
            return bundles
        first, read = dict[int, AnyPacket](), list[Sequence[AnyPacket]]()
        for packets in bundles:
            read.append(packets)
            again = any(first.setdefault(packet.stream_index, packet) is not packet for packet in packets)
            if again or len(first) == len(self._streams):
                break
        self._output.start_encoding()  # from now on the ticks of streams are known
        decoded = {index: packet.dts * exact(packet.time_base) for index, packet in first.items() if packet.dts is not None}
        before = min((*decoded.values(), Fraction(0)))  # the muxer moves all streams ahead by as much
        late = {index for index, begin in decoded.items() if begin >= exact(self._output.streams[index].time_base) / 2}
        audio = {index for index in late if self._streams[index].type == StreamType.AUDIO}
        self.begins = {index: decoded[index] - before for index in audio}
        return chain([[self._empty(index) for index in late - audio]], read, bundles)

    def _empty(self, index: int) -> AnyPacket:
        packet, stream = AnyPacket(), self._output.streams[index]
        packet.stream, packet.pts, packet.dts, packet.time_base = stream, 0, 0, stream.time_base
        return packet


def set_beginnings(path: str, begins: Mapping[int, Fraction]) -> None:
    """Say in the headers of a finished file when streams begin, seconds, by number."""
    with open(path, "r+b") as file:
        for number, header in enumerate(_headers(file)):
            scale, rate = (_number(file, header + at) for at in (_SCALE_AT, _RATE_AT))
            if number in begins and scale:
                file.seek(header + _START_AT)
                file.write(round(begins[number] * rate / scale).to_bytes(_FIELD, "little"))


def _headers(file: BinaryIO) -> Iterator[int]:
    """Yield where the contents of the streams' headers begin."""
    for main, end in _chunks(file, 12, file.seek(0, 2), b"hdrl"):
        for stream, stream_end in _chunks(file, main, end, b"strl"):
            yield from (begin for begin, _ in _chunks(file, stream, stream_end, b"strh"))


def _chunks(file: BinaryIO, begin: int, end: int, kind: bytes) -> Iterator[tuple[int, int]]:
    """Yield where the contents of the chunks, or lists, of `kind` between two positions begin and end."""
    while begin + _HEAD_BYTES <= end:
        file.seek(begin)
        head = file.read(_HEAD_BYTES + _FIELD)
        size, is_list = int.from_bytes(head[_FIELD:_HEAD_BYTES], "little"), head[:_FIELD] == _LIST
        if (head[_HEAD_BYTES:] if is_list else head[:_FIELD]) == kind:
            yield begin + _HEAD_BYTES + (_FIELD if is_list else 0), begin + _HEAD_BYTES + size
        begin += _HEAD_BYTES + size + size % 2


def _number(file: BinaryIO, place: int) -> int:
    file.seek(place)
    return int.from_bytes(file.read(_FIELD), "little")
