"""Fill a rectangle from what surrounds it, so that a logo disappears without a visible edge.

The rectangle becomes a membrane stretched over its rim: the solution of Laplace's equation with the samples around it as
boundary. A side at the frame's edge has no rim and is free. Sides longer than `_GRID` samples are solved on a coarser grid
and enlarged: away from the rim the membrane is smooth. Where there is no rim at all, only a blur is left.
"""

from dataclasses import dataclass

import numpy as np
from av import VideoFrame

from reelmill_server.media.libav.colours import Floats
from reelmill_server.media.libav.planes import Samples, chroma_steps, planes
from reelmill_server.model.overlay_plan import Box
from reelmill_server.model.plan import VideoOutput

_GRID = 128
# The rim is averaged over so many samples beside the rectangle: a single one would carry its noise inside.
_RIM = 2
# Without a rim, only detail larger than this share of the frame is kept.
_BLUR_PARTS = 12


@dataclass(frozen=True)
class _Axis:
    """One axis of a rectangle: `size` samples from `begin` on in a plane of `whole`, solved at `count` points."""

    begin: int
    size: int
    whole: int
    parts: int = _GRID

    @property
    def count(self) -> int:
        """Return the number of points of the grid."""
        return min(self.size, self.parts)

    @property
    def rims(self) -> tuple[bool, bool]:
        """Return whether there are samples before and after it."""
        return self.begin > 0, self.begin + self.size < self.whole

    def means(self) -> Floats:
        """Return the matrix from samples to points: each point is the mean of its samples."""
        edges = np.linspace(0, self.size, self.count + 1)
        begin = np.arange(self.size)
        shares = np.minimum(edges[1:, None], begin + 1) - np.maximum(edges[:-1, None], begin)
        means: Floats = (np.maximum(shares, 0) * self.count / self.size).astype(np.float32)
        return means

    def between(self) -> Floats:
        """Return the matrix from points to samples: linear interpolation, beyond the outer points towards the rims."""
        places = (np.arange(self.size) + 0.5) * self.count / self.size - 0.5
        lower = np.clip(np.floor(places).astype(int), 0, max(0, self.count - 2))
        share = np.clip(places - lower, 0, 1)
        matrix = np.zeros((self.size, self.count), np.float32)
        rows = np.arange(self.size)
        matrix[rows, lower] += 1 - share
        matrix[rows, np.minimum(lower + 1, self.count - 1)] += share
        return matrix

    def modes(self) -> tuple[Floats, Floats]:
        """Return eigenvalues and eigenvectors of the second difference, held at the rims and free where there is none."""
        matrix = 2 * np.eye(self.count) - np.eye(self.count, k=1) - np.eye(self.count, k=-1)
        for end, is_held in zip((0, -1), self.rims, strict=True):
            matrix[end, end] -= not is_held
        values, vectors = np.linalg.eigh(matrix)
        return values.astype(np.float32), vectors.astype(np.float32)


class _Fill:
    """Fill one rectangle of planes of one size."""

    def __init__(self, rows: _Axis, columns: _Axis) -> None:
        self._rows, self._columns = rows, columns
        self._row_means, self._column_means = rows.means(), columns.means()
        self._down, self._across = rows.between(), columns.between().T
        self._held = any((*rows.rims, *columns.rims))
        if self._held:
            self._stretch(rows, columns)

    def _stretch(self, rows: _Axis, columns: _Axis) -> None:
        """Transform from points to modes, in which solving for the membrane is a division."""
        row_values, row_modes = rows.modes()
        column_values, column_modes = columns.modes()
        # The grid may have different steps in both directions: differences are weighted so that the membrane pulls equally.
        down, across = (rows.count / rows.size) ** 2, (columns.count / columns.size) ** 2
        self._stiffness = row_values[:, None] * down + column_values[None, :] * across
        self._row_ends, self._column_ends = row_modes[[0, -1]] * down, column_modes[[0, -1]] * across
        self._row_means, self._column_means = row_modes.T @ self._row_means, column_modes.T @ self._column_means
        self._down, self._across = self._down @ row_modes, column_modes.T @ self._across

    def apply(self, plane: Samples) -> None:
        """Fill the rectangle of a plane."""
        rows = slice(self._rows.begin, self._rows.begin + self._rows.size)
        columns = slice(self._columns.begin, self._columns.begin + self._columns.size)
        inside = plane[rows, columns]
        if self._held:
            points = self._spectrum(plane, rows, columns)
        else:
            points = self._row_means @ inside.astype(np.float32) @ self._column_means.T
        filled = self._down @ points @ self._across
        inside[...] = np.clip(np.rint(filled), 0, np.iinfo(plane.dtype).max)

    def _spectrum(self, plane: Samples, rows: slice, columns: slice) -> Floats:
        """Return the membrane in terms of modes: each rim pulls at the points beside it."""
        down, across = [], []
        before, after = slice(max(0, rows.start - _RIM), rows.start), slice(rows.stop, rows.stop + _RIM)
        for is_held, end, lines in zip(self._rows.rims, self._row_ends, (before, after), strict=True):
            if is_held:
                down.append(end)
                across.append(self._column_means @ plane[lines, columns].mean(axis=0, dtype=np.float32))
        before, after = slice(max(0, columns.start - _RIM), columns.start), slice(columns.stop, columns.stop + _RIM)
        for is_held, end, lines in zip(self._columns.rims, self._column_ends, (before, after), strict=True):
            if is_held:
                down.append(self._row_means @ plane[rows, lines].mean(axis=1, dtype=np.float32))
                across.append(end)
        spectrum: Floats = np.stack(down).T @ np.stack(across) / self._stiffness
        return spectrum


class Delogo:
    """Fill a rectangle of frames of one format."""

    def __init__(self, box: Box, video: VideoOutput) -> None:
        steps = chroma_steps(video.pixel_format)
        self._fills = [_fill(box, video, step) for step in ((1, 1), steps, steps)]

    def draw(self, frame: VideoFrame) -> None:
        """Fill the rectangle of a writable frame; transparency stays."""
        for plane, fill in zip(planes(frame), self._fills, strict=False):
            fill.apply(plane)


def _fill(box: Box, video: VideoOutput, step: tuple[int, int]) -> _Fill:
    ends = (box.y, box.height, video.height, step[1]), (box.x, box.width, video.width, step[0])
    alone = box.x <= 0 and box.y <= 0 and box.x + box.width >= video.width and box.y + box.height >= video.height
    rows, columns = (_axis(*end, _BLUR_PARTS if alone else _GRID) for end in ends)
    return _Fill(rows, columns)


def _axis(begin: int, size: int, whole: int, step: int, parts: int) -> _Axis:
    """Return the part of a rectangle's side that lies within the frame, in samples that each stand for `step` pixels."""
    first, last = max(0, begin) // step, -(-min(whole, begin + size) // step)
    return _Axis(first, last - first, -(-whole // step), parts)
