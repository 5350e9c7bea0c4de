"""Leave out of copies the frames that an edit list hides and no frame needs that is shown."""

from collections.abc import Sequence

from reelmill_server.media.libav.types import AnyPacket

_MOST_BYTES = 64 << 20


class HiddenFrames:
    """Hold copied frames that are shown before the span, until one comes that is in it and may need them.

    A keyframe makes all before it needless; if it is shown later than the span begins, frames between may still refer to them.
    `dropped` counts frames that were left out. Of very long groups of pictures no more than `_MOST_BYTES` are held: those are
    copied.
    """

    def __init__(self) -> None:
        self.dropped = self._bytes = 0
        self._held: list[AnyPacket] = []
        self._key: int | None = None  # when the last keyframe at or before the beginning is shown

    def push(self, packet: AnyPacket, shown: int, begin: int) -> Sequence[AnyPacket]:
        """Return what is to be copied, in order, as a packet comes that is `shown` then, of a span that begins at `begin`."""
        if packet.is_keyframe and shown <= begin:
            self.dropped += len(self._held)
            self._held.clear()
            self._bytes, self._key = 0, shown
        if shown >= begin or self._bytes > _MOST_BYTES:
            needed, self._held, self._bytes = [*self._held, packet], [], 0
            return needed
        if self._key is not None and shown < self._key:  # of an open GOP: it refers to what was before the keyframe
            self.dropped += 1
        else:
            self._held.append(packet)
            self._bytes += packet.size
        return ()
