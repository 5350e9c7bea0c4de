"""Measure what sizes and CRFs give on samples of the sources, and choose the rungs of ladders from it."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from reelmill_server.errors import InvalidMedia
from reelmill_server.media.conversion.sample import SampleEncoder
from reelmill_server.media.input.source import Location
from reelmill_server.media.track.base import StreamStats
from reelmill_server.model.capability import Limits
from reelmill_server.model.ladder import Ladder, LadderPoint
from reelmill_server.model.plan import Plan, StreamPlan
from reelmill_server.model.quality import Metric, QualityTarget
from reelmill_server.plan.hull import TRIED_CRFS, choose_rungs
from reelmill_server.plan.ladder import OpenLadder, open_ladders
from reelmill_server.plan.quality import EVERY, with_crf


class LadderSearch:
    """The search for all ladders of `plan` whose rungs are not chosen yet.

    All sizes are encoded beside each other, from one reading of each sample, and compared at the largest.
    """

    def __init__(
        self,
        plan: Plan,
        locations: Sequence[Location],
        directory: Path,
        *,
        limits: Limits,
        stop: threading.Event,
        watermark_locations: Mapping[str, Location] | None = None,
    ) -> None:
        """Take locations as Conversion does; what samples need on disk is in `directory`."""
        self._encoder = SampleEncoder(
            plan, locations, directory, limits=limits, stop=stop, watermark_locations=watermark_locations
        )
        self._open = open_ladders(plan)
        self._done = 0.0

    @property
    def share(self) -> float:
        """Return how much of the search is done, 0 to 1."""
        return min(self._done / max(len(self._open) * len(TRIED_CRFS), 1), 1.0)

    @property
    def moved(self) -> float:
        """Return a number that grows as long as media moves."""
        return self._encoder.moved

    def run(self) -> dict[int, Ladder]:
        """Return the ladder of each group, by its number. Raises as `Run.write`."""
        return {ladder.group: self._chosen(ladder) for ladder in self._open}

    def _chosen(self, given: OpenLadder) -> Ladder:
        points = tuple(point for crf in TRIED_CRFS for point in self._measure(given, crf))
        if not points:
            raise InvalidMedia(f"{given.field}: no frame of the source could be read for the choice of its rungs")
        rungs = choose_rungs(points, given.asked, given.ladder.metric, given.streams[0].encoder)
        return replace(given.ladder, points=points, rungs=rungs)

    def _measure(self, given: OpenLadder, crf: float) -> Iterator[LadderPoint]:
        """Yield what each size gives at one CRF."""
        metric = given.ladder.metric
        streams = [_probe(stream, metric, crf) for stream in given.streams]
        sums = [_Sum() for _ in streams]
        samples = self._encoder.choose(streams[0])
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
    """What all samples of one size gave."""

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
