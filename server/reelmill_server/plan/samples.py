"""Choose the samples of the sources on which a quality is searched."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil

from reelmill_server.model.plan import Plan, StreamPlan
from reelmill_server.model.sample import Sample
from reelmill_server.model.time import FALLBACK_RATE, MICROSECONDS
from reelmill_server.model.units import VideoUnit

EVERY = 7
"""Of a sample's frames one in so many is scored: no period of B-frames is a multiple of it."""
_SAMPLE_US = 3 * MICROSECONDS
_SAMPLE_FRAMES = 75  # at least: encoders look ahead some dozens of frames, and a shorter sample would not show what that saves
_LEAST_SAMPLES = 8
MOST_SAMPLES = 500
"""Of a stream: so many say as much as more do."""
_SHARE = 100  # of the whole, one sample of so many
_WHOLE = Fraction(4, 3)  # of what its samples would take: a shorter video is sampled whole
_SCOUT_US, _SCOUT_FRAMES, _USUAL_SCOUTS = 3 * MICROSECONDS // 2, 24, 2
_SCOUTED_WHOLES = 2  # times the longest video that is sampled whole: to encode all, even twice, takes less than its samples
_SCOUTS_APART = 7  # lengths of a scout, of a video that has more than the usual number
_SCOUTED_SHARE = Fraction(2, 3)  # of a short video, at most
SCOUTED = 2
"""Times a sample, from which on a scout is worth it."""


def sampled_us(duration_us: int, rate: Fraction) -> int:
    """Return how much of a video is sampled that is `duration_us` long and has `rate` frames per second."""
    sample_us = _sample_us(rate)
    sampled = _count(duration_us, sample_us) * sample_us
    return duration_us if duration_us <= sampled * _WHOLE else sampled


def choose_samples(plan: Plan, stream: StreamPlan, keys_us: Mapping[int, Sequence[int]]) -> tuple[Sample, ...]:
    """Return the samples of a stream, the one to begin with first; empty if no part says how long it is. They are spread evenly
    over its parts; of little, they are a scout and all of it.

    `keys_us`: times of keyframes by the number of the input, in microseconds of its span. A sample begins at one that is near:
    encoders put them where scenes begin.
    """
    lengths, total, rate = _lengths(plan, stream)
    sample_us = _sample_us(rate)
    if sampled_us(total, rate) == total:
        whole = (Sample(number, VideoUnit(0, 0, 0, 0)) for number, length in enumerate(lengths) if length)
        scouts = _spread(1, sample_us, lengths, stream, keys_us) if total >= SCOUTED * sample_us else []
        return (*(replace(scout, scout=True) for scout in scouts), *whole)
    samples = _spread(_count(total, sample_us), sample_us, lengths, stream, keys_us)
    return _middle_first(samples)


def _middle_first(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """Return samples in the order in which to try them: the middle one is likeliest to be like the others."""
    middle = len(samples) // 2
    return (samples[middle], *samples[:middle], *samples[middle + 1 :])


def choose_scouts(plan: Plan, stream: StreamPlan, keys_us: Mapping[int, Sequence[int]]) -> tuple[Sample, ...]:
    """Return samples by which the encode of all of a short video begins near its target; empty if it is too short, or long
    enough for others. `keys_us` as for `choose_samples`.
    """
    lengths, total, rate = _lengths(plan, stream)
    scouted, sample_us = scouted_us(total, rate)
    if not scouted:
        return ()
    count = scouted // sample_us
    # A keyframe anywhere in its share of the video will do: what is decoded before a scout may cost more than the scout.
    scouts = _spread(count, sample_us, lengths, stream, keys_us, (total // count - sample_us) // 2)
    return tuple(replace(scout, scout=True) for scout in _middle_first(scouts))


def scouted_us(duration_us: int, rate: Fraction) -> tuple[int, int]:
    """Return how much of a video is scouted, 0 if it is not short; and how long a scout is."""
    sample_us = max(_SCOUT_US, round(_SCOUT_FRAMES * MICROSECONDS / (rate or FALLBACK_RATE)))
    half = duration_us // _SCOUTED_WHOLES
    if sampled_us(half, rate) != half or duration_us < SCOUTED * sample_us:
        return 0, sample_us
    most = max(_USUAL_SCOUTS, duration_us // (_SCOUTS_APART * sample_us))
    return min(round(duration_us * _SCOUTED_SHARE) // sample_us, most) * sample_us, sample_us


def _lengths(plan: Plan, stream: StreamPlan) -> tuple[list[int], int, Fraction]:
    """Return how long the parts of a stream are, what they are together, and the frames per second."""
    lengths = [
        plan.inputs[part.input].duration_us if part.stream >= 0 and not plan.inputs[part.input].still else 0
        for part in stream.parts
    ]
    return lengths, sum(lengths), stream.video.frame_rate if stream.video else FALLBACK_RATE


def _spread(
    count: int,
    sample_us: int,
    lengths: Sequence[int],
    stream: StreamPlan,
    keys_us: Mapping[int, Sequence[int]],
    most_us: int | None = None,
) -> list[Sample]:
    """Return so many samples, spread evenly; each may be moved to a keyframe that is at most `most_us` away, None: a
    quarter of their distance.
    """
    samples, total = [], sum(lengths)
    most_us = total // (4 * count) if most_us is None else most_us
    for number in range(count):
        begin = (2 * number + 1) * total // (2 * count) - sample_us // 2
        part, offset = _located(begin, lengths)
        keys = keys_us.get(stream.parts[part].input, ())
        samples.append(Sample(part, _span(begin - offset, sample_us, lengths[part], keys, most_us)))
    return samples


def _sample_us(rate: Fraction) -> int:
    return max(_SAMPLE_US, round(_SAMPLE_FRAMES * MICROSECONDS / (rate or FALLBACK_RATE)))


def _count(duration_us: int, sample_us: int) -> int:
    return min(max(_LEAST_SAMPLES, ceil(duration_us / (_SHARE * sample_us))), MOST_SAMPLES)


def _located(begin: int, lengths: Sequence[int]) -> tuple[int, int]:
    """Return the part in which `begin` lies, and where the part begins."""
    offset = 0
    for number, length in enumerate(lengths):
        if begin < offset + length:
            return number, offset
        offset += length
    raise ValueError(f"{begin} is behind all parts")


def _span(begin: int, sample_us: int, length: int, keys: Sequence[int], most: int) -> VideoUnit:
    """Return the span of a sample that would best begin at `begin`, or at a keyframe at most `most` away."""
    begin = min(max(begin, 0), max(length - sample_us, 0))
    place = bisect_left(keys, begin)
    near = [key for key in keys[max(place - 1, 0) : place + 1] if abs(key - begin) <= most and 0 <= key <= length - sample_us]
    begin = min(near, key=lambda key: (abs(key - begin), key), default=begin)
    end = begin + sample_us
    return VideoUnit(0, begin, 0 if end >= length else end, 0)
