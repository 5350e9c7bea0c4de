"""Take packets of H.264 and H.265 apart into their units (NAL), and put them together."""

import re
from collections.abc import Iterator, Sequence

START_CODE = re.compile(rb"\x00\x00\x01")
"""Precedes each NAL unit that has no length before it."""
_ESCAPED = re.compile(rb"\x00\x00\x03")
_TO_ESCAPE = re.compile(rb"\x00\x00(?=[\x00-\x03])")
_PLACE_OF_LENGTH = {"h264": 4, "hevc": 21}  # in the description of a stream (avcC, hvcC)


def length_bytes(codec: str, extradata: bytes) -> int:
    """Return how many bytes of length precede each unit, as avcC and hvcC say; 0: units have start codes."""
    place = _PLACE_OF_LENGTH[codec]
    return (extradata[place] & 3) + 1 if extradata[:1] == b"\1" and len(extradata) > place else 0


def split(data: bytes) -> list[bytes]:
    """Return the units of data with start codes."""
    places = [(match.start(), match.end()) for match in START_CODE.finditer(data)]
    ends = [*(begin for begin, _ in places[1:]), len(data)][: len(places)]
    return [data[begin:end].rstrip(b"\0") for (_, begin), end in zip(places, ends, strict=True)]


def parted(data: bytes, length: int) -> Iterator[bytes]:
    """Yield the units of a packet, each behind so many bytes of length; 0: behind start codes."""
    if not length:
        yield from split(data)
        return
    place = 0
    while place + length < len(data):
        size = int.from_bytes(data[place : place + length])
        yield data[place + length : place + length + size]
        place += length + size


def united(units: Sequence[bytes], length: int) -> bytes:
    """Return a packet of `units`, as `parted` takes it apart."""
    return b"".join((len(unit).to_bytes(length) if length else b"\0\0\0\1") + unit for unit in units)


def plain(unit: bytes) -> bytes:
    """Return a unit without the bytes that keep start codes out of it."""
    return _ESCAPED.sub(b"\0\0", unit)


def escaped(unit: bytes) -> bytes:
    """Return a unit with those bytes."""
    return _TO_ESCAPE.sub(b"\0\0\3", unit)
