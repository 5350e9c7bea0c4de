"""Hold frames that are shown after the end of a copy, until one comes that is in it and may refer to them."""

from collections.abc import Sequence
from fractions import Fraction

from reelmill_server.media.libav.packets import shown_at
from reelmill_server.media.libav.timestamps import exact
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.track.measures import Measures

_PAUSE = Fraction(1, 2)
_FRAMES_AHEAD = 4  # so many frames are decoded before one that is shown before them, at least


class LaterFrames:
    """The packets of one part that are decoded within the span, and shown after it."""

    def __init__(self, video: bool) -> None:
        self._video = video
        self._held: list[AnyPacket] = []
        self._pause: int | None = None  # by how much what lies beyond the end is brought near to it

    def __bool__(self) -> bool:
        return bool(self._held)

    def add(self, packet: AnyPacket) -> None:
        """Hold a packet."""
        self._held.append(packet)

    def take(self, measures: Measures) -> Sequence[AnyPacket]:
        """Return what is held, once."""
        held, self._held = self._held, []
        if held and self._video and measures.end is not None:
            self._bring_near(held, measures, measures.end)
        return held

    def _bring_near(self, held: Sequence[AnyPacket], measures: Measures, stop: int) -> None:
        """Show frames that are decoded for earlier ones soon after the end: behind a pause, the copy would last until there."""
        pause = self._pause
        if pause is None:
            later = shown_at(held[0]) - stop - _FRAMES_AHEAD * (held[0].duration or 0)
            pause = self._pause = later if later * exact(measures.base) > _PAUSE else 0
        for packet in held if pause else ():
            packet.pts = max(shown_at(packet) - pause, stop)
