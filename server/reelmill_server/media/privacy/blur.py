"""Blurs rectangles of decoded pictures in place; what lies outside stays as it is, bit by bit."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from reelmill_server.media.planes import Samples, planes
from reelmill_server.media.privacy.boxes import Box

# Around the box the blur fades out over this share of its size: no hard edge, and a thing that is a little off is covered.
FEATHER = 0.15
# Without a radius: this share of the box's size, which leaves no feature of a face and no character of a plate.
_USUAL_RADIUS = 0.25
_PASSES = 3  # three means are nearly a Gaussian, whose standard deviation is their radius


@dataclass(frozen=True)
class Region:
    """What of a picture is blurred: all of `box`, and less and less of a seam around it.

    `radius`: standard deviation of the blur in pixels, None: as the box needs it. `strength` 1 … 0: full blur … none.
    """

    box: Box
    radius: int | None = None
    strength: float = 1.0


def blur(frame: VideoFrame, regions: Iterable[Region]) -> None:
    """Blurs all regions of a writable picture in one of the contract's pixel formats. An alpha channel stays."""
    colours = planes(frame)[:3]
    for region in regions:
        for samples in colours:
            _blur_plane(samples, region, samples.shape[1] / frame.width, samples.shape[0] / frame.height)


def _blur_plane(samples: Samples, region: Region, across: float, down: float) -> None:
    """Blurs a region of one plane, which has so many samples per pixel of the picture."""
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
    blurred = sharp
    for _ in range(_PASSES):
        blurred = _mean(_mean(blurred, radius * down, 0), radius * across, 1)
    part[...] = np.rint(sharp + (blurred - sharp) * weights).astype(samples.dtype)


def _weights(centre: float, length: float, seam: float, end: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """The samples along one axis that a box and its seam touch, and how much of each is blurred."""
    first, last = max(0, int(centre - length / 2 - seam)), min(end, int(centre + length / 2 + seam) + 1)
    places = np.arange(first, max(first, last))
    outside = np.abs(places + 0.5 - centre) - length / 2 - 0.5  # a sample that the box touches is inside
    return places, np.clip(1 - outside / max(seam, 0.5), 0, 1).astype(np.float32)


def _mean(samples: NDArray[np.float32], radius: float, axis: int) -> NDArray[np.float32]:
    """Each sample's mean with those up to `radius` away along `axis`; at the edges, with those that are there."""
    samples = np.moveaxis(samples, axis, 0)
    length, reach = samples.shape[0], max(1, round(radius))
    sums = np.concatenate((np.zeros_like(samples[:1]), np.cumsum(samples, axis=0)))
    place = np.arange(length)
    below, above = np.maximum(place - reach, 0), np.minimum(place + reach + 1, length)
    counts = (above - below).astype(np.float32)[:, np.newaxis]
    return np.moveaxis((sums[above] - sums[below]) / counts, 0, axis)
