"""Rewrite an image's orientation into the form that libav reads: EXIF whose orientation is a number of 32 bits, EXIF
with the prefix or as text of another format, broken EXIF, and XMP. Color profiles of hundreds of megabytes are left out.
"""

import io
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, BinaryIO

_MOST_BYTES = 256 << 20  # a file is read in memory to replace a part of it
_MOST_TEXT = 4 << 20  # of what says how an image is turned
_MOST_PROFILE = 16 << 20  # of color profiles: those of printers have some megabytes
# A hostile image may consist of nothing but empty chunks, or of such that are a thousand times as large when unpacked.
_MOST_SEGMENTS, _MOST_CHUNKS, _MOST_UNPACKED = 10_000, 1 << 18, 32
_ORIENTATION, _SHORT, _LONG, _XMP_TAG = 0x112, 3, 4, 700
_ENTRY_BYTES = 12
_KNOWN, _ORIENTATIONS = range(1, 9), range(2, 9)  # 1 is as without
_ORDERS: Mapping[bytes, Any] = {b"II*\0": "little", b"MM\0*": "big"}
_XMP = re.compile(rb"tiff:Orientation(?:\s*=\s*[\"']|>)\s*([1-8])")
_JPEG_EXIF, _JPEG_XMP, _JPEG_APP1, _JPEG_SCAN = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", 0xE1, 0xDA
_WEBP_HEADER, _WEBP_EXTENDED, _WEBP_HAS_EXIF = 12, b"VP8X", 0x08
_PNG_HEADER, _PNG_FIRST = 8, 33  # behind the first chunk
_PNG_PACKED = (b"iCCP", b"iTXt", b"zTXt", b"tEXt")
_PNG_XMP, _PNG_RAW = b"XML:com.adobe.xmp\0", b"Raw profile type exif\0"
_UNREADABLE = (ValueError, IndexError, struct.error, zlib.error)


def with_plain_exif(file: BinaryIO, format_name: str) -> BinaryIO | None:
    """Return the image in an open file, in a format of libav's name, with EXIF that says nothing but how it is turned; None:
    libav reads that as it is, or the file is too large.
    """
    make = _MAKERS.get(format_name)
    return make(file) if make and file.seek(0, io.SEEK_END) <= _MOST_BYTES else None


def _jpeg(file: BinaryIO) -> BinaryIO | None:
    exif, orientation, xmp, plain = (0, 0), 0, 0, True
    for marker, at, size in islice(_segments(file), _MOST_SEGMENTS):
        text = _read(file, at + 4, size) if marker == _JPEG_APP1 else b""
        if text.startswith(_JPEG_EXIF) and not orientation:
            orientation, plain = _of_tiff(text[len(_JPEG_EXIF) :])
            exif = at, at + 4 + size
        elif text.startswith(_JPEG_XMP):
            xmp = xmp or _of_xmp(text)
    if (orientation and plain) or not (orientation or xmp):
        return None
    data = _read(file, 0, _MOST_BYTES)
    segment = _JPEG_EXIF + _plain(orientation or xmp)
    head = data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment
    return io.BytesIO(head + data[2 : max(exif[0], 2)] + data[max(exif[1], 2) :])


def _segments(file: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """Yield the markers of JPEG before its scan, where each is, and how many bytes follow its length."""
    at = 2
    while len(head := _read(file, at, 4)) == 4 and head[0] == 0xFF and head[1] != _JPEG_SCAN:
        size = int.from_bytes(head[2:])
        if size < 2:
            return
        yield head[1], at, size - 2
        at += 2 + size


def _webp(file: BinaryIO) -> BinaryIO | None:
    data = _read(file, 0, _MOST_BYTES)
    chunks = [(at, data[at : at + 4], size) for at, size in islice(_webp_chunks(data), _MOST_CHUNKS)]
    if len(chunks) == _MOST_CHUNKS or not chunks or chunks[0][1] != _WEBP_EXTENDED or not chunks[0][2]:
        return None
    orientation = xmp = 0
    plain, kept = True, [data[:_WEBP_HEADER]]
    for at, name, size in chunks:
        text = data[at + 8 : at + 8 + size]
        if name == b"EXIF":
            orientation, plain = _of_tiff(text.removeprefix(_JPEG_EXIF))
            plain = plain and not text.startswith(_JPEG_EXIF)
            continue
        xmp = xmp or (_of_xmp(text) if name == b"XMP " else 0)
        kept.append(data[at : at + 8 + size + size % 2])
    if (orientation and plain) or not (orientation or xmp):
        return None
    kept[1] = kept[1][:8] + bytes((kept[1][8] | _WEBP_HAS_EXIF,)) + kept[1][9:]
    exif = _plain(orientation or xmp)
    kept.append(b"EXIF" + struct.pack("<I", len(exif)) + exif)
    whole = b"".join(kept)
    return io.BytesIO(whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:])


def _webp_chunks(data: bytes) -> Iterator[tuple[int, int]]:
    at = _WEBP_HEADER
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        yield at, size
        at += 8 + size + size % 2


def _png(file: BinaryIO) -> BinaryIO | None:
    """libav refuses the whole image for a broken eXIf, and takes gigabytes for a color profile of hundreds of megabytes: these
    are left out.
    """
    orientation, other, unpacked, at, left_out = 0, 0, 0, _PNG_HEADER, list[tuple[int, int]]()
    for _ in range(_MOST_CHUNKS):
        if len(head := _read(file, at, 8)) < 8:
            break
        size, name = struct.unpack(">I4s", head)
        unpacked += name in _PNG_PACKED
        if name == b"eXIf":
            left_out.append((at, at + 12 + size))
            orientation, _ = _of_tiff(_read(file, at + 8, size).removeprefix(_JPEG_EXIF))
        elif name == b"iCCP" and (unpacked > _MOST_UNPACKED or _is_large(_read(file, at + 8, min(size, _MOST_PROFILE)))):
            left_out.append((at, at + 12 + size))
        elif name in _PNG_PACKED and unpacked <= _MOST_UNPACKED:
            other = other or _of_png_text(name, _read(file, at + 8, min(size, _MOST_TEXT)))
        elif name == b"IEND":
            break
        at += 12 + size
    if not left_out and not other:
        return None
    data, begin = _read(file, 0, _MOST_BYTES), _PNG_FIRST
    chunk = b"eXIf" + _plain(orientation or other) if (orientation or other) in _ORIENTATIONS else b""
    framed = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) if chunk else b""
    kept = [data[:begin], framed]
    for until, end in left_out:
        kept.append(data[begin:until])
        begin = end
    return io.BytesIO(b"".join((*kept, data[begin:])))


def _is_large(profile: bytes) -> bool:
    """Return whether the color profile in a chunk of PNG (name, a byte, packed data) has more than `_MOST_PROFILE`."""
    try:
        return len(_unpacked(profile.partition(b"\0")[2][1:], _MOST_PROFILE)) >= _MOST_PROFILE
    except zlib.error:
        return False


def _of_png_text(name: bytes, text: bytes) -> int:
    """Return the orientation in a text of PNG: XMP, or EXIF as ImageMagick wrote it; 0: none."""
    try:
        if name == b"iTXt" and text.startswith(_PNG_XMP):
            packed, xmp = text[len(_PNG_XMP)], text[len(_PNG_XMP) + 2 :].split(b"\0", 2)[2]
            return _of_xmp(_unpacked(xmp) if packed else xmp)
        if name in (b"zTXt", b"tEXt") and text.startswith(_PNG_RAW):
            raw = text[len(_PNG_RAW) :]
            lines = (_unpacked(raw[1:]) if name == b"zTXt" else raw).split(b"\n")[3:]
            return _of_tiff(bytes.fromhex(b"".join(lines).decode("ascii", "replace")).removeprefix(_JPEG_EXIF))[0]
    except _UNREADABLE:
        pass
    return 0


def _unpacked(data: bytes, most: int = _MOST_TEXT) -> bytes:
    return zlib.decompressobj().decompress(data, most)


def _tiff(file: BinaryIO) -> BinaryIO | None:
    """Change the entry of the first page, or append its entries anew with one more."""
    order: Any = _ORDERS.get((head := _read(file, 0, 8))[:4])
    entries = _entries(file, int.from_bytes(head[4:8], order), order) if order else {}
    orientation = xmp = 0
    if entry := entries.get(_ORIENTATION):
        orientation = _value(entry, order)
        if int.from_bytes(entry[2:4], order) == _SHORT:
            return None
    elif entry := entries.get(_XMP_TAG):
        count, place = (int.from_bytes(entry[begin : begin + 4], order) for begin in (4, 8))
        xmp = _of_xmp(_read(file, place, min(count, _MOST_TEXT)))
    turned = orientation or xmp
    if turned not in _ORIENTATIONS or len(entries) > _MOST_SEGMENTS:
        return None
    number = [value.to_bytes(size, order) for value, size in ((_ORIENTATION, 2), (_SHORT, 2), (1, 4), (turned, 2), (0, 2))]
    entries[_ORIENTATION] = b"".join(number)
    data = _read(file, 0, _MOST_BYTES)
    data += bytes(len(data) % 2)
    table = len(entries).to_bytes(2, order) + b"".join(entries[tag] for tag in sorted(entries)) + bytes(4)
    return io.BytesIO(data[:4] + len(data).to_bytes(4, order) + data[8:] + table)


def _entries(file: BinaryIO, place: int, order: Any) -> dict[int, bytes]:
    count = int.from_bytes(_read(file, place, 2), order)
    table = _read(file, place + 2, count * _ENTRY_BYTES)
    parts = (table[at : at + _ENTRY_BYTES] for at in range(0, len(table) - _ENTRY_BYTES + 1, _ENTRY_BYTES))
    return {int.from_bytes(part[:2], order): part for part in parts}


def _of_tiff(data: bytes) -> tuple[int, bool]:
    """Return the orientation that EXIF says, 0 for none, and whether it says so as libav reads it."""
    order: Any = _ORDERS.get(data[:4])
    if not order:
        return 0, True
    entry = _entries(io.BytesIO(data), int.from_bytes(data[4:8], order), order).get(_ORIENTATION)
    orientation = _value(entry, order) if entry else 0
    return (orientation if orientation in _KNOWN else 0), not entry or orientation == 1 or int.from_bytes(
        entry[2:4], order
    ) == _SHORT


def _value(entry: bytes, order: Any) -> int:
    """Return the number in an entry, 0 for one of another type."""
    width = {_SHORT: 2, _LONG: 4}.get(int.from_bytes(entry[2:4], order), 0)
    return int.from_bytes(entry[8 : 8 + width], order)


def _of_xmp(text: bytes) -> int:
    match = _XMP.search(text)
    return int(match[1]) if match and int(match[1]) in _ORIENTATIONS else 0


def _plain(turned: int) -> bytes:
    """Return EXIF with an orientation and nothing else."""
    return b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, _ORIENTATION, _SHORT, 1, turned, 0, 0)


def _read(file: BinaryIO, place: int, count: int) -> bytes:
    file.seek(place)
    return file.read(count)


_MAKERS: Mapping[str, Callable[[BinaryIO], BinaryIO | None]] = {
    "jpeg_pipe": _jpeg,
    "webp_pipe": _webp,
    "png_pipe": _png,
    "apng": _png,
    "tiff_pipe": _tiff,
}
