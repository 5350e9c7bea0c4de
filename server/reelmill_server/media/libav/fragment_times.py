"""Keep what libav would leave out of MP4 whose fragments claim wrong times, as ffmpeg's `frag_every_frame` writes them.

Such a fragment claims to begin when the one behind it does. Decoders show nothing of that one: libav takes what does not go
ahead in time for hidden.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from reelmill_server.media.libav.packets import twin

_MOST_HELD, _MOST_HELD_BYTES = 4096, 64 << 20  # of packets that wait for one of a stream, which may have ended
_COMPARED = 64  # bytes, at both ends of a packet


class _Before(NamedTuple):
    """A packet as it was given: whoever took it may have changed it since."""

    dts: int | None
    duration: int
    bytes: bytes


def is_fragmented(streams: Iterable[Any]) -> bool:
    """Return whether MP4 has samples of `streams` that its header does not list, or not all of them."""
    return any(stream.frames <= 1 or len(stream.index_entries) != stream.frames for stream in streams)


def in_own_time(packets: Iterable[Any]) -> Iterator[Any]:
    """Yield the packets of fragmented MP4; one that claims the time of the one before it, and differs from it, is not hidden.
    The one before it begins earlier by its length if nothing lies there.
    """
    before: dict[int, _Before] = {}
    held: list[Any] = []  # from a packet on that begins later than the one before it ends, by its own length
    held_for, held_bytes = -1, 0
    for given in packets:
        index = given.stream.index
        last, packet = before.get(index), given
        if last is not None and given.is_discard and given.dts == last.dts and _ends_of(given) != last.bytes:
            packet = _heard(given)
            if held_for == index:
                _set_back(held[0])
        if held_for == index:
            yield from held
            held, held_for, held_bytes = [], -1, 0
        before[index] = _Before(packet.dts, packet.duration or 0, _ends_of(packet))
        if held_for < 0 and last is not None and _begins_late(last, packet):
            held_for = index
        if held_for < 0:
            yield packet
            continue
        held.append(packet)
        held_bytes += packet.size
        if len(held) > _MOST_HELD or held_bytes > _MOST_HELD_BYTES:
            yield from held
            held, held_for, held_bytes = [], -1, 0
    yield from held


def _begins_late(last: _Before, packet: Any) -> bool:
    if last.dts is None or packet.dts is None or not packet.duration:
        return False
    return bool(packet.dts - packet.duration == last.dts + last.duration)


def _ends_of(packet: Any) -> bytes:
    data = memoryview(packet)
    return bytes(data[:_COMPARED]) + bytes(data[-_COMPARED:])


def _heard(packet: Any) -> Any:
    """Return a packet without the mark that it is hidden, which cannot be taken off."""
    copy = twin(packet)
    copy.stream = packet.stream
    return copy


def _set_back(packet: Any) -> None:
    packet.dts -= packet.duration
    if packet.pts is not None:
        packet.pts -= packet.duration
