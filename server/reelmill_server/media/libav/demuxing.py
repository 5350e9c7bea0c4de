"""Read packets of a container."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from av.container import InputContainer

# Where one recording follows another, libav's demuxer of Ogg gives the headers of FLAC as if they were frames.
_HEADED_FORMAT, _HEADED_CODEC, _FRAMES_BEGIN = "ogg", "flac", (b"\xff\xf8", b"\xff\xf9")


def packets_of(container: InputContainer, streams: Sequence[Any]) -> Iterator[Any]:
    """Yield the packets of `streams`, and an empty one for each at the end.

    Streams that appear only while packets are read (FLV, MPEG-TS) are not among them: PyAV leaves their packets out, and fails
    where it comes to their ends, after those of all others.
    """
    packets = container.demux(streams)
    headed = _headed(container, streams)
    try:
        yield from _without_headers(packets, headed) if headed else packets
    except IndexError:
        return


def _headed(container: InputContainer, streams: Iterable[Any]) -> frozenset[int]:
    """Return the streams, by index, of which the demuxer may give headers."""
    if container.format.name != _HEADED_FORMAT:
        return frozenset()
    return frozenset(stream.index for stream in streams if stream.codec_context and stream.codec_context.name == _HEADED_CODEC)


def _without_headers(packets: Iterable[Any], headed: frozenset[int]) -> Iterator[Any]:
    for packet in packets:
        if packet.stream.index in headed and packet.size and bytes(memoryview(packet)[:2]) not in _FRAMES_BEGIN:
            continue
        yield packet
