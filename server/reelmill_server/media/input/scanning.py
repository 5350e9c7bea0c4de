"""Tell from headers alone that no frame of a stream is interlaced, so that only one has to be decoded."""

from typing import Any

from reelmill_server.media.libav.avc_headers import SPS, SequenceSet, kind_of
from reelmill_server.media.libav.codec_names import canonical_name
from reelmill_server.media.libav.nal_units import length_bytes, parted
from reelmill_server.media.libav.parameter_sets import Unspliceable, own_sets
from reelmill_server.media.libav.types import AnyPacket

_DESCRIBED = b"\1"  # as in MP4 and Matroska: parameter sets are beside the packets, and not among them


def is_surely_progressive(stream: Any) -> bool:
    """Return whether the parameter sets of a stream say that no frame is coded in fields, and none that it is shown so."""
    context = stream.codec_context
    if canonical_name(context) != "h264" or (extradata := bytes(context.extradata or b""))[:1] != _DESCRIBED:
        return False
    try:
        sets = [SequenceSet.of(unit) for unit in own_sets("h264", extradata) if kind_of(unit) == SPS]
    except (Unspliceable, ValueError, IndexError):
        return False
    return bool(sets) and not any(one.fields or one.delay_bits is not None for one in sets)


def brings_sets(packet: AnyPacket) -> bool:
    """Return whether a packet has parameter sets of its own, which hold instead of those that `is_surely_progressive` reads."""
    context = packet.stream.codec_context
    if canonical_name(context) != "h264" or not (length := length_bytes("h264", bytes(context.extradata or b""))):
        return False
    return any(kind_of(unit) == SPS for unit in parted(bytes(packet), length))
