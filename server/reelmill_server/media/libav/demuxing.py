"""Read packets of a container."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from av.container import InputContainer

_FLAC, _AC3 = (b"\xff\xf8", b"\xff\xf9"), (b"\x0b\x77", b"\x77\x0b")
# How frames begin, by format and codec, where libav's demuxers give something else, too: in Ogg the headers of FLAC where one
# recording follows another, in MPEG-PS the end of the frame in which it begins.
_BEGINNINGS = {("ogg", "flac"): _FLAC, ("mpeg", "ac3"): _AC3, ("mpeg", "eac3"): _AC3}
_ANYWHERE = _FLAC


def packets_of(container: InputContainer, streams: Sequence[Any]) -> Iterator[Any]:
    """Yield the packets of `streams`, and an empty one for each at the end.

    Streams that appear only while packets are read (FLV, MPEG-TS) are not among them: PyAV leaves their packets out, and fails
    where it comes to their ends, after those of all others.
    """
    packets = container.demux(streams)
    beginnings = {
        stream.index: beginning
        for stream in streams
        if stream.codec_context and (beginning := _BEGINNINGS.get((container.format.name, stream.codec_context.name)))
    }
    try:
        yield from _frames(packets, beginnings) if beginnings else packets
    except IndexError:
        return


def _frames(packets: Iterable[Any], beginnings: Mapping[int, Sequence[bytes]]) -> Iterator[Any]:
    """Yield the packets that are frames. Later ones that are none are damaged, which their decoder tells."""
    expected, early = dict(beginnings), dict[int, int]()
    for packet in packets:
        index = packet.stream.index
        if packet.size and (known := expected.get(index)):
            if bytes(memoryview(packet)[:2]) not in known:
                early[index] = packet.duration or 0
                continue
            if known is not _ANYWHERE:
                del expected[index]
                _set_back(packet, early.get(index, 0))
        elif index in early:
            # What is left out took the time of the first frame, and those behind it follow, up to the next that has its own.
            if packet.pos is None:
                _set_back(packet, early[index])
            else:
                del early[index]
        yield packet


def _set_back(packet: Any, ticks: int) -> None:
    if packet.pts is not None and packet.dts is not None:
        packet.pts, packet.dts = packet.pts - ticks, packet.dts - ticks
