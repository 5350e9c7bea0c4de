"""Samples that are not numbers."""

import numpy as np
import pytest
from av import AudioFrame
from av.audio.plane import AudioPlane

from reelmill_server.media.input.finite import silence_invalid


@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1", "7.1", "hexadecagonal"])
@pytest.mark.parametrize("sample_format", ["fltp", "flt", "dblp"])
def test_they_become_silence_in_each_channel(layout: str, sample_format: str) -> None:
    """In eight planes, too, behind which PyAV sees a ninth."""
    frame = AudioFrame(sample_format, layout, 100)
    channels, planar = frame.layout.nb_channels, frame.format.is_planar
    kind = np.float64 if sample_format.startswith("dbl") else np.float32
    for plane in (AudioPlane(frame, number) for number in range(channels if planar else 1)):
        samples = np.full(plane.buffer_size // np.dtype(kind).itemsize, 0.5, kind)
        samples[3] = np.nan
        plane.update(samples.tobytes())
    assert silence_invalid([frame]) == (channels if planar else 1)
    assert silence_invalid([frame]) == 0
