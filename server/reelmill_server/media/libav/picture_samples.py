"""Samples of a frame's planes, by which likeness is told."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from reelmill_server.media.libav.likeness import GRID, PLANE

_SEMI_PLANAR = ("nv12", "p010le")


def sample(frame: VideoFrame) -> bytes:
    """Return `PLANE` samples of each plane of a frame, of 8 bits each; gray ones for planes that it lacks."""
    name = frame.format.name
    planes: Sequence[Any] = frame.planes
    deep = name.endswith(("10le", "p010le"))
    kind, shift = (np.uint16, 8 if name == "p010le" else 2) if deep else (np.uint8, 0)
    samples = bytearray()
    for number in range(3):
        paired = name in _SEMI_PLANAR and number > 0
        if not paired and number >= len(planes):
            samples += bytes((128,)) * PLANE
            continue
        plane = planes[min(number, 1)] if paired else planes[number]
        width = frame.format.chroma_width(frame.width) if number else frame.width
        height = frame.format.chroma_height(frame.height) if number else frame.height
        places = _places(width, height, plane.line_size // (1 + deep), paired, number == 2)
        values: NDArray[Any] = np.frombuffer(plane, kind).take(places)
        samples += ((values >> shift).astype(np.uint8) if deep else values).tobytes()
    return bytes(samples)


@lru_cache(maxsize=64)
def _places(width: int, height: int, row: int, paired: bool, second: bool) -> NDArray[np.intp]:
    """Return where the samples are in a plane of `row` values a row, which has both chromas in turn where it is `paired`."""
    every = max(1, width // GRID)
    columns = np.arange(GRID) * every + every // 2 if width >= GRID else np.zeros(GRID, int)
    rows = (2 * np.arange(GRID) + 1) * height // (2 * GRID)
    places: NDArray[np.intp] = (rows[:, None] * row + columns * (1 + paired) + (paired and second)).ravel()
    return places
