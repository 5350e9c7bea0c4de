"""Encode the frames of H.264 at an edge of a cut."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from reelmill_server.media.libav.avc_bridge import Bridge
from reelmill_server.media.libav.avc_headers import SLICES, kind_of, timing_of
from reelmill_server.media.libav.nal_units import parted, united
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.track.edge_encoder import Edge, EdgeCodec
from reelmill_server.model.smart_cut import CutEdges


class AvcEdge(Edge):
    """An edge whose frames are shown as fields, or whole, as they were: each has the message that its packet had."""

    def __init__(
        self, codec: EdgeCodec, edges: CutEdges, wanted: Callable[[Fraction], bool], begin: Fraction | None = None
    ) -> None:
        super().__init__(codec, edges, wanted, begin)
        self._timings: dict[int, bytes] = {}

    def feed(self, packet: AnyPacket, base: Any, free: bool) -> None:
        splice = self._codec.splice
        if isinstance(splice, Bridge) and splice.own.delay_bits is not None and packet.pts is not None:
            self._timings[packet.pts] = timing_of(bytes(packet), splice.length_bytes, splice.own.delay_bits)
        super().feed(packet, base, free)

    def _spliced(self, encoded: Sequence[tuple[bytes, bool]], key: bytes | None) -> Sequence[bytes]:
        length = self._codec.splice.length_bytes
        return [
            self._timed(data, self._timings.get(packet.pts or 0, b""), length)
            for data, packet in zip(super()._spliced(encoded, key), self._encoded, strict=True)
        ]

    def _timed(self, data: bytes, timing: bytes, length: int) -> bytes:
        """Return a packet with a message before its first slice."""
        units = [*parted(data, length)]
        place = next(place for place, unit in enumerate(units) if kind_of(unit) in SLICES)
        return united([*units[:place], timing, *units[place:]], length) if timing else data
