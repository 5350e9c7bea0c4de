"""Let MPEG-2 that is encoded here be one sequence with a source's: its sequence header, and the flags of its frames.

Decoders take all of a sequence header from the source's but the quantization matrices, which each of them sets anew
(ISO/IEC 13818-2, 6.1.1.6).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_START_CODE = re.compile(rb"\x00\x00\x01(.)", re.DOTALL)
_SEQUENCE, _EXTENSION = 0xB3, 0xB5
_SLICES = range(0x01, 0xB0)
_OF_SEQUENCE, _OF_DISPLAY, _OF_PICTURE = 1, 2, 8  # extensions
_PLAIN_BYTES = 8  # of a sequence header, the last two bits of which say that matrices follow
_PROGRESSIVE_SEQUENCE_AT = 4 + _PLAIN_BYTES + 5  # the byte behind both start codes, the header and the profile
_LEAST_BYTES = 4  # of what is read of an extension, and one less than each has
_IS_FRAME, _BOTTOM = 3, 2  # picture_structure
_TOP_FIRST, _REPEATS, _PROGRESSIVE = 0x80, 0x02, 0x80


@dataclass(frozen=True)
class Headers:
    """Read the headers of a packet of MPEG-2 that come before its slices.

    `sequence`: its sequence header without matrices, and the extensions of it; empty: it has none. `is_progressive`: both
    fields are of one moment; `order`: which of them is shown first, and whether again, as bits of the extension of a picture.
    """

    sequence: bytes = b""
    is_progressive: bool = True
    order: int = 0

    @property
    def is_progressive_sequence(self) -> bool:
        """Return whether both fields are of one moment in all frames of the sequence."""
        return bool(self.sequence) and bool(self.sequence[_PROGRESSIVE_SEQUENCE_AT] & 8)

    @classmethod
    def of(cls, packet: bytes) -> "Headers":
        """Read a packet."""
        header, extensions, frame = b"", b"", b""
        for kind, body in _units(packet):
            extension = body[0] >> 4 if kind == _EXTENSION and len(body) > _LEAST_BYTES else 0
            if kind == _SEQUENCE and len(body) >= _PLAIN_BYTES:
                header = body[: _PLAIN_BYTES - 1] + bytes([body[_PLAIN_BYTES - 1] & 0xFC])
            elif extension == _OF_SEQUENCE or (extension == _OF_DISPLAY and extensions):
                extensions += _united(kind, body)
            elif extension == _OF_PICTURE:
                frame = frame or body
        sequence = _united(_SEQUENCE, header) + extensions if header and extensions else b""
        if not frame:
            return cls(sequence)
        structure = frame[2] & 3
        top_first = frame[3] & _TOP_FIRST if structure == _IS_FRAME else _TOP_FIRST * (structure != _BOTTOM)
        return cls(sequence, bool(frame[4] & _PROGRESSIVE), top_first | frame[3] & _REPEATS)


def begins_sequence(packet: bytes) -> bool:
    """Return whether a packet of MPEG-2 has the sequence header without which a decoder cannot begin."""
    return bool(Headers.of(packet).sequence)


def as_sequence(packet: bytes, sequence: bytes, order: int) -> bytes:
    """Return an encoded packet as one of `sequence`, with the `order` of its fields (`Headers`), of which none is shown again
    if they are of two moments.
    """
    written = b""
    for kind, body in _units(packet, to_end=True):
        extension = body[0] >> 4 if kind == _EXTENSION else 0
        if kind == _SEQUENCE:
            written += sequence
        elif extension == _OF_PICTURE:
            written += _united(kind, _ordered(body, order))
        elif extension not in (_OF_SEQUENCE, _OF_DISPLAY):
            written += _united(kind, body)
    return written


def _ordered(extension: bytes, order: int) -> bytes:
    kept = order if extension[4] & _PROGRESSIVE else order & _TOP_FIRST
    return extension[:3] + bytes([extension[3] & ~(_TOP_FIRST | _REPEATS) | kept]) + extension[4:]


def _united(kind: int, body: bytes) -> bytes:
    return b"\0\0\1" + bytes([kind]) + body


def _units(packet: bytes, to_end: bool = False) -> Iterator[tuple[int, bytes]]:
    """Yield what precedes the first slice, each by its kind and what follows its start code; `to_end`: and all from it on."""
    kind, begin = -1, 0
    for match in _START_CODE.finditer(packet):
        if kind >= 0:
            yield kind, packet[begin : match.start()]
        kind, begin = match[1][0], match.end()
        if kind in _SLICES:
            break
    if kind >= 0 and (to_end or kind not in _SLICES):
        yield kind, packet[begin:]
