"""Blur rectangles of decoded frames in place; samples outside stay as they are, bit by bit."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from reelmill_server.media.libav.planes import Samples, planes
from reelmill_server.media.overlay.privacy.boxes import Box

# Around the box the blur fades out over this share of its size: no hard edge, and a slightly misplaced box still covers.
FEATHER = 0.15
# Default radius as a share of the box's size: no feature of a face and no character of a plate remains.
_USUAL_RADIUS = 0.25
_RADIUS = 4  # for larger ones, one sample stands for several
_PASSES = 3  # three box blurs approximate a Gaussian whose standard deviation is their radius

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Region:
    """The blurred area of a frame: all of `box`, fading out in a seam around it."""

    box: Box
    radius: int | None = None
    strength: float = 1.0


def blur(frame: VideoFrame, regions: Iterable[Region]) -> None:
    """Blur all regions of a writable frame in one of the contract's pixel formats. An alpha channel stays."""
    colours = planes(frame)[:3]
    for region in regions:
        for samples in colours:
            _blur_plane(samples, region, samples.shape[1] / frame.width, samples.shape[0] / frame.height)


def _blur_plane(samples: Samples, region: Region, across: float, down: float) -> None:
    """Blur a region of one plane, which has so many samples per pixel of the frame."""
    box = region.box.scaled(across, down)
    seam = region.box.size * FEATHER
    rows, row_weights = _weights(box.y, box.height, seam * down, samples.shape[0])
    columns, column_weights = _weights(box.x, box.width, seam * across, samples.shape[1])
    if not rows.size or not columns.size:
        return
    weights = np.outer(row_weights, column_weights) * np.float32(region.strength)
    part = samples[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    radius = region.radius if region.radius is not None else region.box.size * _USUAL_RADIUS
    sharp = part.astype(np.float32)
    blurred = _blurred(sharp, radius * down, radius * across)
    part[...] = np.rint(sharp + (blurred - sharp) * weights).astype(samples.dtype)


def _blurred(sharp: Floats, down: float, across: float) -> Floats:
    """Blur by so many rows and columns. A strong blur has no detail: it is computed on a smaller copy, and enlarged."""
    high, wide = sharp.shape
    row_step, column_step = max(1, int(down / _RADIUS)), max(1, int(across / _RADIUS))
    rows, columns = np.arange(0, high, row_step), np.arange(0, wide, column_step)
    small = np.add.reduceat(np.add.reduceat(sharp, rows), columns, axis=1)
    small /= np.outer(np.diff(rows, append=high), np.diff(columns, append=wide))
    for _ in range(_PASSES):
        small = _mean(_mean(small, down / row_step, 0), across / column_step, 1)
    return _enlarged(_enlarged(small, high, row_step, 0), wide, column_step, 1)


def _enlarged(samples: Floats, length: int, step: int, axis: int) -> Floats:
    """Interpolate linearly along `axis`, to `step` samples for each one.

    Not by a product of matrices: numpy's would wait for threads of its own.
    """
    if step == 1:
        return samples
    last = samples.shape[axis] - 1
    places = np.clip((np.arange(length, dtype=np.float32) + np.float32(0.5)) / step - np.float32(0.5), 0, last)
    before = places.astype(np.intp)
    share = np.expand_dims(places - before, 1 - axis)
    low, high = np.take(samples, before, axis), np.take(samples, np.minimum(before + 1, last), axis)
    return np.asarray(low + (high - low) * share, np.float32)


def _weights(centre: float, length: float, seam: float, end: int) -> tuple[NDArray[np.intp], Floats]:
    """Return the samples along one axis that a box and its seam touch, and how much of each is blurred."""
    first, last = max(0, int(centre - length / 2 - seam)), min(end, int(centre + length / 2 + seam) + 1)
    places = np.arange(first, max(first, last))
    outside = np.abs(places + 0.5 - centre) - length / 2 - 0.5  # a sample that the box touches is inside
    return places, np.clip(1 - outside / max(seam, 0.5), 0, 1).astype(np.float32)


def _mean(samples: Floats, radius: float, axis: int) -> Floats:
    """Return each sample's mean with those up to `radius` away along `axis`; at the edges, with those that are there."""
    samples = np.moveaxis(samples, axis, 0)
    length, reach = samples.shape[0], max(1, round(radius))
    sums = np.concatenate((np.zeros_like(samples[:1]), np.cumsum(samples, axis=0)))
    place = np.arange(length)
    below, above = np.maximum(place - reach, 0), np.minimum(place + reach + 1, length)
    counts = (above - below).astype(np.float32)[:, np.newaxis]
    return np.moveaxis((sums[above] - sums[below]) / counts, 0, axis)
