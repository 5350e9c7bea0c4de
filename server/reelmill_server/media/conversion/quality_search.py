"""Search the CRF of streams with a quality target: samples are encoded as the whole will be, and compared."""

from collections.abc import Sequence
from dataclasses import replace

from reelmill_server.errors import UnsupportedFormat
from reelmill_server.media.conversion.sample import SampleEncoder, SampleSearch
from reelmill_server.media.output.base import MediaFile
from reelmill_server.model.plan import Plan, StreamPlan, TargetPlan
from reelmill_server.model.sample import Sample, SampleScores, StreamSearch, Trial
from reelmill_server.plan.chunks import encoded_video
from reelmill_server.plan.crf_search import Choice, CrfSearch
from reelmill_server.plan.quality import PlanSearch, searched, unsearched, with_crf
from reelmill_server.plan.samples import EVERY


class QualitySearch(SampleSearch[Plan]):
    """The search for all streams of `plan` that have a quality target.

    A short video that is all that is encoded is not tried as a whole here: the conversion is what tries it, and `again` tells
    from what that gave whether it is to be done again.
    """

    _share = 0.0
    _open: tuple[int, int, CrfSearch] | None = None  # the stream whose CRF the conversion tries

    @property
    def share(self) -> float:
        """Return how much of the search is done, 0 to 1, but for samples that are tried again."""
        return min(self._share, 1.0)

    def run(self) -> Plan:
        """Return the plan with a CRF for every stream.

        Raises as `Run.write`, and UnsupportedFormat if the sources do not say how long they are.
        """
        streams, alone = [*unsearched(self._plan)], len([*encoded_video(self._plan)]) == 1
        if streams and alone and (choice := self._scouted(*streams[0])):
            return searched(self._plan, *streams[0][:2], choice)
        searches = [StreamSearch(slot, number, self._samples(slot, number)) for slot, number, _ in streams]
        search, count = PlanSearch(self._plan, searches), sum(len(one.samples) for one in searches)
        while due := search.due():
            tried = []
            for trial in due:
                tried.append(carry_out(self._encoder, self._plan, searches, trial))
                self._share += 1 / count
            search.note(tried)
        return search.plan()

    @property
    def is_over(self) -> bool:
        """Whether no conversion is done again."""
        return self._open is None

    def again(self, plan: Plan, files: Sequence[MediaFile]) -> Plan | None:
        """Return the plan by which all is converted again, as what the conversion of `plan` made is too far from its target;
        None: it stays.
        """
        if self._open is None:
            return None
        slot, number, search = self._open
        quality, written = plan.targets[slot].streams[number].quality, files[slot].written[number]
        assert quality and quality.crf is not None
        choice = None
        if quality.metric in written.scores:
            search.note(0, written.packets, {quality.crf: written.scores[quality.metric]})
            choice = search.again(quality.crf)
        if choice is None:
            self._open = None
            return None
        return searched(self._plan, slot, number, choice)

    def _samples(self, slot: int, number: int) -> tuple[Sample, ...]:
        target = self._plan.targets[slot]
        samples = self._encoder.choose(target.streams[number])
        if not samples:
            raise UnsupportedFormat(f"{target.field}: the source does not say how long it is: no samples can be spread over it")
        return samples

    def _scouted(self, slot: int, number: int, stream: StreamPlan) -> Choice | None:
        """Return the CRF at which the conversion tries a short video; None if the video is not short, or nothing was read."""
        assert stream.quality
        scouts = self._encoder.scouts(stream)
        search = CrfSearch(stream.quality, stream.encoder, len(scouts))
        for scout in scouts:
            crfs = search.crfs()
            frames, scores = _scores(self._encoder, self._plan.targets[slot], stream, scout, crfs)
            search.note_scout(frames, dict(zip(crfs, scores, strict=False)))
            self._share += 1 / len(scouts)
        if not search.noted:
            return None
        self._open = slot, number, search
        return search.choice()


def carry_out(encoder: SampleEncoder, plan: Plan, searches: Sequence[StreamSearch], trial: Trial) -> SampleScores:
    """Encode the sample of a trial of one of the `searches` of `plan`. Raises as `Run.write`."""
    search = searches[trial.search]
    target = plan.targets[search.slot]
    frames, scores = _scores(encoder, target, target.streams[search.stream], search.samples[trial.sample], trial.crfs)
    return SampleScores(trial, frames, scores)


def _scores(
    encoder: SampleEncoder, target: TargetPlan, stream: StreamPlan, sample: Sample, crfs: Sequence[float]
) -> tuple[int, tuple[float, ...]]:
    """Return how many frames a sample has, and its score at each of `crfs`; none if it has no frames."""
    quality = stream.quality
    assert quality
    ways = [with_crf(stream, replace(quality, crf=crf, every=EVERY)) for crf in crfs]
    (written,) = encoder.encode(target, (ways,), sample)
    scores = tuple(stats.scores[quality.metric] for stats in written if quality.metric in stats.scores)
    return written[0].packets, scores if len(scores) == len(crfs) else ()
