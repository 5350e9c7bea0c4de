"""See whether a Matroska file says to play parts of it in an order of its own, or parts of other files (RFC 9559, 20)."""

from collections.abc import Iterable, Iterator
from typing import BinaryIO

MATROSKA = "matroska,webm"
_EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
_SEEK_HEAD, _SEEK, _SEEK_ID, _SEEK_POSITION, _CHAPTERS = 0x114D9B74, 0x4DBB, 0x53AB, 0x53AC, 0x1043A770
_EDITION, _DEFAULT, _ORDERED, _ATOM = 0x45B9, 0x45DB, 0x45DD, 0xB6
_START, _END, _OTHER_FILE, _ENABLED = 0x91, 0x92, 0x6E67, 0x4598
_MOST_ELEMENTS, _MOST_BYTES, _FARTHEST = 1000, 1 << 20, 1 << 50
_SECOND = 1_000_000_000  # in nanoseconds, as chapters count
_CLOSE = _SECOND


def is_played_in_parts(file: BinaryIO, duration: float) -> bool:
    """Return whether the edition that players choose of a Matroska file of `duration` seconds is ordered, and is not just the
    whole file from its front on.
    """
    editions = [[*_elements(body)] for name, body in _elements(_chapters(file)) if name == _EDITION]
    fields = next((fields for fields in editions if _is_set(fields, _DEFAULT)), editions[0] if editions else [])
    if not _is_set(fields, _ORDERED):
        return False
    atoms = [dict(_elements(body)) for name, body in fields if name == _ATOM]
    reached = 0
    for atom in (atom for atom in atoms if int.from_bytes(atom.get(_ENABLED, b"\1"))):
        if _OTHER_FILE in atom or abs(int.from_bytes(atom.get(_START, b"")) - reached) > _CLOSE:
            return True
        reached = int.from_bytes(atom.get(_END, b"")) or reached
    return reached + _CLOSE < duration * _SECOND


def _is_set(fields: Iterable[tuple[int, bytes]], flag: int) -> bool:
    return any(name == flag and int.from_bytes(body) for name, body in fields)


def _chapters(file: BinaryIO) -> bytes:
    """Return the content of the chapters; nothing if they are neither before the media nor where the file says."""
    place = 0
    for wanted in (_EBML, _SEGMENT):
        name, size, head = _head(_read(file, place, 12))
        if name != wanted:
            return b""
        place += head + (size if wanted == _EBML else 0)
    front = place
    for _ in range(_MOST_ELEMENTS):
        name, size, head = _head(_read(file, place, 12))
        if name in (0, _CLUSTER):
            return b""
        if name == _CHAPTERS:
            return _read(file, place + head, min(size, _MOST_BYTES))
        if name == _SEEK_HEAD and (at := _sought(_read(file, place + head, min(size, _MOST_BYTES)))):
            name, size, head = _head(_read(file, front + at, 12))
            return _read(file, front + at + head, min(size, _MOST_BYTES)) if name == _CHAPTERS else b""
        place += head + size
    return b""


def _sought(body: bytes) -> int:
    """Return where the file says that its chapters are, in its segment; 0: nowhere."""
    seeks = [dict(_elements(seek)) for name, seek in _elements(body) if name == _SEEK]
    return next(
        (
            int.from_bytes(seek.get(_SEEK_POSITION, b""))
            for seek in seeks
            if int.from_bytes(seek.get(_SEEK_ID, b"")) == _CHAPTERS
        ),
        0,
    )


def _elements(body: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    for _ in range(_MOST_ELEMENTS):
        name, size, head = _head(body[place : place + 12])
        if not name:
            return
        yield name, body[place + head : place + head + size]
        place += head + size


def _head(data: bytes) -> tuple[int, int, int]:
    """Return the name and the size of an element, and the length of both; zeros if there is none."""
    if not data or not data[0] or len(data) < (named := 9 - data[0].bit_length()) + 1 or not data[named]:
        return 0, 0, 0
    sized = 9 - data[named].bit_length()
    size = int.from_bytes(data[named : named + sized]) & ~(1 << 7 * sized)
    return int.from_bytes(data[:named]), size, named + sized


def _read(file: BinaryIO, place: int, count: int) -> bytes:
    if place >= _FARTHEST:
        return b""
    file.seek(place)
    return file.read(count)
