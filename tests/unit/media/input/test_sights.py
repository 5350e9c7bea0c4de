"""What the gate remembers of frames is how another library shows them."""

from typing import Any

import numpy as np
import pytest
from av import VideoFrame
from PIL import Image

from reelmill_server.media.input.sights import COARSE, look

WIDTH, HEIGHT = 320, 32
CYAN, MAGENTA = (0, 255, 255, 255), (255, 0, 255, 255)


def stripes() -> np.ndarray[Any, Any]:
    """Upright stripes, each as wide as a sample of what is compared."""
    row = [(CYAN, MAGENTA)[column * COARSE // WIDTH % 2] for column in range(WIDTH)]
    return np.repeat(np.array([row], np.uint8), HEIGHT, 0)


@pytest.mark.parametrize("form", ["yuv420p", "yuva420p", "yuv444p10le", "rgba", "gbrp"])
def test_strong_colors_are_not_smeared(form: str) -> None:
    """As they are where libav scales them into packed RGB."""
    frame = VideoFrame.from_ndarray(stripes(), "rgba").reformat(format=form)
    seen = np.asarray(frame.to_image().resize((COARSE, COARSE), Image.Resampling.BOX))[..., 1]
    given = look(frame)
    assert given and np.abs(np.frombuffer(given, np.uint8) - seen.flatten().astype(int)).max() < 8
