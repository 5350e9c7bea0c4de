"""Choose the rungs of a ladder: the sizes and CRFs that give most for their bits, far enough apart to be worth switching to."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from math import exp, log

from reelmill_server.model.ladder import LadderPoint, LadderSpec
from reelmill_server.model.quality import Metric
from reelmill_server.plan.crf_search import crf_step

TRIED_CRFS = (16.0, 24.0, 32.0, 40.0)
"""CRFs at which every size is measured; what lies between is interpolated."""
MOST_BESIDE = 2
"""How many CRFs of each size are encoded beside each other at most."""
_NEAR_HULL = 1.5  # VMAF below the hull of one sample, from which on a point is not expected on that of all
# Times the bit rate, and VMAF above the next CRF that was measured, from which on what lies between cannot be relied on.
_WIDE, _STEEP = 3.0, 10.0
_STEP = 0.5  # of CRFs that are considered
_APART = 1.25  # bit rates of neighbors, at least
STEP_DB = 0.32
"""How many dB of XPSNR stand for one VMAF: what a step of CRF costs of either, usually (as in `crf_search`)."""
_ENOUGH: Mapping[Metric, float] = {Metric.VMAF: 95.0, Metric.XPSNR: 40.0}  # more is hardly seen
_LEAST: Mapping[Metric, float] = {Metric.VMAF: 30.0, Metric.XPSNR: 22.0}  # less is hardly watched


def choose_rungs(points: Sequence[LadderPoint], spec: LadderSpec, metric: Metric, encoder: str) -> tuple[LadderPoint, ...]:
    """Return the rungs on the hull of the measured `points`, the best first: at least one, each at least a step below the one
    before, evenly spread over the scores from the least to the first that is enough.

    Bounds on the bit rate hold as far as a point lies between them; else the rung nearest to them is the only one.
    """
    whole = hull(interpolated(points, encoder))
    enough = next((number for number, point in enumerate(whole) if point.score >= _ENOUGH[metric]), len(whole) - 1)
    fitting = [point for point in whole[: enough + 1] if _fits(point.bitrate, spec)]
    if not fitting:
        return (_nearest(whole[: enough + 1], spec),)
    fitting = [point for point in fitting if point.score >= _LEAST[metric]] or fitting[-1:]
    step = spec.min_step * (STEP_DB if metric is Metric.XPSNR else 1.0)
    return tuple(_spread(fitting, step, spec.max_renditions))


def promising(points: Sequence[LadderPoint], metric: Metric, encoder: str) -> set[LadderPoint]:
    """Return those of `points`, measured on one sample, that are worth measuring on all: what lies on the hull, or near it, is
    between them.
    """
    known = interpolated(points, encoder)
    whole = hull(known)
    enough = next((point for point in whole if point.score >= _ENOUGH[metric]), whole[-1])
    margin = _NEAR_HULL * (STEP_DB if metric is Metric.XPSNR else 1.0)
    near = [point for point in known if point.bitrate <= enough.bitrate * _APART and point.score >= _on(whole, point) - margin]
    return {bound for point in near for bound in _bounds(points, point)}


def unreliable(points: Sequence[LadderPoint], rungs: Sequence[LadderPoint], metric: Metric) -> list[LadderPoint]:
    """Return the rungs whose bit rate or score is a guess: it falls by so much between the CRFs measured around them."""
    steep = _STEEP * (STEP_DB if metric is Metric.XPSNR else 1.0)
    around = ((rung, _bounds(points, rung)) for rung in rungs)
    return [
        rung
        for rung, (low, high) in around
        if low != high and (low.bitrate > _WIDE * high.bitrate or low.score > high.score + steep)
    ]


def _bounds(points: Sequence[LadderPoint], point: LadderPoint) -> tuple[LadderPoint, LadderPoint]:
    """Return the measured points of the size of `point` whose CRFs surround its own; both are one that has it."""
    same = [known for known in points if (known.width, known.height) == (point.width, point.height)]
    low = max((known for known in same if known.crf <= point.crf), key=lambda known: known.crf)
    high = min((known for known in same if known.crf >= point.crf), key=lambda known: known.crf)
    return low, high


def _on(whole: Sequence[LadderPoint], point: LadderPoint) -> float:
    """Return the score that a hull has at the bit rate of a point; at its ends that of the end."""
    if point.bitrate <= whole[0].bitrate:
        return whole[0].score if point.bitrate == whole[0].bitrate else 0.0
    for low, high in pairwise(whole):
        if low.bitrate <= point.bitrate <= high.bitrate:
            return low.score + _slope(low, high) * (point.bitrate - low.bitrate)
    return whole[-1].score


def _spread(points: Sequence[LadderPoint], step: float, most: int) -> Iterator[LadderPoint]:
    """Yield the best of ascending `points`, and at most `most` in all that come nearest to even distances down to the least,
    each at least `step` and a fifth of the bits below the one before.
    """
    best, least = points[-1], points[0]
    last, height = best, best.score - least.score
    intervals = min(most - 1, int(height / step))
    yield best
    for number in range(1, intervals + 1):
        wanted = best.score - height * number / intervals
        below = [point for point in points if point.score <= last.score - step and point.bitrate * _APART <= last.bitrate]
        if not below:
            return
        last = min(below, key=lambda point: (abs(point.score - wanted), -point.score))
        yield last


def hull(points: Sequence[LadderPoint]) -> list[LadderPoint]:
    """Return the upper convex hull of points over their bit rates, ascending in rate and score."""
    vertices: list[LadderPoint] = []
    for point in sorted(points, key=lambda point: (point.bitrate, -point.score)):
        if vertices and point.score <= vertices[-1].score:
            continue
        while len(vertices) > 1 and _slope(vertices[-2], vertices[-1]) <= _slope(vertices[-1], point):
            vertices.pop()
        vertices.append(point)
    return vertices


def interpolated(points: Sequence[LadderPoint], encoder: str) -> list[LadderPoint]:
    """Return the points that each size has at CRFs between the measured ones, which `encoder` can be set to."""
    sizes: dict[tuple[int, int], list[LadderPoint]] = defaultdict(list)
    for point in sorted(points, key=lambda point: point.crf):
        sizes[point.width, point.height].append(point)
    return [estimate for measured in sizes.values() for estimate in _between(measured, encoder)]


def _between(measured: Sequence[LadderPoint], encoder: str) -> Iterator[LadderPoint]:
    crfs = [point.crf for point in measured]
    rates = _falling([log(max(point.bitrate, 1)) for point in measured])
    scores = _falling([point.score for point in measured])
    step = max(crf_step(encoder), _STEP)
    first, last = -int(-crfs[0] // step), int(crfs[-1] // step)
    for crf in (round(number * step, 4) for number in range(first, last + 1)):
        rate, score = (_curve(crfs, values, crf) for values in (rates, scores))
        yield replace(measured[0], crf=crf, bitrate=round(exp(rate)), score=round(score, 3))


def _falling(values: Sequence[float]) -> list[float]:
    """Return values that never rise with CRF: what rises by chance counts as equal."""
    return [min(values[: number + 1]) for number in range(len(values))]


def _curve(places: Sequence[float], values: Sequence[float], place: float) -> float:
    """Return the value at `place` on a curve through all values that is as monotone as they are (Fritsch and Carlson)."""
    if len(places) == 1:
        return values[0]
    slopes = [
        (after - before) / (high - low) for (low, high), (before, after) in zip(pairwise(places), pairwise(values), strict=True)
    ]
    tangents = [slopes[0], *map(_tangent, slopes, slopes[1:]), slopes[-1]]
    number = min(max(bisect_right(places, place) - 1, 0), len(slopes) - 1)
    width = places[number + 1] - places[number]
    part = (place - places[number]) / width
    rest = 1 - part
    return (
        values[number] * (1 + 2 * part) * rest**2
        + tangents[number] * width * part * rest**2
        + values[number + 1] * part**2 * (3 - 2 * part)
        - tangents[number + 1] * width * part**2 * rest
    )


def _tangent(before: float, after: float) -> float:
    """Return a slope between two neighbors that overshoots neither: their harmonic mean, 0 at a turning point."""
    return 2 * before * after / (before + after) if before * after > 0 else 0.0


def _slope(low: LadderPoint, high: LadderPoint) -> float:
    return (high.score - low.score) / (high.bitrate - low.bitrate)


def _fits(bitrate: int, spec: LadderSpec) -> bool:
    return (spec.min_bitrate or 0) <= bitrate and (spec.max_bitrate is None or bitrate <= spec.max_bitrate)


def _nearest(points: Sequence[LadderPoint], spec: LadderSpec) -> LadderPoint:
    """Return the point whose bit rate misses the bounds least."""
    return min(
        points,
        key=lambda point: max((spec.min_bitrate or 0) - point.bitrate, point.bitrate - (spec.max_bitrate or point.bitrate)),
    )
