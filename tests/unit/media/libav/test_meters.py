"""XPSNR of frames whose size or depth libav's filter does not read rightly."""

import numpy as np
import pytest
from av import VideoFrame

from reelmill_server.media.libav.meters import XpsnrMeter


def xpsnr(form: str, width: int, height: int) -> float:
    """The mean of two frames of waves with noise, against the same without it."""
    meter, random = XpsnrMeter(form), np.random.default_rng(1)
    rows, columns = np.mgrid[:height, :width]
    for number in range(2):
        wave = np.repeat((np.sin(columns / 9 + number) * np.cos(rows / 7) * 90 + 120)[..., None], 3, 2)
        noisy = (wave + random.normal(0, 4, wave.shape)).clip(0, 255)
        shown, given = (VideoFrame.from_ndarray(each.astype(np.uint8), "rgb24").reformat(format=form) for each in (noisy, wave))
        meter.compare(shown, given)
    return meter.mean() or 0.0


@pytest.mark.parametrize("width", [160, 214, 270])
def test_rows_with_gaps_are_compared_in_ten_bits(width: int) -> None:
    """As phones held upright have them (1080 samples), and 480p: it was 10 to 30 dB less."""
    assert xpsnr("yuv420p10le", width, 96) == pytest.approx(xpsnr("yuv420p", width, 96), abs=1.5)


def test_odd_heights_are_compared() -> None:
    """They gave 3 dB less than even ones."""
    assert xpsnr("yuv444p", 160, 65) == pytest.approx(xpsnr("yuv444p", 160, 64), abs=1)


@pytest.mark.parametrize("form", ["yuv420p", "yuv420p10le"])
@pytest.mark.parametrize(("width", "height"), [(16, 16), (2, 2), (2, 640), (44, 46)])
def test_the_smallest_frames_are_compared(form: str, width: int, height: int) -> None:
    """libav's filter divided by 0, which ended the process."""
    assert xpsnr(form, width, height) > 30
