"""Find where an image ends, and whether it is whole; what lies behind it does not matter.

libav shows what there is, gray or black or of the frame before, and says nothing.
"""

import re

import av
from av import CodecContext, Packet

# A scan ends where a marker follows that is none of those within it. Bytes that fill up to a marker are not part of the one
# that is searched: a long run of them would be read anew from each of its bytes.
_MARKER, _NEXT_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]"), re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_SCAN, _END = 0xDA, 0xD9
_MOST_MARKERS = 10_000
_GIF, _GIF_HEADER, _COLORS, _IMAGE, _EXTENSION = b"GIF8", 13, 0x80, 0x2C, 0x21


def is_whole_jpeg(data: bytes) -> bool:
    """Return whether the JPEG at the front of `data` has its end, and a decoder that conceals nothing takes it."""
    at, scan = 2, False
    for _ in range(_MOST_MARKERS):
        match = _NEXT_MARKER.search(data, at) if scan else _MARKER.match(data, at)
        if match is None:
            return False
        marker, at = data[match.end() - 1], match.end()
        if marker == _END:
            return _decodes(data[:at])
        scan = scan or marker == _SCAN
        at += int.from_bytes(data[at : at + 2])
    return False


def _decodes(jpeg: bytes) -> bool:
    decoder = CodecContext.create("mjpeg", "r")
    decoder.options = {"err_detect": "explode"}
    try:
        decoder.decode(Packet(jpeg))
    except av.error.InvalidDataError:
        return False
    return True


def is_whole_gif(data: bytes) -> bool:
    """Return whether the first image in `data` has its end: the empty block behind its last one."""
    at = _GIF_HEADER + _colors(data, 10) if data.startswith(_GIF) else 0
    while at < len(data):
        kind = data[at]
        if kind not in (0, _IMAGE, _EXTENSION):
            return False
        if not kind:  # one block's end too many
            at += 1
            continue
        at += 11 + _colors(data, at + 9) if kind == _IMAGE else 2
        while at < len(data) and data[at]:
            at += data[at] + 1
        if kind == _IMAGE and at < len(data):
            return True
        at += 1
    return False


def _colors(data: bytes, at: int) -> int:
    """Return how many bytes the table of colors has that the flags at a place announce."""
    flags = data[at] if at < len(data) else 0
    return 3 << (flags & 7) + 1 if flags & _COLORS else 0
