"""Learn of a stream what PyAV hands out to muxers only, from the header that one writes for a copy of it.

That is cropping, for how long decoders are to skip audio, and Dolby Vision.
"""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import av

from reelmill_server.media.libav.errors import LIBAV_ERRORS, check_memory

# Elements of Matroska (RFC 9559): Segment, Tracks, TrackEntry and Video, which hold others, and CodecDelay in nanoseconds.
_MASTERS = (0x18538067, 0x1654AE6B, 0xAE, 0xE0)
_CODEC_DELAY = 0x56AA
_SEGMENT, _UNKNOWN_SIZE, _LARGE_SIZE = b"\x18\x53\x80\x67", b"\x01" + b"\xff" * 7, b"\x01"
_EMPTY_CLUSTER = b"\x1f\x43\xb6\x75\x83\xe7\x81\x00"  # without one, nobody reads the header


def codec_delay(stream: Any) -> Fraction:
    """Return the seconds of audio at its beginning that Matroska would have decoders skip in a copy of `stream`."""
    return Fraction(trial_header(stream).get(_CODEC_DELAY, 0), 1_000_000_000)


@contextmanager
def undelayed(stream: Any, delay: Fraction) -> Iterator[Any]:
    """Yield a description of an audio stream by Matroska for a copy of which decoders skip nothing, not the `delay`."""
    header, number = header_of_copy(stream, "matroska"), int(delay * 1_000_000_000)
    content = number.to_bytes(-(-number.bit_length() // 8))
    size = bytes((0x80 | len(content),))
    name = _CODEC_DELAY.to_bytes(2) + size
    head, segment, rest = header.replace(name + content, name + bytes(len(content))).partition(_SEGMENT + _LARGE_SIZE)
    data = head + _SEGMENT + _UNKNOWN_SIZE + rest[len(_UNKNOWN_SIZE) - 1 :] + _EMPTY_CLUSTER if segment else header
    with av.open(io.BytesIO(data), format="matroska") as described:
        yield described.streams[0]


def trial_header(stream: Any) -> Mapping[int, int]:
    """Return the numbers in Matroska's description of a copy of `stream` by their element; empty where it does not take it."""
    return dict(_elements(memoryview(header_of_copy(stream, "matroska"))))


def header_of_copy(stream: Any, muxer: str, options: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """Return the header of a file with a copy of `stream`; at most its beginning where the muxer does not take the stream."""
    file = io.BytesIO()
    try:
        with av.open(file, "w", format=muxer, options=dict(options)) as trial:
            trial.add_stream_from_template(stream, opaque=True)
            trial.start_encoding()
    except LIBAV_ERRORS as error:
        check_memory(error)
    return file.getvalue()


def _elements(data: memoryview) -> Iterator[tuple[int, int]]:
    """Yield the numbers in the elements of `data` on the way to the description of a video track."""
    position = 0
    while position < len(data):
        name, position = _number(data, position, True)
        size, position = _number(data, position, False)
        content = data[position : position + size]
        if name in _MASTERS:
            yield from _elements(content)
        elif size <= 8:
            yield name, int.from_bytes(content, "big")
        position += size


def _number(data: memoryview, position: int, marked: bool) -> tuple[int, int]:
    """Return a number of EBML's variable length at `position`, with its length mark or without, and where it ends."""
    length = 9 - data[position].bit_length()
    value = int.from_bytes(data[position : position + length], "big")
    return value if marked else value & ~(1 << 7 * length), position + length
