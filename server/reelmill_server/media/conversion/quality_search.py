"""Search the CRF of streams with a quality target: samples are encoded as the whole will be, and compared."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from reelmill_server.errors import InvalidMedia, UnsupportedFormat
from reelmill_server.media.conversion.sample import SampleEncoder
from reelmill_server.media.input.source import Location
from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import Plan, StreamPlan, TargetPlan
from reelmill_server.plan.crf_search import MOST_TRIES, Choice, CrfSearch
from reelmill_server.plan.quality import EVERY, searched, unsearched, with_crf
from reelmill_server.plan.samples import Sample


class QualitySearch:
    """The search for all streams of `plan` that have a quality target."""

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
        self._plan = plan
        self._encoder = SampleEncoder(
            plan, locations, directory, limits=limits, stop=stop, watermark_locations=watermark_locations
        )
        self._streams = list(unsearched(plan))
        self._tries, self._share = 0, 0.0

    @property
    def share(self) -> float:
        """Return how much of the search is done, 0 to 1, at most: it may end early."""
        return min((self._tries + self._share) / max(len(self._streams) * MOST_TRIES, 1), 1.0)

    @property
    def moved(self) -> float:
        """Return a number that grows as long as media moves."""
        return self._encoder.moved

    def run(self) -> Plan:
        """Return the plan with a CRF for every stream.

        Raises as `Run.write`, and UnsupportedFormat if the sources do not say how long they are.
        """
        plan = self._plan
        for number, (slot, index, stream) in enumerate(self._streams):
            self._tries = number * MOST_TRIES
            choice = self._choice(plan.targets[slot], stream)
            plan = searched(plan, slot, index, choice)
        return plan

    def _choice(self, target: TargetPlan, stream: StreamPlan) -> Choice:
        assert stream.quality
        samples = self._encoder.choose(stream)
        if not samples:
            raise UnsupportedFormat(f"{target.field}: the source does not say how long it is: no samples can be spread over it")
        search = CrfSearch(stream.quality, stream.encoder)
        while (crf := search.next_crf()) is not None:
            probe = with_crf(stream, replace(stream.quality, crf=crf, every=EVERY))
            search.note(crf, self._score(target, probe, samples))
            self._tries, self._share = self._tries + 1, 0.0
        return search.choice()

    def _score(self, target: TargetPlan, stream: StreamPlan, samples: Sequence[Sample]) -> float:
        """Return the score of all samples, each by its number of frames."""
        assert stream.quality
        scores: list[tuple[float, int]] = []
        for number, sample in enumerate(samples):
            (written,) = self._encoder.encode(target, (stream,), sample)
            score = written.scores.get(stream.quality.metric)
            if score is not None:
                scores.append((score, written.packets))
            self._share = (number + 1) / len(samples)
        if not scores:
            raise InvalidMedia(f"{target.field}: no frame of the source could be read for the search of its quality")
        return sum(score * frames for score, frames in scores) / sum(frames for _, frames in scores)
