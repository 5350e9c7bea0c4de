"""Have libav read samples of 24 bits that lie in 32 as integers: it takes such WAV for a form of floating point of its own."""

import struct
from io import SEEK_CUR, SEEK_END, SEEK_SET
from typing import BinaryIO

_FORMS = (b"RIFF", b"RF64")
_MOST_CHUNKS = 64  # ahead of the format
_EXTENSIBLE, _INTEGER, _BITS, _VALID_BITS = 0xFFFE, 1, 32, 24
# WAVEFORMATEXTENSIBLE: the tag, the bits of a sample, those that are valid, and the first bytes of the GUID of its form.
_FORMAT = struct.Struct("<H12xH2xH4xI")
_VALID_AT = 18


class Overlaid:
    """A file that has other bytes at one place; for one thread."""

    def __init__(self, file: BinaryIO, place: int, content: bytes) -> None:
        self._file, self._place, self._content = file, place, content
        self._at = 0

    def read(self, count: int = -1) -> bytes:
        """Return at most `count` bytes, none at the end."""
        self._file.seek(self._at)
        data = bytearray(self._file.read(count))
        for at, byte in enumerate(self._content, self._place - self._at):
            if 0 <= at < len(data):
                data[at] = byte
        self._at += len(data)
        return bytes(data)

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """Go to a position, and return it."""
        self._at = self._file.seek(offset + self._at * (whence == SEEK_CUR), SEEK_END if whence == SEEK_END else SEEK_SET)
        return self._at

    def tell(self) -> int:
        """Return the position."""
        return self._at


def with_whole_samples(file: BinaryIO, format_name: str) -> Overlaid | None:
    """Return an open file with all bits of its samples marked as valid, if libav would misread them; else None."""
    place = _format_of(file) if format_name == "wav" else 0
    if not place:
        return None
    file.seek(place)
    head = file.read(_FORMAT.size)
    if len(head) < _FORMAT.size or _FORMAT.unpack(head) != (_EXTENSIBLE, _BITS, _VALID_BITS, _INTEGER):
        return None
    return Overlaid(file, place + _VALID_AT, _BITS.to_bytes(2, "little"))


def _format_of(file: BinaryIO) -> int:
    """Return where the contents of the chunk of the format begin; 0: nowhere near the front."""
    file.seek(0)
    if file.read(4) not in _FORMS:
        return 0
    at = 12
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if head[:4] == b"fmt ":
            return at + 8
        if len(head) < 8 or head[:4] == b"data":
            return 0
        size = int.from_bytes(head[4:], "little")
        at += 8 + size + size % 2
    return 0
