"""Move the index of a finished MP4 file to its front, so that playback can start before the download is complete.

libav's muxer does the same, but tells nobody how far it is: what is final can be taken into the checksum meanwhile.
"""

import os
from array import array
from collections.abc import Callable, Iterator
from sys import byteorder

from reelmill_server.media.input.boxes import boxes

_BLOCK_BYTES = 256 << 10  # stays in the processor's cache until it is written
_HEAD_BYTES = 8
_HOLDERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
_OFFSETS = {b"stco": "I", b"co64": "Q"}  # ISO/IEC 14496-12, 8.7.5
_TABLE_AT = 16  # of a box with a version, flags, and the number of entries
_MOST = (1 << 32) - 1

Advanced = Callable[[int, int], None]
"""Takes how many bytes at the front of a file are final, and how many it will have."""


def index_to_front(path: str, advanced: Advanced) -> None:
    """Move the index (moov) of a file that ends with it behind its first box, as libav's `faststart` does. Raises OSError."""
    with open(path, "r+b", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        front = next((end for _, end in boxes(file, 0, size, b"ftyp")), 0)
        begin, end = next(boxes(file, front, size, b"moov"), (0, 0))
        begin -= _HEAD_BYTES
        if end != size or begin <= front:
            return
        index = _shifted(os.pread(file.fileno(), size - begin, begin))
        whole = begin + len(index)
        for final in _insert(file.fileno(), front, begin, index):
            advanced(final, whole)


def _insert(file: int, place: int, end: int, data: bytes) -> Iterator[int]:
    """Move what lies between `place` and `end` back and write `data` before it; yield how far the file is final."""
    size = max(_BLOCK_BYTES, len(data))  # so that nothing is written over that was not read
    block, following = (memoryview(bytearray(size)) for _ in range(2))
    count = _read(file, block[: end - place], place)
    _write(file, data, place)
    while count:
        after = _read(file, following[: max(end - place - count, 0)], place + count)
        _write(file, block[:count], place + len(data))
        place += count
        yield place + len(data)
        block, following, count = following, block, after


def _read(file: int, buffer: memoryview, place: int) -> int:
    """Fill a buffer, if there is as much; return how much there was."""
    filled = 0
    while filled < len(buffer) and (count := os.preadv(file, [buffer[filled:]], place + filled)):
        filled += count
    return filled


def _write(file: int, data: bytes | memoryview, place: int) -> None:
    while data:
        written = os.pwrite(file, data, place)
        data, place = data[written:], place + written


def _shifted(index: bytes) -> bytes:
    """Return an index for media that lie behind it, where it lay behind them."""
    shift = len(index)
    while len(moved := _moved(index, shift)) != shift:
        shift = len(moved)
    return moved


def _moved(box: bytes, shift: int) -> bytes:
    """Return a box whose offsets are greater by `shift`. Where they need more than 32 bits, it is longer."""
    kind, content = box[4:_HEAD_BYTES], box[_HEAD_BYTES:]
    if kind in _HOLDERS:
        content = b"".join(_moved(each, shift) for each in _contained(content))
    elif code := _OFFSETS.get(kind):
        offsets = [offset + shift for offset in _numbers(code, box[_TABLE_AT:])]
        if max(offsets, default=0) > _MOST:
            kind, code = b"co64", "Q"
        content = content[: _TABLE_AT - _HEAD_BYTES] + _numbers(code, array(code, offsets).tobytes()).tobytes()
    return (_HEAD_BYTES + len(content)).to_bytes(4) + kind + content


def _numbers(code: str, data: bytes) -> "array[int]":
    """Return numbers in the other order of their bytes, if this machine has another one than files."""
    numbers = array(code, data)
    if byteorder == "little":
        numbers.byteswap()
    return numbers


def _contained(content: bytes) -> Iterator[bytes]:
    place = 0
    while place + _HEAD_BYTES <= len(content):
        size = int.from_bytes(content[place : place + 4])
        if size < _HEAD_BYTES:
            size = len(content) - place
        yield content[place : place + size]
        place += size
