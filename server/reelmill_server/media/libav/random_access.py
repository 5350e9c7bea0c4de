"""Tell whether a decoder can start at a packet that is marked as a keyframe.

Demuxers and parsers also mark where decoding recovers after a while (gradual refresh), or from where on only what follows in
time is whole (open GOP).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from reelmill_server.media.libav.avc_headers import recovers, refreshes
from reelmill_server.media.libav.mpeg2 import begins_sequence
from reelmill_server.media.libav.nal_units import START_CODE, length_bytes
from reelmill_server.media.libav.types import AnyPacket

_PLACE_BYTES = 1 << 16  # parameter sets and messages come before the first slice
_IDR = 5
_SEQUENCE_HEADER, _DELIMITER = 1, 2  # of AV1's OBUs
_IRAP = range(16, 22)  # IDR, BLA, CRA: what makes a CRA frame depend on the GOP before are frames shown before it


def starts_decoding(packet: AnyPacket, codec: str) -> bool:
    """Return whether the keyframe in `packet` of `codec` (libav's name) needs no frame before it."""
    if own := _BEGINNINGS.get(codec):
        return own(bytes(memoryview(packet)[:_PLACE_BYTES]))
    kind_of, slices, alone = _RULES.get(codec, (None, (), ()))
    if kind_of is None:
        return True
    data, extradata = bytes(memoryview(packet)[:_PLACE_BYTES]), bytes(packet.stream.codec_context.extradata or b"")
    kinds = (kind_of(data[place]) for place in _units(data, length_bytes(codec, extradata)) if place < len(data))
    return next((kind in alone for kind in kinds if kind in slices), False)


def recovers_at(packet: AnyPacket, codec: str) -> bool:
    """Return whether the keyframe in `packet` is a recovery point of H.264, before which nothing is needed by what is shown
    after it.
    """
    extradata = bytes(packet.stream.codec_context.extradata or b"")
    return codec == "h264" and recovers(bytes(packet), length_bytes(codec, extradata))


def refreshes_gradually(packet: AnyPacket, codec: str) -> bool:
    """Return whether all of a frame is whole only some frames after the keyframe in `packet`: decoders show none until then."""
    if codec != "h264":
        return False
    extradata = bytes(packet.stream.codec_context.extradata or b"")
    return refreshes(bytes(memoryview(packet)[:_PLACE_BYTES]), length_bytes(codec, extradata))


_RULES: Mapping[str, tuple[Callable[[int], int], Any, Any]] = {
    "h264": (lambda byte: byte & 0x1F, range(1, 6), (_IDR,)),
    "hevc": (lambda byte: byte >> 1 & 0x3F, range(32), _IRAP),
}
"""By codec: the type of a NAL unit by its first byte, the types of slices, and of those that need no other frame."""


def _has_sequence_header(data: bytes) -> bool:
    """Return whether a temporal unit of AV1 begins with the header of its sequence, maybe behind a delimiter (5.3.2)."""
    place = 0
    while place < len(data):
        kind, extended, sized = data[place] >> 3 & 15, data[place] >> 2 & 1, data[place] >> 1 & 1
        if kind != _DELIMITER or not sized:
            return kind == _SEQUENCE_HEADER
        place += 2 + extended  # a delimiter is empty
    return False


_BEGINNINGS: Mapping[str, Callable[[bytes], bool]] = {"av1": _has_sequence_header, "mpeg2video": begins_sequence}
"""By codec: whether a keyframe has the header without which decoding cannot begin."""


def _units(data: bytes, length: int) -> Iterator[int]:
    """Yield where NAL units begin."""
    if not length:
        yield from (match.end() for match in START_CODE.finditer(data))
        return
    place = 0
    while place + length < len(data):
        yield place + length
        place += length + int.from_bytes(data[place : place + length])
