"""Read how a container says that frames are cropped: PyAV hands it out only to muxers, so a trial header tells."""

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import av

from reelmill_server.media.libav.errors import LIBAV_ERRORS, check_memory
from reelmill_server.model.media_info import Crop, VideoStreamInfo

# Of those that libav reads cropping from (PixelCrop, clap).
_CROPPING_FORMATS = ("matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2")
# Elements of Matroska (RFC 9559): Segment, Tracks, TrackEntry, Video, and what is cropped.
_MASTERS = (0x18538067, 0x1654AE6B, 0xAE, 0xE0)
_LEFT, _TOP, _RIGHT, _BOTTOM = 0x54CC, 0x54BB, 0x54DD, 0x54AA


def cropped(info: VideoStreamInfo, stream: Any) -> VideoStreamInfo:
    """Return `info` of `stream` with its cropping, and the size that is left; unchanged if there is none."""
    if stream.container.format.name not in _CROPPING_FORMATS or info.attached_picture or not info.width:
        return info
    found = dict(_elements(memoryview(_trial_header(stream))))
    left, top, right, bottom = (found.get(edge, 0) for edge in (_LEFT, _TOP, _RIGHT, _BOTTOM))
    width, height = info.width - left - right, info.height - top - bottom
    if (width, height) == (info.width, info.height) or width <= 0 or height <= 0:
        return info
    return replace(info, width=width, height=height, crop=Crop(left, top, info.width, info.height))


def _trial_header(stream: Any) -> bytes:
    """Return the header of a Matroska file with a copy of `stream`; empty where Matroska does not take it."""
    file = io.BytesIO()
    try:
        with av.open(file, "w", format="matroska") as trial:
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
