"""Leave out the frames behind the end of an edit list, which demuxers give for what may refer to them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

from av.container import InputContainer

from reelmill_server.media.libav.types import AnyPacket

_REORDERED = 16  # more frames are not decoded before one that is shown earlier


def hiding_streams(source: InputContainer, formats: Iterable[str]) -> frozenset[int]:
    """Return the video streams whose edit list ends before their frames do, by index. Only `formats` have such lists."""
    if source.format.name not in formats:
        return frozenset()
    return frozenset(stream.index for stream in source.streams.video if _hides(stream.index_entries))


def _hides(entries: Any) -> bool:
    return any(entries[-place].is_discard for place in range(1, min(len(entries), _REORDERED) + 1))


def in_several_parts(stream: Any) -> bool:
    """Return whether an edit list shows parts of a stream again, or in another order: its index then goes back in time."""
    entries = stream.index_entries
    if len(entries) == stream.frames or not stream.frames:
        return False
    return any(later.timestamp < entry.timestamp for entry, later in pairwise(entries))


def without_hidden_end(packets: Iterable[AnyPacket], hiding: frozenset[int]) -> Iterator[AnyPacket]:
    """Yield `packets`; hidden ones of the streams `hiding` come with the next one that is shown, and not without one."""
    held: defaultdict[int, list[AnyPacket]] = defaultdict(list)
    for packet in packets:
        index = packet.stream.index  # `stream_index` of the packet that ends a stream is always 0
        if index not in hiding:
            yield packet
        elif packet.is_discard:
            held[index].append(packet)
        else:
            if packet.size:
                yield from held[index]
            held[index].clear()
            yield packet
