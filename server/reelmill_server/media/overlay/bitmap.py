"""A picture with transparency, prepared for being drawn on the frames of an output."""

from dataclasses import dataclass

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from reelmill_server.media.libav.colours import Floats, to_planes
from reelmill_server.media.libav.planes import Samples, chroma_steps, depth_of, planes
from reelmill_server.model.plan import VideoOutput

_LUMA, _ALPHA = 0, 3


@dataclass(frozen=True)
class _Layer:
    """The part of a bitmap on one plane, and its position: the color times its opacity, and the opacity itself (0 to 1)."""

    rows: slice
    columns: slice
    colour: Floats
    opacity: Floats


class Bitmap:
    """Draw a picture on a rectangle of frames of one format. Transparent pixels, and those outside of the frame, cost
    nothing.
    """

    def __init__(self, rgba: NDArray[np.uint8], x: int, y: int, video: VideoOutput) -> None:
        """`x` and `y`: position of the upper left corner of `rgba` (rows, columns, 4) in frames like `video`."""
        self._layers: list[_Layer] = []
        self._top = (1 << depth_of(video.pixel_format)) - 1
        self._steps = steps = chroma_steps(video.pixel_format)
        rgba, x, y = _seen(rgba, x, y, video)
        if not rgba.size:
            return
        rgba, x, y = _on_grid(rgba, x, y, steps)
        red, green, blue, opacity = (rgba[..., part] * np.float32(1 / 255) for part in range(4))
        colours = to_planes((red, green, blue), video)
        small = _averaged(opacity, steps)
        for number, colour in enumerate(colours):
            step, alpha = ((1, 1), opacity) if number == _LUMA else (steps, small)
            rows, columns = (
                slice(y // step[1], y // step[1] + alpha.shape[0]),
                slice(x // step[0], x // step[0] + alpha.shape[1]),
            )
            self._layers.append(_Layer(rows, columns, _averaged(colour * opacity, step), alpha))

    def draw(self, frame: VideoFrame) -> None:
        """Draw on a writable frame."""
        if not self._layers:
            return
        samples = planes(frame)
        if len(samples) > _ALPHA:
            self._draw_on_transparent(samples)
            return
        for layer, plane in zip(self._layers, samples, strict=True):
            below = plane[layer.rows, layer.columns]
            mixed = below * (1 - layer.opacity)
            mixed += layer.colour
            self._write(below, mixed)

    def _draw_on_transparent(self, samples: list[Samples]) -> None:
        """Draw on a frame with alpha: where the picture is transparent, the frame's color counts only as far as the frame is
        opaque.
        """
        alpha, luma = samples[_ALPHA], self._layers[_LUMA]
        below = alpha[luma.rows, luma.columns]
        own = below.astype(np.float32) / self._top
        for number, layer in enumerate(self._layers):
            plane = samples[number][layer.rows, layer.columns]
            share = (1 - layer.opacity) * _averaged(own, (1, 1) if number == _LUMA else self._steps)
            whole = layer.opacity + share
            mixed = (layer.colour + plane * share) / np.maximum(whole, 1e-6)
            self._write(plane, np.where(whole > 0, mixed, plane))
        self._write(below, (luma.opacity + (1 - luma.opacity) * own) * self._top)

    def _write(self, samples: Samples, values: Floats) -> None:
        values += 0.5
        samples[...] = np.clip(values, 0, self._top, out=values)


def _seen(rgba: NDArray[np.uint8], x: int, y: int, video: VideoOutput) -> tuple[NDArray[np.uint8], int, int]:
    """Return the smallest part that shows anything within the frame, and its position."""
    left, top = max(0, -x), max(0, -y)
    rgba, x, y = rgba[top : max(0, video.height - y), left : max(0, video.width - x)], x + left, y + top
    visible = rgba[..., 3] > 0
    rows, columns = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
    if not rows.size:
        return rgba[:0], x, y
    return rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], x + int(columns[0]), y + int(rows[0])


def _on_grid(rgba: NDArray[np.uint8], x: int, y: int, steps: tuple[int, int]) -> tuple[NDArray[np.uint8], int, int]:
    """Pad with transparent pixels to the grid of chroma samples."""
    left, top = x % steps[0], y % steps[1]
    right, bottom = -(x + rgba.shape[1]) % steps[0], -(y + rgba.shape[0]) % steps[1]
    return np.pad(rgba, ((top, bottom), (left, right), (0, 0))), x - left, y - top


def _averaged(values: Floats, steps: tuple[int, int]) -> Floats:
    """Return the means of blocks, `steps` wide and high."""
    if steps == (1, 1):
        return values
    parts = [values[row :: steps[1], column :: steps[0]] for row in range(steps[1]) for column in range(steps[0])]
    means: Floats = sum(parts[1:], parts[0]) * np.float32(1 / len(parts))
    return means
