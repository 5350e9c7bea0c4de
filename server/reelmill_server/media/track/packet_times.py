"""Check that an accelerator's packets have times that its frames had, and that can be decoded."""

from typing import Any

from reelmill_server.media.libav.encoder import EncoderDown
from reelmill_server.model.plan import StreamPlan


class PacketTimes:
    """The times of frames that were given to an encoder and have not come out, in ticks of its timebase."""

    def __init__(self, plan: StreamPlan) -> None:
        self._plan = plan
        self._given: set[int] = set()
        self._last: int | None = None

    def give(self, ticks: int, _: Any = None) -> None:
        """Note that the encoder is given a frame that is shown at `ticks`."""
        self._given.add(ticks)

    def check(self, packet: Any) -> None:
        """Raise EncoderDown if a packet is shown when no frame is, or decoded ahead of the last, or after it is shown."""
        if packet.pts not in self._given:
            raise self._down(f"a packet is shown at {packet.pts}, when no frame was given")
        self._given.remove(packet.pts)
        if packet.dts is not None:
            if packet.dts > packet.pts or (self._last is not None and packet.dts <= self._last):
                raise self._down(f"a packet shown at {packet.pts} is decoded at {packet.dts}, the one ahead at {self._last}")
            self._last = packet.dts

    def _down(self, what: str) -> EncoderDown:
        return EncoderDown(self._plan.encoder, self._plan.device, f"gives wrong times: {what}")
