"""Search the CRF of streams with a quality target: samples are encoded as the whole will be, and compared."""

from collections.abc import Sequence
from dataclasses import replace

from reelmill_server.errors import InvalidMedia, UnsupportedFormat
from reelmill_server.media.conversion.sample import SampleSearch
from reelmill_server.model.plan import Plan, StreamPlan, TargetPlan
from reelmill_server.plan.crf_search import MOST_TRIES, Choice, CrfSearch
from reelmill_server.plan.quality import EVERY, searched, unsearched, with_crf
from reelmill_server.plan.samples import Sample


class QualitySearch(SampleSearch[Plan]):
    """The search for all streams of `plan` that have a quality target."""

    _tries, _share = 0, 0.0  # CRFs that were tried, of all streams; how much of the next one

    @property
    def share(self) -> float:
        """Return how much of the search is done, 0 to 1, at most: it may end early."""
        return min((self._tries + self._share) / max(len([*unsearched(self._plan)]) * MOST_TRIES, 1), 1.0)

    def run(self) -> Plan:
        """Return the plan with a CRF for every stream.

        Raises as `Run.write`, and UnsupportedFormat if the sources do not say how long they are.
        """
        plan = self._plan
        for number, (slot, index, stream) in enumerate(unsearched(self._plan)):
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
