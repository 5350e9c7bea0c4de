"""Search the packets of a stream for closed captions, no further than they can be."""

from typing import Any

from reelmill_server.media.libav.a53 import PLACE_BYTES, in_packet
from reelmill_server.media.libav.avc_headers import SPS, SequenceSet, kind_of
from reelmill_server.media.libav.nal_units import START_CODE, length_bytes
from reelmill_server.media.libav.parameter_sets import Unspliceable, own_sets
from reelmill_server.media.libav.types import AnyPacket

_AVC, _HEVC = "h264", "hevc"
_AVC_SLICES, _HEVC_SLICES = range(1, 6), range(32)


class CaptionSearch:
    """Search the packets of a stream: of H.264 and H.265, what comes before the slices of a frame.

    A packet of H.264 or MPEG-2 may hold the two fields of a frame, and the captions of the second lie behind the slices of the
    first: unless no parameter set allows fields, all of it is searched.
    """

    def __init__(self, codec: str, extradata: bytes) -> None:
        """`codec` is libav's name."""
        self._codec = codec
        self._length = length_bytes(codec, extradata) if codec in (_AVC, _HEVC) else 0
        self._has_fields: dict[int, bool] = {}
        if codec == _AVC:
            try:
                sets = own_sets(codec, extradata)
            except Unspliceable:
                sets = []
            for unit in sets:
                self._note(unit)

    def of(self, packet: AnyPacket) -> bytes:
        """Return the captions in a packet, as `a53.in_packet` does."""
        return in_packet(packet, self._end(memoryview(packet)))

    def _end(self, data: Any) -> int:
        """Return where the part of a packet ends that may have captions."""
        if self._codec not in (_AVC, _HEVC):
            return PLACE_BYTES
        return self._end_by_lengths(data) if self._length else self._end_by_start_codes(data)

    def _end_by_lengths(self, data: Any) -> int:
        place = 0
        while place + self._length < len(data):
            size = int.from_bytes(data[place : place + self._length])
            if self._is_slice(data[place + self._length]):
                return self._end_at(place)
            place += self._length + size
        return PLACE_BYTES

    def _end_by_start_codes(self, data: Any) -> int:
        begun = 0  # of a parameter set
        for match in START_CODE.finditer(data[:PLACE_BYTES]):
            if begun:
                self._note(bytes(data[begun : match.start()]))
            begun = 0
            if match.end() == len(data):
                break
            first = data[match.end()]
            if self._is_slice(first):
                return self._end_at(match.start())
            begun = match.end() if self._codec == _AVC and first & 0x1F == SPS else 0
        return PLACE_BYTES

    def _is_slice(self, first: int) -> bool:
        return (first & 0x1F) in _AVC_SLICES if self._codec == _AVC else (first >> 1 & 0x3F) in _HEVC_SLICES

    def _end_at(self, slices: int) -> int:
        framed = self._codec == _HEVC or (self._has_fields and not any(self._has_fields.values()))
        return slices if framed else PLACE_BYTES

    def _note(self, unit: bytes) -> None:
        """Take note of a parameter set."""
        if kind_of(unit) != SPS:
            return
        try:
            sequence = SequenceSet.of(unit)
        except (IndexError, ValueError):
            self._has_fields[-1] = True  # who knows
        else:
            self._has_fields[sequence.number] = sequence.fields
