"""Previews: small frames of an encode that runs."""

import base64
import binascii
from dataclasses import dataclass

MAX_BYTES = 8 << 10
"""Most bytes of the JPEG of a preview."""
WIDTH = 192
"""Pixels of its longer side, at most."""
_BEGINS, _ENDS = b"\xff\xd8\xff", b"\xff\xd9"


@dataclass(frozen=True)
class Preview:
    """A frame that was encoded `seconds` into an output: a JPEG as Base64, taken `taken_us` microseconds since the epoch."""

    taken_us: int
    seconds: float
    jpeg: str


def jpeg_of(text: str) -> bytes:
    """Return the JPEG that a text holds as Base64; empty if it is none, or larger than `MAX_BYTES`. It is not decoded."""
    if len(text) > 4 * (MAX_BYTES + 2) // 3:
        return b""
    try:
        jpeg = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return jpeg if len(jpeg) <= MAX_BYTES and jpeg.startswith(_BEGINS) and jpeg.endswith(_ENDS) else b""
