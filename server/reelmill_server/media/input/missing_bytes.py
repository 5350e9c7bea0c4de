"""Find out whether a file ends before its header says, where libav takes what there is for all."""

import re
import struct
from collections.abc import Callable, Mapping
from typing import BinaryIO

_HEAD_BYTES = 1 << 16
_MOST_BYTES = 1 << 50  # no file is longer: what says so is broken, not truncated
_UNKNOWN = 0x7FFF_0000  # sizes of WAV from here on stand for one that was not known when the header was written
_ID3 = struct.Struct(">3sHB4B")
_XING = re.compile(rb"Xing|Info")
_FRAMES, _BYTES = 1, 2  # what Xing's header has
_VBRI_BYTES_AT = 10
# What encoders and editors may be wrong by: a tag at the end, some frames of MP3.
_TOLERANCE_BYTES, _TOLERANCE_SHARE = 4096, 0.01
# These tell the length of the whole file, which is right to some bytes of padding.
_WHOLE_FILES, _PADDING_BYTES = ("matroska,webm", "avi", "asf"), 64
_EBML, _SEGMENT = bytes.fromhex("1a45dfa3"), bytes.fromhex("18538067")
_UNKNOWN_RIFF = 0xFFFF_0000
_ASF, _PROPERTIES = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_FILE_SIZE_AT, _FLAGS_AT, _STREAMED = 40, 88, 1  # in ASF's file properties


def missing_bytes(file: BinaryIO, format_name: str) -> int:
    """Return how many bytes an open file in one of COUNTING_FORMATS lacks at its end; 0: none, or its header does not say."""
    end, size = _ENDS[format_name](file), file.seek(0, 2)
    missing = end - size if end < _MOST_BYTES else 0
    allowed = _PADDING_BYTES if format_name in _WHOLE_FILES else max(_TOLERANCE_BYTES, end * _TOLERANCE_SHARE)
    return missing if missing > allowed else 0


def _wav_end(file: BinaryIO) -> int:
    place = 12
    while len(head := _read(file, place, 8)) == 8:
        size = int.from_bytes(head[4:], "little")
        if head[:4] == b"data":
            return place + 8 + size if size < _UNKNOWN else 0
        place += 8 + size + size % 2
    return 0


def _w64_end(file: BinaryIO) -> int:
    place = 40
    while len(head := _read(file, place, 24)) == 24:
        size = int.from_bytes(head[16:], "little", signed=True)
        if head[:4] == b"data" or size < len(head):
            return place + size if size > 0 else 0
        place += -(-size // 8) * 8
    return 0


def _caf_end(file: BinaryIO) -> int:
    place = 8
    while len(head := _read(file, place, 12)) == 12:
        size = int.from_bytes(head[4:], signed=True)
        if head[:4] == b"data" or size < 0:
            return place + len(head) + size if size > 0 else 0
        place += len(head) + size
    return 0


def _mp3_end(file: BinaryIO) -> int:
    begin = id3_end(file)
    head = _read(file, begin, _HEAD_BYTES)
    if match := _XING.search(head, 0, 256):
        flags, first, second = struct.unpack_from(">3I", head.ljust(_HEAD_BYTES, b"\0"), match.end())
        return begin + (second if flags & _FRAMES else first) if flags & _BYTES else 0
    place = head.find(b"VBRI", 0, 256)
    return begin + int.from_bytes(head[place + _VBRI_BYTES_AT : place + _VBRI_BYTES_AT + 4]) if place >= 0 else 0


def _matroska_end(file: BinaryIO) -> int:
    place = 0
    for name in (_EBML, _SEGMENT):
        head = _read(file, place, 12)
        if head[:4] != name or len(head) < 12 or not head[4]:
            return 0
        length = 9 - head[4].bit_length()
        size = int.from_bytes(head[4 : 4 + length]) & ~(1 << 7 * length)
        place += 4 + length + size
        if size == (1 << 7 * length) - 1:  # unknown
            return 0
    return place


def _avi_end(file: BinaryIO) -> int:
    place = 0
    while len(head := _read(file, place, 8)) == 8 and head[:4] == b"RIFF":  # large files have several
        size = int.from_bytes(head[4:], "little")
        if size >= _UNKNOWN_RIFF:
            return 0
        place += 8 + size + size % 2
    return place


def _asf_end(file: BinaryIO) -> int:
    head = _read(file, 0, _HEAD_BYTES)
    at = head.find(_PROPERTIES)
    if not head.startswith(_ASF) or at < 0 or len(head) < at + _FLAGS_AT + 4:
        return 0
    streamed = int.from_bytes(head[at + _FLAGS_AT : at + _FLAGS_AT + 4], "little") & _STREAMED
    return 0 if streamed else int.from_bytes(head[at + _FILE_SIZE_AT : at + _FILE_SIZE_AT + 8], "little")


def id3_end(file: BinaryIO) -> int:
    """Return where the tag ends that an open file begins with; 0: it has none."""
    kind, _, _, *lengths = _ID3.unpack(_read(file, 0, _ID3.size).ljust(_ID3.size, b"\0"))
    return _ID3.size + sum(part << 7 * (3 - number) for number, part in enumerate(lengths)) if kind == b"ID3" else 0


def _read(file: BinaryIO, place: int, count: int) -> bytes:
    if place >= _MOST_BYTES:
        return b""
    file.seek(place)
    return file.read(count)


_ENDS: Mapping[str, Callable[[BinaryIO], int]] = {
    "wav": _wav_end,
    "w64": _w64_end,
    "caf": _caf_end,
    "mp3": _mp3_end,
    "matroska,webm": _matroska_end,
    "avi": _avi_end,
    "asf": _asf_end,
}
"""By format: where the header says that the audio, or the file, ends; 0: it does not."""
COUNTING_FORMATS = frozenset(_ENDS)
"""Formats (libav's names) whose headers say how many bytes there are, which libav does not compare with the file."""
