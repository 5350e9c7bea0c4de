"""Tell how long the frame is shown that is shown last, in packets that come in decoding order."""

from collections.abc import Sequence

from reelmill_server.media.libav.packets import shown_at
from reelmill_server.media.libav.types import AnyPacket

_MOST_HELD = 64  # more frames are not decoded between two that are shown one after the other


class LastShown:
    """Hold packets back from the one that is shown last so far, and end no packet after the next such one begins.

    A demuxer's durations may be distances of decode timestamps: with B-frames, the one before a pause has another's.
    """

    def __init__(self) -> None:
        self._held: list[AnyPacket] = []  # the first one is shown last

    def push(self, packet: AnyPacket) -> Sequence[AnyPacket]:
        """Return the packets whose ends are known once `packet` came."""
        if self._held and (shown_at(packet) > shown_at(self._held[0]) or len(self._held) >= _MOST_HELD):
            last = self._held[0]
            # Frames that are decoded later may be shown between the two.
            end = min(shown_at(packet), shown_at(last) + (last.duration or 0)) if last.duration else shown_at(packet)
            ready = self.end(end)
            self._held.append(packet)
            return ready
        self._held.append(packet)
        return ()

    def push_all(
        self, packets: Sequence[AnyPacket], begins: Sequence[int], durations: Sequence[int]
    ) -> Sequence[Sequence[AnyPacket]]:
        """Return what `push` returns for each of `packets`, which begin and last as the columns say."""
        waiting, ready = self._held, list[Sequence[AnyPacket]]()
        top, lasts = (shown_at(waiting[0]), waiting[0].duration or 0) if waiting else (0, 0)
        for packet, begin, length in zip(packets, begins, durations, strict=True):
            if waiting and begin <= top and len(waiting) < _MOST_HELD:
                if begin + length > top:
                    packet.duration = max(top - begin, 0)
                waiting.append(packet)
                ready.append(())
                continue
            if waiting:
                until = begin - top
                if until < lasts or not lasts:
                    waiting[0].duration = until if until > 0 else lasts or 1
            ready.append(waiting)
            waiting, top, lasts = [packet], begin, length
        self._held = waiting
        return ready

    def end(self, end: int) -> Sequence[AnyPacket]:
        """Return the packets that are left; the last shown one lasts until `end`, in their ticks."""
        ready, self._held = self._held, []
        for packet in ready[1:]:
            packet.duration = max(min(packet.duration or 0, shown_at(ready[0]) - shown_at(packet)), 0)
        if ready:
            shown = end - shown_at(ready[0])
            # Within a tick of the end it is shown for a tick; one that was read ahead lies beyond the end, and stays as it is.
            ready[0].duration = max(shown, 1) if shown >= 0 else ready[0].duration or 1
        return ready
