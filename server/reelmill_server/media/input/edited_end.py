"""Leave out the frames behind the end of an edit list, which demuxers give for what may refer to them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from av.container import InputContainer

from reelmill_server.media.input.claimed_end import claimed_end
from reelmill_server.media.libav.types import AnyPacket

_REORDERED = 16  # more frames are not decoded before one that is shown earlier


def hidden_from(source: InputContainer, formats: Iterable[str]) -> dict[int, int]:
    """Return from when on the frames of video streams are hidden, in ticks by index: of those whose edit list ends before their
    frames do. Only `formats` have such lists.
    """
    if source.format.name not in formats:
        return {}
    streams = [stream for stream in source.streams.video if stream.duration and _hides(stream.index_entries)]
    return {stream.index: claimed_end(stream) for stream in streams}


def _hides(entries: Any) -> bool:
    return any(entries[-place].is_discard for place in range(1, min(len(entries), _REORDERED) + 1))


def in_several_parts(stream: Any) -> bool:
    """Return whether an edit list shows parts of a stream again, or in another order: its index then goes back in time."""
    entries = stream.index_entries
    if len(entries) == stream.frames or not stream.frames:
        return False
    return any(later.timestamp < entry.timestamp for entry, later in pairwise(entries))


def without_hidden_end(packets: Iterable[AnyPacket], ends: Mapping[int, int]) -> Iterator[AnyPacket]:
    """Yield `packets`; those hidden behind the end of their stream, by `ends` as `hidden_from` returns them, come with the next
    one that is shown, which may refer to them, and not without one.
    """
    waiting: defaultdict[int, list[AnyPacket]] = defaultdict(list)
    for packet in packets:
        index = packet.stream.index  # `stream_index` of the packet that ends a stream is always 0
        if index not in ends:
            yield packet
        elif packet.is_discard and packet.pts is not None and packet.pts >= ends[index]:
            if len(waiting[index]) < _REORDERED:
                waiting[index].append(packet)
        else:
            if packet.size:
                yield from waiting[index]
            waiting[index].clear()
            yield packet
