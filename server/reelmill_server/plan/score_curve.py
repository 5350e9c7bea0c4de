"""Scores over CRF, between and beyond those that were measured."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from math import exp, log

from reelmill_server.model.quality import Metric

# What VMAF falls short of, which grows by a constant factor with each CRF: 100 is the most it gives, and seldom reached.
_VMAF_TOP = 101.0
# By how much a curve rises with each CRF: of VMAF's shortfall the logarithm, of XPSNR the dB that are lost.
_USUAL: Mapping[Metric, float] = {Metric.VMAF: 0.1, Metric.XPSNR: 0.45}
_BOUNDS: Mapping[Metric, tuple[float, float]] = {Metric.VMAF: (0.04, 0.2), Metric.XPSNR: (0.15, 0.9)}
# A curve of one score that is so far from the one it should be like is unlike it, and as steep as those of noise and drawings.
_UNLIKE: Mapping[Metric, float] = {Metric.VMAF: 4.0, Metric.XPSNR: 2.0}
_STEEP: Mapping[Metric, float] = {Metric.VMAF: 0.25, Metric.XPSNR: 0.9}
# How far from a measured score a curve is relied on: CRFs, and what usual content loses within three of them. Of a curve of one
# score alone it is less.
_RELIED_CRFS, _ALONE = 4.0, 0.6
_RELIED: Mapping[Metric, float] = {Metric.VMAF: 2.5, Metric.XPSNR: 1.3}


class MeanCurve:
    """The mean of several curves, each of which counts as much as it has frames."""

    def __init__(self, curves: Sequence[tuple["ScoreCurve", int]]) -> None:
        self._curves = curves

    def at(self, crf: float) -> float:
        """Return the score at a CRF."""
        return sum(curve.at(crf) * frames for curve, frames in self._curves) / sum(frames for _, frames in self._curves)


class ScoreCurve:
    """The scores of one sample over CRF. Those that do not fall as CRF rises, as happens by chance, count as equal."""

    def __init__(self, metric: Metric, scores: Mapping[float, float], like: MeanCurve | None = None) -> None:
        """`scores` by CRF: at least one. With one alone, it is as steep as the curve it is `like`, or as usual."""
        self._metric, self._like = metric, like
        self._crfs = sorted(scores)
        self._losses: list[float] = []
        for crf in self._crfs:
            loss = self._loss(scores[crf])
            self._losses.append(max(loss, self._losses[-1]) if self._losses else loss)

    def at(self, crf: float) -> float:
        """Return the score at a CRF; beyond the measured ones by the slope at that end, as far as it is a usual one."""
        crfs, losses = self._crfs, self._losses
        place = bisect_right(crfs, crf)
        if 0 < place < len(crfs):
            low, high = crfs[place - 1], crfs[place]
            share = (crf - low) / (high - low)
            return self._score(losses[place - 1] + (losses[place] - losses[place - 1]) * share)
        if self._like and len(crfs) == 1:
            return self._score(losses[0] + self._lost_like(self._like, crfs[0], crf))
        end = 0 if place == 0 else len(crfs) - 1
        return self._score(losses[end] + self._slope(end) * (crf - crfs[end]))

    def _lost_like(self, like: MeanCurve, known: float, crf: float) -> float:
        """Return what is lost from the one CRF that is known to another."""
        if abs(like.at(known) - self._score(self._losses[0])) > _UNLIKE[self._metric]:
            return _STEEP[self._metric] * (crf - known)
        return self._loss(like.at(crf)) - self._loss(like.at(known))

    def relied(self, crf: float) -> bool:
        """Return whether the score at `crf` can be relied on: it is near to one that was measured, in CRF and in score."""
        nearest = min(self._crfs, key=lambda known: abs(crf - known))
        share = _ALONE if len(self._crfs) == 1 else 1.0
        lost = abs(self.at(crf) - self.at(nearest))
        return abs(crf - nearest) <= share * _RELIED_CRFS and lost <= share * _RELIED[self._metric]

    def _slope(self, end: int) -> float:
        """Return the slope beyond the first or the last CRF."""
        if len(self._crfs) < 2:
            return _USUAL[self._metric]
        low, high = (0, 1) if end == 0 else (end - 1, end)
        least, most = _BOUNDS[self._metric]
        slope = (self._losses[high] - self._losses[low]) / (self._crfs[high] - self._crfs[low])
        return min(max(slope, least), most)

    def _loss(self, score: float) -> float:
        return -score if self._metric is Metric.XPSNR else log(max(_VMAF_TOP - score, 1e-3))

    def _score(self, loss: float) -> float:
        return -loss if self._metric is Metric.XPSNR else min(max(_VMAF_TOP - exp(loss), 0.0), 100.0)
