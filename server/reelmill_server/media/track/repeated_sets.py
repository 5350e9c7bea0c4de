"""Repeat the parameter sets of H.264 at keyframes that are no IDR frames, in transport streams: libav's filter does so at IDR
frames only, and neither a copy nor a segment that begins with another (open GOP, gradual refresh) could be decoded.
"""

from collections.abc import Sequence
from typing import Any

from av import Packet
from av.container import OutputContainer

from reelmill_server.media.input.bundle import Run
from reelmill_server.media.libav.avc_headers import IDR, SPS, kind_of
from reelmill_server.media.libav.nal_units import length_bytes, parted, united
from reelmill_server.media.libav.packets import twin
from reelmill_server.media.libav.parameter_sets import Unspliceable, own_sets
from reelmill_server.media.libav.types import AnyPacket

_DELIMITER = 9


class RepeatedSets:
    """The parameter sets of a stream whose units have lengths before them."""

    def __init__(self, sets: Sequence[bytes], length: int) -> None:
        self._sets, self._length = sets, length

    @classmethod
    def needed(cls, codec: str, origin: Any, output: OutputContainer) -> "RepeatedSets | None":
        """Return those of the stream `origin`, in `codec`, if `output` needs them."""
        transport = output.format.name == "mpegts" or output.options.get("hls_segment_type") == "mpegts"
        extradata = bytes(origin.codec_context.extradata or b"") if transport and codec == "h264" else b""
        if not extradata or not (length := length_bytes(codec, extradata)):
            return None
        try:
            return cls(own_sets(codec, extradata), length)
        except Unspliceable:
            return None

    def of(self, packet: AnyPacket) -> AnyPacket:
        """Return what is to be written of a packet."""
        if not packet.is_keyframe or packet.stream is None:  # what is encoded at the edges of a cut has its own
            return packet
        units = [*parted(bytes(packet), self._length)]
        if {IDR, SPS} & {kind_of(unit) for unit in units if unit}:
            return packet
        front = units[:1] if units and kind_of(units[0]) == _DELIMITER else []
        complete = twin(packet, Packet(united([*front, *self._sets, *units[len(front) :]], self._length)))
        complete.stream = packet.stream
        return complete

    def all_of(self, run: Run) -> Run:
        """Return what is to be written of a run of packets."""
        packets = [self.of(packet) for packet in run.packets]
        return run if packets == run.packets else Run.of(run.index, run.base, packets)
