"""Read the color profile (ICC) of a still image: libav converts no colors by it."""

import io
import warnings
from typing import BinaryIO

from reelmill_server.media.libav.pillow import UNREADABLE, opened

_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")
_MOST_BYTES = 256 << 20  # of a file: Pillow reads some formats as a whole
_HEADER, _ENTRY, _MOST_TAGS, _MOST_TAG_BYTES = 128, 12, 100, 1 << 16
_SPACE, _GRAY = slice(16, 20), b"GRAY"
# Where the primaries of sRGB are in a profile, and how far off they may be.
_SRGB = {b"rXYZ": (0.436, 0.2225, 0.0139), b"gXYZ": (0.3851, 0.7169, 0.0971), b"bXYZ": (0.1431, 0.0606, 0.7141)}
_NEAR = 0.01
_LONGEST_NAME = 60


def color_profile(file: BinaryIO) -> str:
    """Return the name of the profile of an image whose colors are others than those of sRGB; empty: it has none, or is no image
    that Pillow reads.
    """
    if file.seek(0, io.SEEK_END) > _MOST_BYTES:
        return ""
    file.seek(0)
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            opened(file, _FORMATS) as image,
        ):  # of pictures that a header lists wrongly
            profile = image.info.get("icc_profile")
    except UNREADABLE:
        return ""
    return profile_name(profile) if isinstance(profile, bytes) else ""


def profile_name(profile: bytes) -> str:
    """Return what a profile calls itself, "unnamed" if it does not say; empty: its colors are those of sRGB, or gray."""
    tags = _tags(profile)
    primaries = {name: _xyz(tags.get(name, b"")) for name in _SRGB}
    if profile[_SPACE] == _GRAY or len(profile) < _HEADER or all(_is_near(primaries[name], _SRGB[name]) for name in _SRGB):
        return ""
    return _name(tags.get(b"desc", b"")) or "unnamed"


def _tags(profile: bytes) -> dict[bytes, bytes]:
    count = min(int.from_bytes(profile[_HEADER : _HEADER + 4]), _MOST_TAGS)
    tags = {}
    for at in range(_HEADER + 4, _HEADER + 4 + count * _ENTRY, _ENTRY):
        begin, size = int.from_bytes(profile[at + 4 : at + 8]), int.from_bytes(profile[at + 8 : at + 12])
        tags[profile[at : at + 4]] = profile[begin : begin + min(size, _MOST_TAG_BYTES)]
    return tags


def _xyz(tag: bytes) -> tuple[float, ...]:
    return tuple(int.from_bytes(tag[at : at + 4], signed=True) / 65536 for at in (8, 12, 16))


def _is_near(color: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(abs(value - same) < _NEAR for value, same in zip(color, other, strict=True))


def _name(tag: bytes) -> str:
    """Return the text of a tag: of one language, or the first of several."""
    if tag.startswith(b"mluc"):
        length, begin = int.from_bytes(tag[20:24]), int.from_bytes(tag[24:28])
        text = tag[begin : begin + length].decode("utf-16-be", "replace")
    else:
        text = tag[12 : 12 + int.from_bytes(tag[8:12])].decode("ascii", "replace")
    return "".join(letter for letter in text if letter.isprintable())[:_LONGEST_NAME].strip()
