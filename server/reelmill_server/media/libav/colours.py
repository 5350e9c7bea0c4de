"""Convert sRGB colors of pictures and texts to those of an output."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reelmill_server.media.libav.planes import depth_of
from reelmill_server.media.libav.tone_mapping import (
    BT2020_LUMA,
    HLG_A,
    HLG_B,
    HLG_C,
    HLG_PEAK_NITS,
    OOTF_GAMMA,
    PQ_C1,
    PQ_C2,
    PQ_C3,
    PQ_M1,
    PQ_M2,
    WHITE_NITS,
)
from reelmill_server.model.colour import LUMA_WEIGHTS, Matrix, Primaries, Range, Transfer
from reelmill_server.model.plan import VideoOutput

Floats = NDArray[Any]
"""Of single precision, mostly."""

# Without a signaled matrix, players assume BT.709 for large frames, BT.601 for small ones.
_HIGH_DEFINITION = (1280, 577)
# BT.2087: BT.709 to BT.2020, linear
_TO_BT2020 = ((0.6274, 0.3293, 0.0433), (0.0691, 0.9195, 0.0114), (0.0164, 0.0880, 0.8956))


def _weights(video: VideoOutput) -> tuple[float, float]:
    high = video.width >= _HIGH_DEFINITION[0] or video.height >= _HIGH_DEFINITION[1]
    return LUMA_WEIGHTS.get(video.color_space, LUMA_WEIGHTS[Matrix.BT709 if high else Matrix.SMPTE170M])


def to_planes(rgb: Sequence[Floats], video: VideoOutput) -> tuple[Floats, Floats, Floats]:
    """Convert red, green and blue of sRGB (0..1) to luma and both chromas, in the numbers of the output's pixel format."""
    red_weight, blue_weight = _weights(video)
    red, green, blue = _signal(rgb, video)
    luma = red_weight * red + (1 - red_weight - blue_weight) * green + blue_weight * blue
    blueness, redness = (blue - luma) / (2 - 2 * blue_weight), (red - luma) / (2 - 2 * red_weight)
    depth = depth_of(video.pixel_format)
    if video.color_range == Range.FULL:
        top, middle = float((1 << depth) - 1), float(1 << (depth - 1))
        return luma * top, middle + blueness * top, middle + redness * top
    unit = float(1 << (depth - 8))
    return (16 + 219 * luma) * unit, (128 + 224 * blueness) * unit, (128 + 224 * redness) * unit


def _signal(rgb: Sequence[Floats], video: VideoOutput) -> Sequence[Floats]:
    """Convert sRGB to the output's own R'G'B': SDR takes it as it is, HDR shows its white at 203 cd/m² (ITU-R BT.2408)."""
    if video.color_transfer not in (Transfer.PQ, Transfer.HLG):
        return rgb
    nits = [WHITE_NITS * np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4) for part in rgb]
    if video.color_primaries == Primaries.BT2020:
        nits = [_weighted(row, nits) for row in _TO_BT2020]
    return [_pq(part) for part in nits] if video.color_transfer == Transfer.PQ else _hlg(nits)


def _weighted(weights: Sequence[float], parts: Sequence[Floats]) -> Floats:
    return weights[0] * parts[0] + weights[1] * parts[1] + weights[2] * parts[2]


def _pq(nits: Floats) -> Floats:
    power = (nits / 10_000) ** PQ_M1
    signal: Floats = ((PQ_C1 + PQ_C2 * power) / (1 + PQ_C3 * power)) ** PQ_M2
    return signal


def _hlg(nits: Sequence[Floats]) -> Sequence[Floats]:
    """Return the HLG signal for a display of 1000 cd/m²."""
    gain = np.maximum(_weighted(BT2020_LUMA, nits) / HLG_PEAK_NITS, 1e-9) ** (1 / OOTF_GAMMA - 1) / HLG_PEAK_NITS
    scenes = [part * gain for part in nits]
    return [
        np.where(scene <= 1 / 12, np.sqrt(3 * scene), HLG_A * np.log(np.maximum(12 * scene - HLG_B, 1e-9)) + HLG_C)
        for scene in scenes
    ]
