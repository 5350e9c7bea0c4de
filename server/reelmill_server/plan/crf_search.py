"""Search the CRF at which an encoder reaches a quality: which CRF to try next, and which one to take."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from reelmill_server.model.quality import Metric, QualityTarget

MOST_TRIES = 4
"""CRFs that are tried at most."""
_FINE_STEP = 0.25
_COARSE_STEPS = {"libvpx-vp9": 51 / 63, "libsvtav1": 51 / 63}  # one step of their own scale
# By how much a score falls with each CRF, before anything was measured.
_SLOPES: Mapping[Metric, float] = {Metric.VMAF: 1.4, Metric.XPSNR: 0.45}
# A CRF from which to begin: where usual content has the score at which the line begins.
_BEGINNINGS: Mapping[Metric, tuple[float, float]] = {Metric.VMAF: (94.0, 26.0), Metric.XPSNR: (39.0, 26.0)}
_BEGINNING_SLOPE: Mapping[Metric, float] = {Metric.VMAF: 0.9, Metric.XPSNR: 0.45}
_NEAR: Mapping[Metric, float] = {Metric.VMAF: 0.25, Metric.XPSNR: 0.05}
_LEAST_JUMP, _MOST_JUMP = 2.0, 10.0


def crf_step(encoder: str) -> float:
    """Return the steps in which `encoder` can be set, on the contract's scale."""
    return _COARSE_STEPS.get(encoder, _FINE_STEP)


@dataclass(frozen=True)
class Choice:
    """A CRF, and the score that it promises."""

    crf: float
    predicted: float


class CrfSearch:
    """One search. Scores that do not fall as CRF rises, as happens by chance, count as equal."""

    def __init__(self, target: QualityTarget, encoder: str) -> None:
        self._target, self._metric = target.value, target.metric
        self._step = crf_step(encoder)
        self._lowest, self._highest = self._index(target.min_crf), self._index(target.max_crf)
        self._scores: dict[int, float] = {}

    def note(self, crf: float, score: float) -> None:
        """Note what `crf`, one that `next_crf` returned, gave."""
        self._scores[self._index(crf)] = score

    def next_crf(self) -> float | None:
        """Return the CRF to try next; None: it is known well enough which one to take."""
        if len(self._scores) >= MOST_TRIES or any(
            abs(score - self._target) <= _NEAR[self._metric] for score in self._scores.values()
        ):
            return None
        wanted = min(max(self._wanted(), self._lowest), self._highest)
        return None if wanted in self._scores else wanted * self._step

    def choice(self) -> Choice:
        """Return the CRF whose score comes nearest: a measured one, or one between two of them, on a line between theirs."""
        points = self._falling()
        found = [(index, score) for index, score in points]
        for (low, above), (high, below) in pairwise(points):
            found += [(index, above + (below - above) * (index - low) / (high - low)) for index in range(low + 1, high)]
        index, score = min(found, key=lambda point: (abs(point[1] - self._target), point[0]))
        return Choice(round(index * self._step, 4), round(score, 3))

    def _index(self, crf: float) -> int:
        return round(crf / self._step)

    def _falling(self) -> list[tuple[int, float]]:
        points, bound = [], float("inf")
        for index, score in sorted(self._scores.items()):
            bound = min(bound, score)
            points.append((index, bound))
        return points

    def _wanted(self) -> int:
        points = self._falling()
        if not points:
            score, crf = _BEGINNINGS[self._metric]
            return self._index(crf + (score - self._target) / _BEGINNING_SLOPE[self._metric])
        for (low, above), (high, below) in pairwise(points):
            if above >= self._target >= below and above > below:
                between = low + (high - low) * (above - self._target) / (above - below)
                return min(max(round(between), low), high)
        return self._beyond(points)

    def _beyond(self, points: list[tuple[int, float]]) -> int:
        """Return an index beyond all points: by their slope at that end if there are two, else by a usual one."""
        index, score = points[-1] if points[-1][1] > self._target else points[0]
        slope = _SLOPES[self._metric]
        if len(points) > 1:
            (low, above), (high, below) = points[-2:] if index == points[-1][0] else points[:2]
            slope = max((above - below) / ((high - low) * self._step), slope / 8)
        jump = (score - self._target) / slope
        size = min(max(abs(jump), _LEAST_JUMP), _MOST_JUMP)
        return index + round((size if jump > 0 else -size) / self._step)
