"""Search the CRF of streams with a quality target: samples are encoded as the whole will be, and compared."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from reelmill_server.errors import InvalidMedia, UnsupportedFormat
from reelmill_server.media.conversion.sample import SampleSearch
from reelmill_server.media.output.base import MediaFile
from reelmill_server.model.plan import Plan, StreamPlan, TargetPlan
from reelmill_server.plan.chunks import encoded_video
from reelmill_server.plan.crf_search import Choice, CrfSearch
from reelmill_server.plan.quality import searched, unsearched, with_crf
from reelmill_server.plan.samples import EVERY, Sample


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
        plan, open_streams = self._plan, [*unsearched(self._plan)]
        for slot, index, stream in open_streams:
            choice = self._choice(plan.targets[slot], stream, 1 / len(open_streams))
            plan = searched(plan, slot, index, choice)
        return plan

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

    def _choice(self, target: TargetPlan, stream: StreamPlan, share: float) -> Choice:
        """Return the CRF of a stream, the search for which is `share` of the whole."""
        assert stream.quality
        samples = self._encoder.choose(stream)
        if not samples:
            raise UnsupportedFormat(f"{target.field}: the source does not say how long it is: no samples can be spread over it")
        search = CrfSearch(stream.quality, stream.encoder)
        encoded = [*encoded_video(self._plan)]
        if len(encoded) == 1 and (scouts := self._encoder.scouts(stream)):
            for scout in scouts:
                crfs = search.crfs(scout=len(scouts) > 1)
                search.note_scout(*self._tried(target, stream, scout, crfs))
                self._share += share / len(scouts)
            if search.noted:
                self._open = (*encoded[0][:2], search)
                return search.choice()
        for number, sample in enumerate(samples):
            trials = self._tried(target, stream, sample, search.crfs())
            if sample.scout:
                search.note_scout(*trials)
            else:
                search.note(number, *trials)
            self._share += share / len(samples)
        while again := search.unsure():
            for number, crf in again.items():
                search.note(number, *self._tried(target, stream, samples[number], (crf,)))
        if not search.noted:
            raise InvalidMedia(f"{target.field}: no frame of the source could be read for the search of its quality")
        return search.choice()

    def _tried(
        self, target: TargetPlan, stream: StreamPlan, sample: Sample, crfs: Sequence[float]
    ) -> tuple[int, Mapping[float, float]]:
        """Return how many frames a sample has, and its score at each of `crfs`."""
        quality = stream.quality
        assert quality
        ways = [with_crf(stream, replace(quality, crf=crf, every=EVERY)) for crf in crfs]
        (written,) = self._encoder.encode(target, (ways,), sample)
        scores = {
            crf: stats.scores[quality.metric]
            for crf, stats in zip(crfs, written, strict=True)
            if quality.metric in stats.scores
        }
        return written[0].packets, scores
