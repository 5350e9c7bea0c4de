"""Read packets of a container."""

from collections.abc import Iterator, Sequence
from typing import Any

from av.container import InputContainer


def packets_of(container: InputContainer, streams: Sequence[Any]) -> Iterator[Any]:
    """Yield the packets of `streams`, and an empty one for each at the end.

    Streams that appear only while packets are read (FLV, MPEG-TS) are not among them: PyAV leaves their packets out, and fails
    where it comes to their ends, after those of all others.
    """
    try:
        yield from container.demux(streams)
    except IndexError:
        return
