"""Say how long the last frame of an animation is shown: libav's muxers want to know before the first is written."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from struct import Struct
from typing import BinaryIO

_GIF_DELAY = Struct("<H")  # of a graphic control extension, in hundredths of a second
_APNG_DELAY, _CHECKSUM = Struct(">HH"), Struct(">I")  # of an fcTL chunk: numerator and denominator of seconds
_MOST = 0xFFFF


@dataclass(frozen=True)
class _Form:
    """`trailer`: bytes after the last packet; `mark`: how that one begins; `write` a delay into the one at a position."""

    trailer: int
    mark: bytes
    write: Callable[[BinaryIO, int, Fraction], None]


def set_last_delay(path: Path, form: str, packet_bytes: int, delay: Fraction) -> None:
    """Show the last frame of the finished GIF or APNG file at `path` for `delay` seconds; its packet has `packet_bytes`.

    An APNG of a single frame has no delays.
    """
    described = _FORMS[form]
    with path.open("r+b") as file:
        position = file.seek(0, 2) - described.trailer - packet_bytes
        file.seek(max(position, 0))
        if file.read(len(described.mark)) != described.mark:  # a single packet of GIF has the file's header in it
            file.seek(0)
            position = file.read().find(described.mark)
        if position >= 0:
            described.write(file, position, delay)


def _write_gif(file: BinaryIO, position: int, delay: Fraction) -> None:
    file.seek(position + 4)
    file.write(_GIF_DELAY.pack(min(round(delay * 100), _MOST)))


def _write_apng(file: BinaryIO, position: int, delay: Fraction) -> None:
    seconds = delay.limit_denominator(1000) if delay < _MOST // 1000 else Fraction(round(delay))
    file.seek(position + 4)
    chunk = bytearray(file.read(30))
    chunk[24:28] = _APNG_DELAY.pack(min(seconds.numerator, _MOST), seconds.denominator)
    file.seek(position + 4)
    file.write(chunk + _CHECKSUM.pack(zlib.crc32(chunk)))


_FORMS = {
    "gif": _Form(1, b"\x21\xf9\x04", _write_gif),
    "apng": _Form(12, b"\x00\x00\x00\x1afcTL", _write_apng),
}
