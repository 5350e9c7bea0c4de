"""Blocks of decoded audio frames."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from av import AudioFrame
from hypothesis import given
from hypothesis import strategies as st

from reelmill_server.media.input.audio_blocks import AudioBlock, AudioBlocks

RATE, MILLISECOND = 48_000, Fraction(1, 1000)


def frame(begin: int | None, samples: int, base: Fraction = Fraction(1, RATE), layout: str = "stereo") -> AudioFrame:
    """A frame of noise."""
    channels = 2 if layout == "stereo" else 1
    noise = np.random.default_rng(samples).integers(-9999, 9999, (1, samples * channels), np.int16)
    result = AudioFrame.from_ndarray(noise, "s16", layout)
    result.sample_rate, result.time_base, result.pts = RATE, base, begin
    return result


def joined(frames: Sequence[AudioFrame]) -> list[AudioBlock]:
    """All blocks of `frames`."""
    blocks = AudioBlocks()
    return [*blocks.join(frames, frames[0].time_base), *blocks.rest()]


@given(st.lists(st.tuples(st.integers(1, 5000), st.sampled_from([0, 0, 0, 0, -7, 3, 9000])), min_size=1, max_size=40))
def test_no_sample_changes_its_time(steps: list[tuple[int, int]]) -> None:
    """Each is where it was in its frame, to the tick in which times are told."""
    frames, position = [], 0
    for samples, gap in steps:
        position += gap
        frames.append(frame(position, samples))
        position += samples
    given_samples = [(item.pts or 0, item.to_ndarray()) for item in frames]
    blocks = joined(frames)
    assert sum(block.count for block in blocks) == len(steps)
    loose: Iterator[tuple[int, Any]] = iter(given_samples)
    for block in blocks:
        wave: Any = block.frame.to_ndarray()
        place = 0
        assert block.frame.time_base == Fraction(1, RATE)
        for _ in range(block.count):
            begin, samples = next(loose)
            assert abs((block.frame.pts or 0) + place // 2 - begin) <= 1
            assert np.array_equal(wave[:, place : place + samples.shape[1]], samples)
            place += samples.shape[1]
        assert place == wave.shape[1]


def test_blocks_last_half_a_second() -> None:
    """The last one is what is left."""
    blocks = joined([frame(number * 1024, 1024) for number in range(50)])
    assert [block.count for block in blocks] == [24, 24, 2]
    assert [block.frame.pts for block in blocks] == [0, 24 * 1024, 48 * 1024]


def test_rounded_times_are_no_gaps() -> None:
    """As those of Matroska, in milliseconds."""
    (block,) = joined([frame(round(number * 1024 / 48), 1024, MILLISECOND) for number in range(20)])
    assert (block.frame.samples, block.frame.time_base) == (20 * 1024, MILLISECOND)


def test_drift_is_kept() -> None:
    """Frames that each begin a little later do not add up to one that is a lot too early."""
    blocks = joined([frame(number * 1025, 1024) for number in range(20)])
    assert all(block.count <= 2 for block in blocks)


def test_what_has_no_time_or_another_format_stands_alone() -> None:
    """In the order in which it came."""
    blocks = joined([frame(0, 10), frame(None, 11), frame(21, 12), frame(33, 13, layout="mono"), frame(46, 14, layout="mono")])
    assert [(block.frame.pts, block.frame.samples, block.count) for block in blocks] == [
        (0, 10, 1),
        (None, 11, 1),
        (21, 12, 1),
        (33, 27, 2),
    ]
