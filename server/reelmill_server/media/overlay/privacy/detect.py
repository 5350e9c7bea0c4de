"""Detect faces and license plates with small networks, whose models are part of this package, on the CPU.

The source of the models and what they find: docs/adr/0010-privacy-detectors.md.
"""

import os
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from reelmill_server.media.overlay.privacy.boxes import Box, distinct

_MODELS = Path(__file__).parent / "models"
_MULTIPLE = 32  # both networks halve the image five times
_MOST_BOXES = 100  # per frame; the surest
_MOST_THREADS = 4
_PLATE_SQUARES = ((8, (24, 48)), (16, (96, 192)), (32, (384, 768)))  # distance of anchor squares and their sides, pixels
_PLATE_MEAN = np.array((104, 117, 123), np.float32).reshape(1, 3, 1, 1)  # blue, green, red
_QUIET = 3  # of onnxruntime's severities: errors only


class Detector(Protocol):
    """Detect one kind of object. `longest_side`: of the frames it takes, pixels."""

    longest_side: int

    def __call__(self, rgb: NDArray[Any]) -> list[Box]:
        """Return the boxes found in the image (rows, columns, RGB), the surest first."""


@cache
def _session(name: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _QUIET
    options.intra_op_num_threads = min(_MOST_THREADS, os.cpu_count() or 1)
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the cores belong to the codecs
    return onnxruntime.InferenceSession(str(_MODELS / name), options, providers=["CPUExecutionProvider"])


def _padded(rgb: NDArray[Any]) -> NDArray[np.float32]:
    """Return the image as networks take it, padded with black on the right and below to the next multiple."""
    height, width = rgb.shape[:2]
    picture = np.zeros((1, 3, -(-height // _MULTIPLE) * _MULTIPLE, -(-width // _MULTIPLE) * _MULTIPLE), np.float32)
    picture[0, :, :height, :width] = rgb.transpose(2, 0, 1)
    return picture


def _boxes(centres: NDArray[Any], sizes: NDArray[Any], scores: NDArray[Any], overlap: float) -> list[Box]:
    surest = np.argsort(-scores)[:_MOST_BOXES]
    rows = np.column_stack((centres, sizes, scores))[surest].tolist()
    return distinct([Box(*row) for row in rows], overlap)


class FaceDetector:
    """CenterFace: a map of how much each 4 × 4 pixels look like a face's center, with sizes and offsets."""

    longest_side = 736
    _LEAST_SCORE = 0.2  # below it, one in thirty frames without a face gets a box
    _STRIDE = 4
    _OVERLAP = 0.3

    def __call__(self, rgb: NDArray[Any]) -> list[Box]:
        heat, scale, offset = _session("centerface.onnx").run(["537", "538", "539"], {"input.1": _padded(rgb)})
        rows, columns = np.nonzero(heat[0, 0] > self._LEAST_SCORE)
        place = np.column_stack((columns, rows)) + 0.5
        centres = (place + offset[0, ::-1, rows, columns]) * self._STRIDE
        sizes = np.exp(scale[0, ::-1, rows, columns]) * self._STRIDE
        return _boxes(centres, sizes, heat[0, 0, rows, columns], self._OVERLAP)


class PlateDetector:
    """A RetinaFace of a quarter MobileNet, trained on license plates: boxes relative to a dense grid of anchor squares.

    It also looks at the image at half its size, since it does not know large plates with thin strokes.
    """

    longest_side = 1280
    _LEAST_SCORE = 0.1
    _CENTRE_SCALE, _SIZE_SCALE = 0.1, 0.2
    _OVERLAP = 0.3

    def __call__(self, rgb: NDArray[Any]) -> list[Box]:
        height, width = rgb.shape[0] // 2, rgb.shape[1] // 2
        if not height or not width:
            return []
        half = rgb[: 2 * height, : 2 * width].reshape(height, 2, width, 2, 3).mean(axis=(1, 3))
        return distinct([*self._at(rgb), *(box.scaled(2, 2) for box in self._at(half))], self._OVERLAP)

    def _at(self, rgb: NDArray[Any]) -> list[Box]:
        picture = _padded(rgb)[:, ::-1] - _PLATE_MEAN
        moves, scores, _ = _session("plates.onnx").run(None, {"image": np.ascontiguousarray(picture)})
        likely = scores[0, :, 1] > self._LEAST_SCORE
        moves, squares = moves[0, likely], _squares(*picture.shape[2:])[likely]
        centres = squares[:, :2] + moves[:, :2] * self._CENTRE_SCALE * squares[:, 2:]
        sizes = squares[:, 2:] * np.exp(moves[:, 2:4] * self._SIZE_SCALE)
        return _boxes(centres, sizes, scores[0, likely, 1], self._OVERLAP)


def try_detectors() -> None:
    """Run each detector once. Raises what the runtime raises when one cannot be run."""
    black = np.zeros((_MULTIPLE, _MULTIPLE, 3), np.uint8)
    for detector in (FaceDetector(), PlateDetector()):
        detector(black)


@lru_cache(maxsize=4)
def _squares(height: int, width: int) -> NDArray[np.float32]:
    """Return center and size of every anchor square, in the order of the network's output."""
    levels = []
    for step, sides in _PLATE_SQUARES:
        rows, columns, side = np.meshgrid(np.arange(height // step), np.arange(width // step), sides, indexing="ij")
        levels.append(np.stack(((columns + 0.5) * step, (rows + 0.5) * step, side, side), axis=-1).reshape(-1, 4))
    return np.concatenate(levels).astype(np.float32)
