"""Put SEI messages into packets of H.264 and H.265: what an encoder was not told, or does not write."""

import re
from collections.abc import Callable, Mapping, Sequence
from struct import pack

from reelmill_server.media.libav.packets import twin
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.model.media_info import ContentLight, MasteringDisplay

_START_CODE = re.compile(rb"\x00?\x00\x00\x01")
_ESCAPED = re.compile(rb"\x00\x00(?=[\x00-\x03])")
_HEADERS: Mapping[str, bytes] = {"h264": b"\x06", "hevc": b"\x4e\x01"}
_IS_SLICE: Mapping[str, Callable[[int], bool]] = {
    "h264": lambda byte: 1 <= byte & 0x1F <= 5,
    "hevc": lambda byte: byte >> 1 & 0x3F < 32,
}
CODECS = tuple(_HEADERS)
"""Codecs (libav's names) that have such messages."""
Message = tuple[int, bytes]
"""Type and payload, of at most 254 bytes, of a message."""
# ITU-T H.265, table D.1
_MASTERING_DISPLAY, _CONTENT_LIGHT = 137, 144


def with_messages(packet: AnyPacket, codec: str, messages: Sequence[Message]) -> AnyPacket:
    """Return a packet, whose units have start codes, with these messages before its first slice."""
    data = bytes(packet)
    for match in _START_CODE.finditer(data):
        if match.end() < len(data) and _IS_SLICE[codec](data[match.end()]):
            place, units = match.start(), b"".join(_unit(codec, *message) for message in messages)
            changed = AnyPacket(data[:place] + units + data[place:])
            changed.stream = packet.stream
            return twin(packet, changed)
    return packet


def hdr_messages(display: MasteringDisplay | None, light: ContentLight | None) -> tuple[Message, ...]:
    """Return the messages of HDR10 metadata (ITU-T H.265, D.2.28 and D.2.35)."""
    messages: list[Message] = []
    if display:
        points = (*display.green, *display.blue, *display.red, *display.white)
        messages.append((_MASTERING_DISPLAY, pack(">8H2I", *points, display.max_luminance, display.min_luminance)))
    if light:
        messages.append((_CONTENT_LIGHT, pack(">2H", light.max_content, light.max_average)))
    return tuple(messages)


def _unit(codec: str, kind: int, payload: bytes) -> bytes:
    """Return the NAL unit of a message."""
    return b"\0\0\0\1" + _HEADERS[codec] + _ESCAPED.sub(b"\0\0\3", bytes((kind, len(payload))) + payload + b"\x80")
