"""Measure what sizes and CRFs give on samples of the sources, and choose the rungs of ladders from it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from reelmill_server.errors import InvalidMedia
from reelmill_server.media.conversion.sample import SampleSearch
from reelmill_server.media.track.base import StreamStats
from reelmill_server.model.ladder import Ladder, LadderPoint
from reelmill_server.model.plan import StreamPlan
from reelmill_server.model.quality import Metric, QualityTarget
from reelmill_server.model.sample import Sample
from reelmill_server.plan.hull import MOST_BESIDE, TRIED_CRFS, choose_rungs, promising, unreliable
from reelmill_server.plan.ladder import OpenLadder, open_ladders
from reelmill_server.plan.quality import with_crf
from reelmill_server.plan.samples import EVERY

_Tries = Mapping[int, Sequence[float]]
"""CRFs to try by the number of the size, the largest first."""


@dataclass
class _Sum:
    """The bytes, seconds, frames and scores of all samples of one size, added up; a score counts by its frames."""

    size_bytes: int = 0
    seconds: Fraction = Fraction(0)
    frames: int = 0
    weighted: float = 0.0

    def add(self, written: StreamStats, metric: Metric) -> None:
        score = written.scores.get(metric)
        if score is None:
            return
        self.size_bytes += written.size_bytes
        self.seconds += written.extent.last - (written.extent.first or 0)
        self.frames += written.packets
        self.weighted += score * written.packets

    @property
    def bitrate(self) -> int:
        return round(self.size_bytes * 8 / self.seconds) if self.seconds > 0 else 0

    @property
    def score(self) -> float:
        return round(self.weighted / self.frames, 3)


class _Measured:
    """Sum up the bytes and scores of all samples, for each size (by its number in the ladder) and CRF."""

    def __init__(self, given: OpenLadder) -> None:
        self._streams, self._metric = given.streams, given.ladder.metric
        self._sums: defaultdict[tuple[int, float], _Sum] = defaultdict(_Sum)

    def add(self, number: int, crf: float, written: StreamStats) -> None:
        """Note what one sample gave."""
        self._sums[number, crf].add(written, self._metric)

    def points(self, tries: _Tries) -> tuple[LadderPoint, ...]:
        """Return what each size of `tries` gave at each of its CRFs."""
        return tuple(self._points(tries))

    def _points(self, tries: _Tries) -> Iterator[LadderPoint]:
        for number, crfs in tries.items():
            video = self._streams[number].video
            for crf in crfs:
                total = self._sums[number, crf]
                if video and total.frames:
                    yield LadderPoint(video.width, video.height, crf, total.bitrate, total.score)

    def crfs(self, points: Iterable[LadderPoint]) -> _Tries:
        """Return the CRFs of `points` by the number of their size, the largest first."""
        sizes = {(stream.video.width, stream.video.height): n for n, stream in enumerate(self._streams) if stream.video}
        pairs = sorted((sizes[point.width, point.height], point.crf) for point in points)
        return {number: tuple(dict.fromkeys(crf for other, crf in pairs if other == number)) for number, _ in pairs}


class LadderSearch(SampleSearch[Mapping[int, Ladder]]):
    """The search for all ladders of `plan` whose rungs are not chosen yet.

    All sizes are encoded beside each other, from one reading of each sample, and compared at the largest. One sample is tried
    at all CRFs, the others where the hull is expected by then; rungs between CRFs whose bit rates or scores are far apart are
    tried, too.
    """

    _done = 0.0  # samples, of all ladders

    @property
    def share(self) -> float:
        """Return how much of the search is done, 0 to 1, but for rungs that are tried."""
        return min(self._done / max(len(open_ladders(self._plan)), 1), 1.0)

    def run(self) -> Mapping[int, Ladder]:
        """Return the ladder of each group, by its number. Raises as `Run.write`."""
        return {ladder.group: self._chosen(ladder) for ladder in open_ladders(self._plan)}

    def _chosen(self, given: OpenLadder) -> Ladder:
        samples, metric, encoder = self._encoder.choose(given.streams[0]), given.ladder.metric, given.streams[0].encoder
        measured = _Measured(given)
        tries: _Tries = dict.fromkeys(range(len(given.streams)), TRIED_CRFS)
        for sample in samples:
            self._measure(given, sample, tries, measured)
            self._done += 1 / len(samples)
            if sample is samples[0] and len(samples) > 1 and (first := measured.points(tries)):
                tries = measured.crfs(promising(first, metric, encoder))
            if sample.scout:
                measured = _Measured(given)
        points = measured.points(tries)
        if not points:
            raise InvalidMedia(f"{given.field}: no frame of the source could be read for the choice of its rungs")
        rungs = choose_rungs(points, given.asked, metric, encoder)
        if doubtful := unreliable(points, rungs, metric):
            extra = measured.crfs(doubtful)
            for sample in samples if not samples[0].scout else samples[1:]:
                self._measure(given, sample, extra, measured)
            points = (*points, *measured.points(extra))
            rungs = choose_rungs(points, given.asked, metric, encoder)
        return replace(given.ladder, points=points, rungs=rungs)

    def _measure(self, given: OpenLadder, sample: Sample, tries: _Tries, measured: _Measured) -> None:
        """Measure one sample of the sizes of `tries`, each at its CRFs, a few beside each other.

        The largest size is always among them: all are compared with the frames that its encoder is given.
        """
        largest = tries.get(0) or TRIED_CRFS[-1:]
        for batch in range(0, max(map(len, tries.values())), MOST_BESIDE):
            beside = {0: largest[-1:], **{number: crfs[batch : batch + MOST_BESIDE] for number, crfs in tries.items()}}
            beside = {number: crfs or largest[-1:] for number, crfs in beside.items() if crfs or not number}
            ways = [
                [_probe(given.streams[number], given.ladder.metric, crf) for crf in crfs] for number, crfs in beside.items()
            ]
            for (number, crfs), size in zip(beside.items(), self._encoder.encode(given.target, ways, sample), strict=True):
                wanted = tries.get(number, ())[batch : batch + MOST_BESIDE]
                for crf, written in zip(crfs, size, strict=True):
                    if crf in wanted:
                        measured.add(number, crf, written)


def _probe(stream: StreamPlan, metric: Metric, crf: float) -> StreamPlan:
    """Return a stream at a CRF, and compared."""
    return with_crf(replace(stream, measured=metric is Metric.VMAF), QualityTarget(metric, 0.0, crf=crf, every=EVERY))
