"""Search the CRF at which an encoder reaches a quality: which CRFs to try on which sample, and which one to take.

The first sample is tried at CRFs that are far apart, the others at two around what it promises. Each has a curve of its own;
a CRF promises the mean of all. Where scouts come before all of a short video, each is tried at one CRF, the next at what those
before it promise; a lone one at two. All of the video is as steep as they are. Samples whose curve is unsure at the CRF that is
found are tried there again.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import inf

from reelmill_server.model.quality import Metric, QualityTarget
from reelmill_server.plan.score_curve import MeanCurve, ScoreCurve

MEAN_TRIES = 2.5
"""How many CRFs are tried of each sample, usually."""
MEAN_AGAIN = 0.5
"""How often a short video is encoded again, usually."""
MOST_BESIDE = 3
"""How many CRFs of a sample are encoded beside each other at most."""
_FINE_STEP = 0.25
_COARSE_STEPS = {"libvpx-vp9": 51 / 63, "libsvtav1": 51 / 63}  # one step of their own scale
# Where to begin: the score that usual content has at a CRF, and by how much it falls with each; and how much higher that CRF is
# with some encoders.
_USUAL: Mapping[Metric, tuple[float, float, float]] = {Metric.VMAF: (93.0, 26.0, 0.8), Metric.XPSNR: (39.0, 26.0, 0.45)}
_HIGHER: Mapping[str, float] = {"libvpx-vp9": 4.0, "libsvtav1": 4.0}
# CRFs beside the expected one: of the first sample, of the others; of a scout that is the only one, of one of several.
_FAR, _NEAR = (-6.0, 0.0, 6.0), (-2.0, 2.0)
_LONE_SCOUT, _SCOUT = (-4.0, 4.0), (0.0,)
# How near to its target all of a short video must be, or it is encoded again.
_CLOSE: Mapping[Metric, float] = {Metric.VMAF: 0.95, Metric.XPSNR: 0.45}
# By how much an earlier encode must have been nearer, or it is not made again.
_WORTH: Mapping[Metric, float] = {Metric.VMAF: 0.3, Metric.XPSNR: 0.15}
# What VMAF lacks of a scout's frames in their whole, times what it lacks alone, where that was not the same. A scout is all
# end, near which encoders cannot look ahead: x264 spends less there.
_WHOLE_SHORTFALL: Mapping[str, float] = {"libx264": 0.92, "libvpx-vp9": 1.05}
# Times that samples, or all of a short video, are tried again; and all that is so far off that nothing may end so far below its
# target. CRFs that are moved at once.
_MOST_AGAIN, _MOST_MISSED, _MOST_MOVED = 2, 4, 8.0
_MISSED: Mapping[Metric, float] = {Metric.VMAF: 1.8, Metric.XPSNR: 0.8}


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

    def __init__(self, target: QualityTarget, encoder: str, scouts: int = 0) -> None:
        """`scouts`: so many come before all of a short video; 0: samples, or a long scout."""
        self._first = (_FAR, _LONE_SCOUT, _SCOUT)[min(scouts, 2)]
        self._target, self._metric = target.value, target.metric
        self._higher = _HIGHER.get(encoder, 0.0)
        self._step, self._shortfall = crf_step(encoder), _WHOLE_SHORTFALL.get(encoder, 1.0)
        self._lowest, self._highest = self._index(target.min_crf), self._index(target.max_crf)
        self._scores: dict[int, dict[float, float]] = {}
        self._frames: dict[int, int] = {}
        self._scouts: list[tuple[ScoreCurve, int]] = []
        self._scouted: set[float] = set()
        self._again = 0

    def crfs(self) -> tuple[float, ...]:
        """Return the CRFs at which the next sample is to be tried."""
        offsets: tuple[float, ...]
        if self._scouts:
            expected, offsets = self._choice_near(self._scouted).crf, _SCOUT
        elif self._scores:
            expected, offsets = self.choice().crf, _NEAR
        else:
            score, crf, slope = _USUAL[self._metric]
            expected, offsets = crf + self._higher + (score - self._target) / slope, self._first
        lowest, highest = self._lowest * self._step, self._highest * self._step
        middle = min(max(expected, lowest + max(offsets)), highest - max(offsets))
        return tuple(dict.fromkeys(self._bounded(middle + offset) * self._step for offset in offsets))

    def note(self, sample: int, frames: int, scores: Mapping[float, float]) -> None:
        """Note what `sample`, which has so many frames, gave at some CRFs. One without frames counts nothing."""
        if frames and scores:
            self._scores.setdefault(sample, {}).update(scores)
            self._frames[sample] = frames

    def note_scout(self, frames: int, scores: Mapping[float, float]) -> None:
        """Note what a scout gave, before anything else."""
        if frames and scores:
            self._scouts.append((self._curve({crf: self._in_whole(score) for crf, score in scores.items()}), frames))
            self._scouted.update(scores)

    def unsure(self) -> Mapping[int, float]:
        """Return the samples that are to be tried again, and the CRF of each; empty: it is known which one to take."""
        if self._again >= _MOST_AGAIN or not self._scores:
            return {}
        self._again += 1
        crf = self.choice().crf
        return {sample: crf for sample, scores in self._scores.items() if not self._curve(scores).relied(crf)}

    def again(self, crf: float) -> Choice | None:
        """Return what all of a short video is to be tried at after `crf`, what came of which was noted; None: at no other.

        Where no more is to be learned, that is what came nearest, if it was clearly nearer, and if possible not far below.
        """
        (whole,) = self._scores.values()
        off = {tried: abs(score - self._target) for tried, score in whole.items()}
        if off[crf] <= _CLOSE[self._metric]:
            return None
        far = _MISSED[self._metric]
        if self._again < (_MOST_MISSED if off[crf] > far else _MOST_AGAIN):
            choice = self._choice_near(whole)
            if choice.crf not in whole:
                self._again += 1
                return choice
        nearest = min(off, key=lambda tried: (whole[tried] < self._target - far, off[tried], tried))
        worth = off[crf] - off[nearest] > _WORTH[self._metric] or whole[crf] < self._target - far
        return Choice(nearest, whole[nearest]) if nearest != crf and worth else None

    @property
    def noted(self) -> bool:
        """Whether anything was measured."""
        return bool(self._scores or self._scouts)

    def choice(self, lowest: float = 0.0, highest: float = inf) -> Choice:
        """Return the CRF from `lowest` to `highest` that promises what comes nearest to the target, the lower of two."""
        curves = [(self._curve(scores), self._frames[sample]) for sample, scores in self._scores.items()]
        curves = curves or self._scouts
        frames = sum(weight for _, weight in curves)
        choices = [
            Choice(crf, sum(curve.at(crf) * weight for curve, weight in curves) / frames)
            for crf in (index * self._step for index in range(self._lowest, self._highest + 1))
            if lowest <= crf <= highest
        ]
        best = min(choices, key=lambda choice: (round(abs(choice.predicted - self._target), 3), choice.crf))
        return Choice(round(best.crf, 4), round(best.predicted, 3))

    def _choice_near(self, tried: Collection[float]) -> Choice:
        """Return the best choice that is not far from all CRFs that were tried."""
        return self.choice(min(tried) - _MOST_MOVED, max(tried) + _MOST_MOVED)

    def _curve(self, scores: Mapping[float, float]) -> ScoreCurve:
        return ScoreCurve(self._metric, scores, MeanCurve((*self._scouts,)) if self._scouts else None)

    def _in_whole(self, score: float) -> float:
        """Return what the frames of a scout score as part of all of their video."""
        return 100 - (100 - score) * self._shortfall if self._metric is Metric.VMAF else score

    def _index(self, crf: float) -> int:
        return round(crf / self._step)

    def _bounded(self, crf: float) -> int:
        return min(max(self._index(crf), self._lowest), self._highest)
