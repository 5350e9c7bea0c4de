"""Closed captions (ATSC A/53, part 4): where frames and packets have them.

A tuple of `cc_data` has three bytes: flags (whether it is valid, and its kind), and two bytes of data. Kinds 0 and 1 are pairs
of CEA-608 for field 1 and 2, kinds 2 and 3 are CEA-708, where 3 begins a packet.
"""

import re
from collections.abc import Iterator

from av import VideoFrame
from av.sidedata.sidedata import Type

from reelmill_server.media.libav import sei
from reelmill_server.media.libav.side_data import frame_data
from reelmill_server.media.libav.types import AnyPacket

MOST = 31
"""Tuples that one frame can have."""
FIELDS, PACKET_START = (0, 1), 3
"""Kinds of tuples: pairs of CEA-608, and what begins a packet of CEA-708."""
DELETED = "sidedata=mode=delete:type=A53_CC"
"""The filter that takes captions from frames."""

_BYTES, _VALID, _KIND, _PARITY = 3, 4, 3, 0x80
_IDENTIFIER = b"GA94\x03"
_IDENTIFIED = re.compile(re.escape(_IDENTIFIER))
_COUNTRY = b"\xb5\x00\x31"  # before the identifier in SEI messages (ITU-T T.35), not in MPEG-2
_REGISTERED = 4  # the type of SEI messages by ITU-T T.35
PLACE_BYTES = 1 << 17
"""So far into a packet captions are looked for: they come before the slices of a frame, or of its fields."""
CODECS = sei.CODECS
"""Codecs (libav's names) whose encoders write captions, or whose packets can be given some."""


def kind_of(part: bytes) -> int:
    """Return the kind of a tuple."""
    return part[0] & _KIND


def tuples(data: bytes) -> Iterator[bytes]:
    """Yield the valid tuples of `cc_data`."""
    for begin in range(0, len(data) - _BYTES + 1, _BYTES):
        if data[begin] & _VALID:
            yield data[begin : begin + _BYTES]


def is_filler(part: bytes) -> bool:
    """Return whether a tuple only fills its place: a pair of CEA-608 of two zeros, without their parity."""
    return kind_of(part) in FIELDS and not (part[1] | part[2]) & ~_PARITY


def in_frame(frame: VideoFrame, codec: str) -> bytes:
    """Return the `cc_data` of a decoded frame of `codec` (libav's name), empty if it has none."""
    return frame_data(frame, codec, Type.A53_CC) or b""


def in_packet(packet: AnyPacket, end: int = PLACE_BYTES) -> bytes:
    """Return the `cc_data` of a packet of H.264, H.265 or MPEG-2, of all its fields, empty if it has none before `end`."""
    data, captions = memoryview(packet)[:end], b""
    for match in _IDENTIFIED.finditer(data):  # in place: a copy of each packet costs as much as the search
        rest = bytes(data[match.end() : match.end() + 2 * _BYTES * (MOST + 1)])
        if data[match.start() - len(_COUNTRY) : match.start()] == _COUNTRY:
            rest = rest.replace(b"\0\0\3", b"\0\0")
        if rest:
            captions += rest[2 : 2 + (rest[0] & MOST) * _BYTES]
    return captions


def with_captions(packet: AnyPacket, codec: str, data: bytes) -> AnyPacket:
    """Return a packet of H.264 or H.265 with start codes, and with `data` (at most 31 tuples) as its captions."""
    payload = _COUNTRY + _IDENTIFIER + bytes((0x40 | len(data) // _BYTES, 0xFF)) + data + b"\xff"
    return sei.with_messages(packet, codec, ((_REGISTERED, payload),))
