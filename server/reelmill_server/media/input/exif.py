"""EXIF that libav does not read, or for which it refuses an image, made plain."""

import io
import struct
import warnings
import zlib
from typing import BinaryIO

from PIL import Image

_MOST_BYTES = 256 << 20  # a file is read in memory to replace a part of it
_ORIENTATION = 0x112
_ORIENTATIONS = range(2, 9)  # 1 is as without
_UNREADABLE = (OSError, ValueError, SyntaxError, struct.error, OverflowError)
_WEBP_EXIF, _JPEG_PREFIX, _WEBP_HEADER = b"EXIF", b"Exif\0\0", 12
_PNG_EXIF, _PNG_END, _PNG_HEADER = b"eXIf", b"IEND", 8


def webp_with_plain_exif(file: BinaryIO) -> BinaryIO | None:
    """Return a WebP whose EXIF lacks the six bytes that it has in JPEG, which many programs leave before it, and with which
    libav reads none; None: it is so already.
    """
    if file.seek(0, io.SEEK_END) > _MOST_BYTES:
        return None
    file.seek(0)
    data = file.read()
    at = _WEBP_HEADER
    while at + 8 < len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        begin = at + 8
        if name == _WEBP_EXIF and data.startswith(_JPEG_PREFIX, begin):
            sizes = (int.from_bytes(data[4:8], "little"), size)
            whole, own = ((value - len(_JPEG_PREFIX)).to_bytes(4, "little") for value in sizes)
            return io.BytesIO(data[:4] + whole + data[8 : at + 4] + own + data[begin + len(_JPEG_PREFIX) :])
        at = begin + size + size % 2
    return None


def png_with_plain_exif(file: BinaryIO) -> BinaryIO | None:
    """Return a PNG whose EXIF says nothing but how it is turned: libav refuses the whole image for a broken one; None: it has
    none.
    """
    end = file.seek(0, io.SEEK_END)
    at = _PNG_HEADER
    while at + 8 <= end <= _MOST_BYTES:
        file.seek(at)
        size, name = struct.unpack(">I4s", file.read(8))
        if name == _PNG_EXIF:
            file.seek(0)
            data = file.read()
            return io.BytesIO(data[:at] + _png_exif(data[at + 8 : at + 8 + size]) + data[at + 12 + size :])
        if name == _PNG_END:
            break
        at += 12 + size
    return None


def _png_exif(data: bytes) -> bytes:
    """Return a chunk with nothing but the orientation of `data`; nothing if it has none."""
    exif = Image.Exif()
    try:
        with warnings.catch_warnings(action="ignore"):  # of entries that are missing
            exif.load(data)
            turned = exif.get(_ORIENTATION)
    except _UNREADABLE:
        turned = None
    if turned not in _ORIENTATIONS:
        return b""
    plain = Image.Exif()
    plain[_ORIENTATION] = turned
    chunk = _PNG_EXIF + plain.tobytes().removeprefix(_JPEG_PREFIX)
    return struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
