"""Search the CRFs that plans leave open for a quality: which streams have none yet, what to try, what a chosen one changes."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from reelmill_server.errors import InvalidMedia
from reelmill_server.model.plan import InputPlan, Plan, StreamPlan
from reelmill_server.model.quality import QualityTarget
from reelmill_server.model.sample import Sample, SampleScores, StreamSearch, Trial
from reelmill_server.model.time import FALLBACK_RATE, MICROSECONDS
from reelmill_server.plan.chunks import AFTER_KEY_FRAMES, encoded_video, with_stream
from reelmill_server.plan.codec.encoder_options import quality_option
from reelmill_server.plan.crf_search import Choice, CrfSearch
from reelmill_server.plan.samples import choose_samples
from reelmill_server.plan.stream.quality import named

_MISSED = 1.0  # of a target, from which on its user should know


def unsearched(plan: Plan) -> Iterator[tuple[int, int, StreamPlan]]:
    """Yield the streams whose CRF is to be searched: index of the target, index of the stream in it, the stream."""
    for slot, number, stream in encoded_video(plan):
        if stream.quality is not None and stream.quality.crf is None:
            yield slot, number, stream


def with_crf(stream: StreamPlan, target: QualityTarget) -> StreamPlan:
    """Return `stream` encoded at the CRF of `target`."""
    assert target.crf is not None
    return replace(stream, quality=target, options={**stream.options, **quality_option(stream.encoder, target.crf)})


def searched(plan: Plan, slot: int, number: int, choice: Choice) -> Plan:
    """Return `plan` with the CRF chosen for one of its streams, and a warning if the target is out of reach."""
    target = plan.targets[slot]
    stream = target.streams[number]
    assert stream.quality
    with_choice = with_crf(stream, replace(stream.quality, crf=choice.crf, predicted=choice.predicted))
    explanation = f"; CRF {choice.crf:g} gives {choice.predicted:.1f} on samples"
    plan = with_stream(plan, slot, number, replace(with_choice, reason=f"{stream.reason}{explanation}"))
    if abs(choice.predicted - stream.quality.value) > _MISSED:
        field = f"{target.field}.video.transcode_video.quality_target"
        asked = named(stream.quality.metric, stream.quality.value)
        missed = f"{field}: {asked} is out of reach: CRF {choice.crf:g} gives {choice.predicted:.1f}"
        plan = replace(plan, warnings=(*plan.warnings, missed))
    return plan


def with_assumed_crfs(plan: Plan) -> Plan:
    """Return `plan` as if its CRFs were known, to estimate what it takes after the search."""
    for slot, number, stream in [*unsearched(plan)]:
        assert stream.quality
        plan = with_stream(plan, slot, number, replace(stream, quality=replace(stream.quality, crf=stream.quality.max_crf)))
    return plan


def after_keys(entry: InputPlan, stream: StreamPlan, keys_us: Sequence[int]) -> list[int]:
    """Return where samples of a stream may begin so that little is decoded before them, in microseconds of the input's span.

    `keys_us`: times of keyframes on the source's clock.
    """
    assert stream.video
    after = round(AFTER_KEY_FRAMES * MICROSECONDS / (stream.video.frame_rate or FALLBACK_RATE))
    return [key - entry.origin_us - entry.start_us + after for key in keys_us]


def searches_of(plan: Plan, keys_us: Sequence[int]) -> tuple[StreamSearch, ...]:
    """Return the searches for all CRFs that a plan of one input leaves open; `keys_us` as for `after_keys`."""
    (entry,) = plan.inputs
    return tuple(
        StreamSearch(slot, number, choose_samples(plan, stream, {0: after_keys(entry, stream, keys_us)}))
        for slot, number, stream in unsearched(plan)
    )


class PlanSearch:
    """The search for all CRFs that a plan leaves open, whoever encodes the samples.

    It goes in rounds, whose trials may be carried out beside each other and in any order: the first sample of each stream, at
    CRFs that are far apart; all others, around what the first one promises; those that are unsure, once more.

    Workflows of tasks in flight are replayed with it: another number of trials for the same scores goes behind a patch.
    """

    def __init__(self, plan: Plan, searches: Sequence[StreamSearch]) -> None:
        self._plan, self._searches = plan, searches
        self._found = [CrfSearch(*_aim(plan, search)) for search in searches]
        self._rounds = [_rounds(*pair) for pair in zip(self._found, (search.samples for search in searches), strict=True)]

    def due(self) -> tuple[Trial, ...]:
        """Return the trials of the next round, what came of the last one being noted; empty: all CRFs are found."""
        return tuple(
            Trial(number, sample, crfs)
            for number, rounds in enumerate(self._rounds)
            for sample, crfs in next(rounds, {}).items()
        )

    def note(self, tried: Collection[SampleScores]) -> None:
        """Note what came of the trials of a round."""
        for result in sorted(tried, key=lambda result: (result.trial.search, result.trial.sample)):
            trial, search = result.trial, self._found[result.trial.search]
            scores = dict(zip(trial.crfs, result.scores, strict=False))
            if self._searches[trial.search].samples[trial.sample].scout:
                search.note_scout(result.frames, scores)
            else:
                search.note(trial.sample, result.frames, scores)

    def plan(self) -> Plan:
        """Return the plan with the CRFs found. Raises InvalidMedia if of some stream no frame could be read."""
        plan = self._plan
        for search, found in zip(self._searches, self._found, strict=True):
            if not found.noted:
                field = plan.targets[search.slot].field
                raise InvalidMedia(f"{field}: no frame of the source could be read for the search of its quality")
            plan = searched(plan, search.slot, search.stream, found.choice())
        return plan


def _aim(plan: Plan, search: StreamSearch) -> tuple[QualityTarget, str]:
    """Return what is searched for a stream, and its encoder."""
    stream = plan.targets[search.slot].streams[search.stream]
    assert stream.quality
    return stream.quality, stream.encoder


def _rounds(search: CrfSearch, samples: Sequence[Sample]) -> Iterator[Mapping[int, tuple[float, ...]]]:
    """Yield the samples of each round, by number, and the CRFs at which they are to be tried."""
    yield {0: search.crfs()}
    if len(samples) > 1:
        yield dict.fromkeys(range(1, len(samples)), search.crfs())
    while again := search.unsure():
        yield {number: (crf,) for number, crf in again.items()}
