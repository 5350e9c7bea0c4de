"""Put what the steps of a writing thread make in the order of the steps, while other threads make some of it."""

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice

from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.track.shared_audio import PendingPackets

# Steps whose packets wait for those of an earlier one. More would only take memory: the encoder beside them is behind.
_MOST_WAITING = 32
_BUNDLE_PACKETS = 64  # silence for a long gap comes at once

Packets = list[AnyPacket] | Iterator[AnyPacket]


class InOrder:
    """The packets of steps, in their order: what comes later keeps what was made after it waiting."""

    def __init__(self) -> None:
        self._waiting: deque[Packets] = deque()

    def add(self, packets: Packets) -> Iterator[Sequence[AnyPacket]]:
        """Carry out a step that has given `packets`; yield what is ready."""
        if not self._waiting and not isinstance(packets, PendingPackets):
            yield from _bundles(packets)
            return
        self._waiting.append(packets if isinstance(packets, PendingPackets) else list(packets))
        while self._waiting and (len(self._waiting) > _MOST_WAITING or _is_ready(self._waiting[0])):
            yield from _bundles(self._waiting.popleft())

    def rest(self) -> Iterator[Sequence[AnyPacket]]:
        """Yield everything, once it is ready."""
        while self._waiting:
            yield from _bundles(self._waiting.popleft())

    def settle(self) -> None:
        """Wait until everything that was added is made."""
        self._waiting = deque([list(packets) for packets in self._waiting])


def _is_ready(packets: Packets) -> bool:
    return not isinstance(packets, PendingPackets) or packets.ready


def _bundles(packets: Packets) -> Iterator[Sequence[AnyPacket]]:
    if isinstance(packets, list):
        yield packets
        return
    while bundle := list(islice(packets, _BUNDLE_PACKETS)):
        yield bundle
