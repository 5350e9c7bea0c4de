"""Find out whether another file follows in a file, of which libav reads the first alone, without a word."""

from collections.abc import Callable, Mapping
from typing import BinaryIO

from reelmill_server.media.input.boxes import boxes

_HEAD_BYTES, _FORM_BYTES = 8, 4
_RIFF, _FORM = (b"RIFF", "little"), (b"FORM", "big")


def follower_bytes(file: BinaryIO, format_name: str) -> int:
    """Return how many bytes lie in an open file behind the first of the files in it; 0: it is the only one."""
    size = file.seek(0, 2)
    place = _PLACES[format_name](file, size)
    return size - place if place else 0


def next_riff(file: BinaryIO, size: int) -> int:
    """Return where another file of RIFF (WAV, AVI) begins in one of `size` bytes; 0: nowhere. AVI may have parts of its own."""
    return _next_form(file, size, *_RIFF)


def _next_form(file: BinaryIO, size: int, magic: bytes, order: str) -> int:
    head = _read(file, 0, _HEAD_BYTES + _FORM_BYTES)
    length = int.from_bytes(head[4:_HEAD_BYTES], order)  # type: ignore[arg-type]
    place = _HEAD_BYTES + length + length % 2
    following = _read(file, place, _HEAD_BYTES + _FORM_BYTES) if place < size else b""
    # The form as well, as AVI calls what belongs to it AVIX.
    return place if following[:4] == magic and following[_HEAD_BYTES:] == head[_HEAD_BYTES:] else 0


def _next_movie(file: BinaryIO, size: int) -> int:
    """Return where another movie begins; fragments belong to whatever is before them."""
    begins = [begin - _HEAD_BYTES for begin, _ in boxes(file, 0, size, b"ftyp")]
    movies = [begin for begin, _ in boxes(file, 0, size, b"moov")]
    if len(begins) < 2 or len(movies) < 2 or next(boxes(file, 0, size, b"moof"), None):
        return 0
    return begins[1]


def _read(file: BinaryIO, place: int, count: int) -> bytes:
    file.seek(place)
    return file.read(count)


_PLACES: Mapping[str, Callable[[BinaryIO, int], int]] = {
    "wav": next_riff,
    "aiff": lambda file, size: _next_form(file, size, *_FORM),
    "mov,mp4,m4a,3gp,3g2,mj2": _next_movie,
}
FOLLOWED_FORMATS = frozenset(_PLACES)
"""Formats (libav's names) that are looked at."""
