"""Measure what sizes and CRFs give on samples of the sources, and choose the rungs of ladders from it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from reelmill_server.errors import InvalidMedia
from reelmill_server.media.conversion.sample import SampleSearch
from reelmill_server.media.track.base import StreamStats
from reelmill_server.model.ladder import Ladder, LadderPoint
from reelmill_server.model.plan import StreamPlan
from reelmill_server.model.quality import Metric, QualityTarget
from reelmill_server.plan.hull import TRIED_CRFS, choose_rungs
from reelmill_server.plan.ladder import OpenLadder, open_ladders
from reelmill_server.plan.quality import EVERY, with_crf
from reelmill_server.plan.samples import Sample


class LadderSearch(SampleSearch[Mapping[int, Ladder]]):
    """The search for all ladders of `plan` whose rungs are not chosen yet.

    All sizes are encoded beside each other, from one reading of each sample, and compared at the largest.
    """

    _done = 0.0  # CRFs, of all ladders

    @property
    def share(self) -> float:
        """Return how much of the search is done, 0 to 1."""
        return min(self._done / max(len(open_ladders(self._plan)) * len(TRIED_CRFS), 1), 1.0)

    def run(self) -> Mapping[int, Ladder]:
        """Return the ladder of each group, by its number. Raises as `Run.write`."""
        return {ladder.group: self._chosen(ladder) for ladder in open_ladders(self._plan)}

    def _chosen(self, given: OpenLadder) -> Ladder:
        samples = self._encoder.choose(given.streams[0])
        points = tuple(point for crf in TRIED_CRFS for point in self._measure(given, samples, crf))
        if not points:
            raise InvalidMedia(f"{given.field}: no frame of the source could be read for the choice of its rungs")
        rungs = choose_rungs(points, given.asked, given.ladder.metric, given.streams[0].encoder)
        return replace(given.ladder, points=points, rungs=rungs)

    def _measure(self, given: OpenLadder, samples: Sequence[Sample], crf: float) -> Iterator[LadderPoint]:
        """Yield what each size gives at one CRF."""
        metric = given.ladder.metric
        streams = [_probe(stream, metric, crf) for stream in given.streams]
        sums = [_Sum() for _ in streams]
        for sample in samples:
            for total, written in zip(sums, self._encoder.encode(given.target, streams, sample), strict=True):
                total.add(written, metric)
            self._done += 1 / len(samples)
        for stream, total in zip(streams, sums, strict=True):
            if stream.video and total.frames:
                yield LadderPoint(stream.video.width, stream.video.height, crf, total.bitrate, total.score)


def _probe(stream: StreamPlan, metric: Metric, crf: float) -> StreamPlan:
    """Return a stream at a CRF, and compared."""
    return with_crf(replace(stream, measured=metric is Metric.VMAF), QualityTarget(metric, 0.0, crf=crf, every=EVERY))


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
