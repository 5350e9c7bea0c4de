"""Change plans for the CRF that is searched for a quality: which streams have none yet, and what a chosen one changes."""

from collections.abc import Iterator
from dataclasses import replace

from reelmill_server.model.plan import Plan, StreamPlan
from reelmill_server.model.quality import QualityTarget
from reelmill_server.plan.chunks import encoded_video, with_stream
from reelmill_server.plan.codec.encoder_options import quality_option
from reelmill_server.plan.crf_search import Choice
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
