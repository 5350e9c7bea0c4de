"""Comparing how an output sounds with its source."""

from fractions import Fraction

import numpy as np
import pytest
from av import AudioFrame

from reelmill_server.media.input.sights import SoundSight
from reelmill_server.media.libav.timestamps import Extent
from reelmill_server.media.result.witness import witness_of
from reelmill_server.media.track.base import StreamStats
from reelmill_server.model.plan import AudioOutput, StreamPlan, StreamType


@pytest.mark.parametrize("sample", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_no_other_channel(sample: float) -> None:
    """Floating point has them, and an output in integers does not."""
    given = SoundSight()
    given.add(tone(sample))
    plan = StreamPlan(StreamType.AUDIO, (), "flac", "flac", "", {}, audio=AudioOutput(8000, "mono", "s16"))
    witness = witness_of(plan, StreamStats(sight=given), Extent(), Fraction(1, 8000))
    witness.see(tone(0))
    assert witness.mistake() == ""


def tone(third: float) -> AudioFrame:
    """Return a frame with a sample of its own."""
    samples = np.sin(np.arange(1024, dtype=np.float32) / 5)[None]
    samples[0, 2] = third
    frame = AudioFrame.from_ndarray(samples, "fltp", "mono")
    frame.sample_rate = 8000
    return frame
