"""Samples of a frame as arrays, whatever its pixel format."""

from typing import Any

import numpy as np
from av import VideoFormat, VideoFrame
from numpy.typing import NDArray

Samples = NDArray[Any]

_SEMI_PLANAR = ("nv12", "p010le")


def planes(frame: VideoFrame) -> list[Samples]:
    """Return luma, both chromas and, if there is one, alpha: views of the frame's own memory, which must be writable.

    Rows must lie in memory from top to bottom (see `overlay.base.writable`). 10-bit samples are 10-bit numbers, except those
    of p010, which have 16 bits (`depth_of`).
    """
    name = frame.format.name
    kind = np.dtype("<u2" if depth_of(name) > 8 else "u1")
    arrays: list[Samples] = []
    for number, plane in enumerate(frame.planes):
        memory: Any = plane
        pair = name in _SEMI_PLANAR and number == 1
        width = frame.width if number in (0, 3) else frame.format.chroma_width(frame.width)
        height = frame.height if number in (0, 3) else frame.format.chroma_height(frame.height)
        row = plane.line_size // kind.itemsize
        rows = np.frombuffer(memory, kind, count=row * height).reshape(height, row)
        arrays += [rows[:, : 2 * width : 2], rows[:, 1 : 2 * width : 2]] if pair else [rows[:, :width]]
    return arrays


def depth_of(pixel_format: str) -> int:
    """Return the bits of a sample, the scale of white. p010 keeps its 10 bits in the upper ones of 16."""
    if pixel_format == "p010le":
        return 16
    return 10 if pixel_format.endswith("10le") else 8


def chroma_steps(pixel_format: str) -> tuple[int, int]:
    """Return how many pixels of a row, and how many rows, share one chroma sample."""
    form = VideoFormat(pixel_format)
    return 2 // form.chroma_width(2), 2 // form.chroma_height(2)
