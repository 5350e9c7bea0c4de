"""Search the CRF at which an encoder reaches a quality: which CRFs to try on which sample, and which one to take.

The first sample is tried at CRFs that are far apart, each other one at two around what is known by then. Each has a curve of
its own; a CRF promises the mean of all. Where the first is a scout for all of a short video, that is tried once, and its curve
is as steep as the scout's. Samples whose curve is unsure at the CRF that is found are tried there again.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from reelmill_server.model.quality import Metric, QualityTarget
from reelmill_server.plan.score_curve import ScoreCurve

MEAN_TRIES = 2.5
"""How many CRFs are tried of each sample, usually."""
MOST_BESIDE = 3
"""How many CRFs of a sample are encoded beside each other at most."""
_FINE_STEP = 0.25
_COARSE_STEPS = {"libvpx-vp9": 51 / 63, "libsvtav1": 51 / 63}  # one step of their own scale
# Where to begin: the score that usual content has at a CRF, and by how much it falls with each.
_USUAL: Mapping[Metric, tuple[float, float, float]] = {Metric.VMAF: (93.0, 23.0, 0.85), Metric.XPSNR: (39.0, 26.0, 0.45)}
_FAR, _NEAR = 6.0, 2.0  # CRFs on either side of the expected one: of the first sample, of the others
_MOST_AGAIN = 2  # times that samples are tried again


def crf_step(encoder: str) -> float:
    """Return the steps in which `encoder` can be set, on the contract's scale."""
    return _COARSE_STEPS.get(encoder, _FINE_STEP)


@dataclass(frozen=True)
class Choice:
    """A CRF, and the score that it promises."""

    crf: float
    predicted: float


class CrfSearch:
    """One search over samples, by their numbers."""

    def __init__(self, target: QualityTarget, encoder: str) -> None:
        self._target, self._metric = target.value, target.metric
        self._step = crf_step(encoder)
        self._lowest, self._highest = self._index(target.min_crf), self._index(target.max_crf)
        self._scores: dict[int, dict[float, float]] = {}
        self._frames: dict[int, int] = {}
        self._scout: ScoreCurve | None = None
        self._again = 0

    def crfs(self) -> tuple[float, ...]:
        """Return the CRFs at which the next sample is to be tried."""
        offsets: tuple[float, ...] = (-_NEAR, _NEAR)
        if self._scout:
            expected, offsets = self.choice().crf, (0.0,)
        elif self._scores:
            expected = self.choice().crf
        else:
            score, crf, slope = _USUAL[self._metric]
            expected, offsets = crf + (score - self._target) / slope, (-_FAR, 0.0, _FAR)
        lowest, highest = self._lowest * self._step, self._highest * self._step
        middle = min(max(expected, lowest + max(offsets)), highest - max(offsets))
        return tuple(dict.fromkeys(self._bounded(middle + offset) * self._step for offset in offsets))

    def note(self, sample: int, frames: int, scores: Mapping[float, float]) -> None:
        """Note what `sample`, which has so many frames, gave at some CRFs. One without frames counts nothing."""
        if frames and scores:
            self._scores.setdefault(sample, {}).update(scores)
            self._frames[sample] = frames

    def note_scout(self, frames: int, scores: Mapping[float, float]) -> None:
        """Note what the scout gave, before anything else."""
        if frames and scores:
            self._scout = ScoreCurve(self._metric, scores)

    def unsure(self) -> Mapping[int, float]:
        """Return the samples that are to be tried again, and the CRF of each; empty: it is known which one to take."""
        if self._again >= _MOST_AGAIN or not self._scores:
            return {}
        self._again += 1
        crf = self.choice().crf
        return {sample: crf for sample, scores in self._scores.items() if not self._curve(scores).relied(crf)}

    @property
    def noted(self) -> bool:
        """Whether anything was measured."""
        return bool(self._scores)

    def choice(self) -> Choice:
        """Return the CRF that promises what comes nearest to the target, the lower of two."""
        curves = [(self._curve(scores), self._frames[sample]) for sample, scores in self._scores.items()]
        if not curves and self._scout:
            curves = [(self._scout, 1)]
        frames = sum(weight for _, weight in curves)
        found = [
            Choice(crf, sum(curve.at(crf) * weight for curve, weight in curves) / frames)
            for crf in (index * self._step for index in range(self._lowest, self._highest + 1))
        ]
        best = min(found, key=lambda choice: (round(abs(choice.predicted - self._target), 3), choice.crf))
        return Choice(round(best.crf, 4), round(best.predicted, 3))

    def _curve(self, scores: Mapping[float, float]) -> ScoreCurve:
        return ScoreCurve(self._metric, scores, self._scout)

    def _index(self, crf: float) -> int:
        return round(crf / self._step)

    def _bounded(self, crf: float) -> int:
        return min(max(self._index(crf), self._lowest), self._highest)
