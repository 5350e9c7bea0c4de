"""Samples that are not numbers."""

import sys
from itertools import count

import numpy as np
import pytest
from av import AudioFrame
from av.audio.plane import AudioPlane

from reelmill_server.media.input import finite
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


def sound(sample_format: str, *samples: float) -> AudioFrame:
    """A frame of one channel."""
    frame = AudioFrame(sample_format, "mono", len(samples))
    (plane,) = frame.planes
    kind = np.float64 if sample_format == "dbl" else np.float32
    plane.update(np.array(samples, kind).tobytes().ljust(plane.buffer_size, b"\0"))
    return frame


@pytest.mark.parametrize("first", [0, finite._MANY_FRAMES])
@pytest.mark.parametrize("sample_format", ["flt", "dbl"])
def test_each_sample_counts_by_its_size(sample_format: str, first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Early and late in a long recording, where it is looked for in different ways."""
    monkeypatch.setattr(finite, "_frames_seen", count(first))
    for bad in (np.nan, np.inf, -np.inf, 1e6, -1.5e6, 1e30):
        assert silence_invalid([sound(sample_format, 0.5, bad, -0.5, 0.0)]) == 1, bad
    for good in (0.0, -1.0, 1e-40, 130_000.0, -130_000.0, 140_000.0, 530_000.0, -999_000.0):
        assert silence_invalid([sound(sample_format, 0.5, good, -0.5, 0.0)]) == 0, good


def test_usual_audio_needs_no_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short conversions do without loading it."""
    monkeypatch.setattr(finite, "_frames_seen", count())
    frames = [sound("flt", 0.5, -1.0, 3.0), sound("dbl", 0.5, -1.0, 3.0)]
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert silence_invalid(frames) == 0
