"""Samples of a frame's planes, by which likeness is told."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

_SEMI_PLANAR = ("nv12", "p010le")


def sample(frame: VideoFrame, grid: int) -> bytes:
    """Return `grid` x `grid` samples of each plane of a frame, of 8 bits each; gray ones for planes that it lacks."""
    name = frame.format.name
    planes: Sequence[Any] = frame.planes
    deep = name.endswith(("10le", "p010le"))
    kind, shift = (np.uint16, 8 if name == "p010le" else 2) if deep else (np.uint8, 0)
    samples = bytearray()
    for number in range(3):
        paired = name in _SEMI_PLANAR and number > 0
        if not paired and number >= len(planes):
            samples += bytes((128,)) * grid**2
            continue
        plane = planes[min(number, 1)] if paired else planes[number]
        width = frame.format.chroma_width(frame.width) if number else frame.width
        height = frame.format.chroma_height(frame.height) if number else frame.height
        places = _places(width, height, grid, plane.line_size // (1 + deep), paired, number == 2)
        values: NDArray[Any] = np.frombuffer(plane, kind).take(places)
        samples += ((values >> shift).astype(np.uint8) if deep else values).tobytes()
    return bytes(samples)


@lru_cache(maxsize=64)
def _places(width: int, height: int, grid: int, row: int, paired: bool, second: bool) -> NDArray[np.intp]:
    """Return where the samples are in a plane of `row` values a row, which has both chromas in turn where it is `paired`."""
    every = max(1, width // grid)
    columns = np.arange(grid) * every + every // 2 if width >= grid else np.zeros(grid, int)
    rows = (2 * np.arange(grid) + 1) * height // (2 * grid)
    places: NDArray[np.intp] = (rows[:, None] * row + columns * (1 + paired) + (paired and second)).ravel()
    return places
