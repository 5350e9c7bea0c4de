"""Small files that cost much to look at."""

import io
import struct
import zlib

from PIL import Image


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box of MP4."""
    content = b"".join(parts)
    return struct.pack(">I", 8 + len(content)) + kind + content


def full(kind: bytes, *parts: bytes) -> bytes:
    """A box with version and flags."""
    return box(kind, bytes(4), *parts)


_MATRIX = struct.pack(">9I", 65536, 0, 0, 0, 65536, 0, 0, 0, 0x40000000)


def _numbers(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def track(samples: int = 1, edits: bytes = b"") -> bytes:
    """A track of MPEG-4 video of one byte a sample, with an edit list."""
    shape = struct.pack(">HHIIIH", 64, 64, 0x480000, 0x480000, 0, 1)
    entry = box(b"mp4v", bytes(6), struct.pack(">H", 1), bytes(16), shape, bytes(32), struct.pack(">Hh", 24, -1))
    table = box(
        b"stbl",
        full(b"stsd", _numbers(1), entry),
        full(b"stts", _numbers(1, samples, 1)),
        full(b"stsc", _numbers(1, 1, samples, 1)),
        full(b"stsz", _numbers(1, samples)),
        full(b"stco", _numbers(1, 48)),
    )
    header = full(b"tkhd", _numbers(0, 0, 1, 0, 1000), bytes(16), _MATRIX, _numbers(64 << 16, 64 << 16))
    handler = full(b"hdlr", bytes(4), b"vide", bytes(13))
    reference = box(b"dinf", full(b"dref", _numbers(1), box(b"url ", bytes(3), b"\1")))
    media = box(
        b"mdia",
        full(b"mdhd", _numbers(0, 0, 1000, 1000), bytes(4)),
        handler,
        box(b"minf", full(b"vmhd", bytes(8)), reference, table),
    )
    return box(b"trak", header, box(b"edts", full(b"elst", edits)), media)


def mp4(*tracks: bytes, data: int = 1000) -> bytes:
    """A film of these tracks."""
    times = _numbers(0, 0, 1000, 1000) + struct.pack(">IH", 65536, 256)
    header = full(b"mvhd", times, bytes(10), _MATRIX, bytes(24), _numbers(2))
    return (
        box(b"ftyp", b"isom", bytes(4), b"isom")
        + box(b"free", bytes(16))
        + box(b"mdat", bytes(data))
        + box(b"moov", header, *tracks)
    )


def edits(count: int, milliseconds: int = 1000) -> bytes:
    """An edit list that shows the beginning of its track again and again."""
    return _numbers(count) + struct.pack(">IiI", milliseconds, 0, 65536) * count


def element(name: str, data: bytes) -> bytes:
    """An element of Matroska, by the hexadecimal digits of its number."""
    return bytes.fromhex(name) + struct.pack(">Q", len(data) | 1 << 56) + data


def number(name: str, value: int) -> bytes:
    """An element that is a number."""
    return element(name, value.to_bytes(8))


def matroska(tracks: int, *, private: bytes, compressed: bool) -> bytes:
    """Video tracks, whose configuration is `private`, as it stands in the file."""
    coding = element("6d80", element("6240", number("5032", 2) + element("5034", number("4254", 0)))) if compressed else b""
    result = b"".join(
        element(
            "ae",
            number("d7", index + 1)
            + number("73c5", index + 1)
            + number("83", 1)
            + element("86", b"V_MPEG4/ISO/ASP")
            + element("63a2", private)
            + element("e0", number("b0", 64) + number("ba", 64))
            + coding,
        )
        for index in range(tracks)
    )
    head = element("1a45dfa3", element("4282", b"matroska") + number("4287", 4) + number("4285", 2))
    cluster = element("1f43b675", number("e7", 0) + element("a3", b"\x81\0\0\x80" + bytes(10)))
    return head + element("18538067", element("1549a966", number("2ad7b1", 1_000_000)) + element("1654ae6b", result) + cluster)


def gif(width: int, height: int, frames: int) -> bytes:
    """An animation of single pixels on a canvas."""
    frame = b"\x21\xf9\x04\x08\x04\0\0\0\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6) + frame * frames + b"\x3b"


def webp(width: int, height: int) -> bytes:
    """An animation of two small frames on a canvas of this size."""
    result = io.BytesIO()
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    frames[0].save(result, format="WEBP", lossless=True, save_all=True, append_images=frames[1:])
    data = bytearray(result.getvalue())
    at = data.index(b"VP8X") + 12
    data[at : at + 6] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes(data)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def apng(width: int, height: int, frames: int) -> bytes:
    """An animation of a transparent canvas, in which a pixel changes."""
    row = zlib.compressobj(9)
    whole = b"".join(row.compress(bytes(1 + 4 * width)) for _ in range(height)) + row.flush()
    result = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)) + _chunk(b"acTL", _numbers(frames, 0))
    for index in range(frames):
        size = (width, height) if index == 0 else (1, 1)
        control = _numbers(max(0, 2 * index - 1), *size, 0, 0) + struct.pack(">HHBB", 1, 25, 0, 0)
        data = whole if index == 0 else _numbers(2 * index) + zlib.compress(bytes(5))
        result += _chunk(b"fcTL", control) + _chunk(b"fdAT" if index else b"IDAT", data)
    return b"\x89PNG\r\n\x1a\n" + result + _chunk(b"IEND", b"")
