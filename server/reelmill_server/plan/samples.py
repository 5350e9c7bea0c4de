"""Choose the samples of the sources on which a quality is searched."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from reelmill_server.model.plan import Plan, StreamPlan
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.model.units import VideoUnit

_SAMPLE_US = 3 * MICROSECONDS
_LEAST_SAMPLES = 8
_SHARE = 100  # of the whole, one sample of so many
WHOLE_US = 32 * MICROSECONDS
"""Shorter videos are sampled whole."""


@dataclass(frozen=True)
class Sample:
    """A span of one part of a stream: the number of the part, and the span of its input as a chunk of it."""

    part: int
    span: VideoUnit


def sampled_us(duration_us: int) -> int:
    """Return how much of a video that is `duration_us` long is sampled."""
    return duration_us if duration_us <= WHOLE_US else _count(duration_us) * _SAMPLE_US


def choose_samples(plan: Plan, stream: StreamPlan, keys_us: Mapping[int, Sequence[int]]) -> tuple[Sample, ...]:
    """Return the samples of a stream, spread evenly over its parts; empty if no part says how long it is.

    `keys_us`: times of keyframes by the number of the input, in microseconds of its span. A sample begins at one that is near:
    encoders put them where scenes begin.
    """
    lengths = [
        plan.inputs[part.input].duration_us if part.stream >= 0 and not plan.inputs[part.input].still else 0
        for part in stream.parts
    ]
    total = sum(lengths)
    if total <= WHOLE_US:
        return tuple(Sample(number, VideoUnit(0, 0, 0, 0)) for number, length in enumerate(lengths) if length)
    count, found = _count(total), []
    for number in range(count):
        begin = (2 * number + 1) * total // (2 * count) - _SAMPLE_US // 2
        part, offset = _located(begin, lengths)
        keys = keys_us.get(stream.parts[part].input, ())
        found.append(Sample(part, _span(begin - offset, lengths[part], keys, total // (4 * count))))
    return tuple(found)


def _count(duration_us: int) -> int:
    return max(_LEAST_SAMPLES, ceil(duration_us / (_SHARE * _SAMPLE_US)))


def _located(begin: int, lengths: Sequence[int]) -> tuple[int, int]:
    """Return the part in which `begin` lies, and where the part begins."""
    offset = 0
    for number, length in enumerate(lengths):
        if begin < offset + length:
            return number, offset
        offset += length
    raise ValueError(f"{begin} is behind all parts")


def _span(begin: int, length: int, keys: Sequence[int], most: int) -> VideoUnit:
    """Return the span of a sample that would best begin at `begin`, or at a keyframe at most `most` away."""
    begin = min(max(begin, 0), max(length - _SAMPLE_US, 0))
    place = bisect_left(keys, begin)
    near = [key for key in keys[max(place - 1, 0) : place + 1] if abs(key - begin) <= most and 0 <= key <= length - _SAMPLE_US]
    begin = min(near, key=lambda key: (abs(key - begin), key), default=begin)
    end = begin + _SAMPLE_US
    return VideoUnit(0, begin, 0 if end >= length else end, 0)
