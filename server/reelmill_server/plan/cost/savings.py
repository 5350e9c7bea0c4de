"""Tell how long waiting for an accelerator pays."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from reelmill_server.model.capability import SOFTWARE
from reelmill_server.model.cost import Cost
from reelmill_server.model.media_info import MediaInfo
from reelmill_server.model.plan import Plan, StreamPlan
from reelmill_server.model.request import ConvertRequest, VideoSpec
from reelmill_server.plan.codec.encoder_options import options
from reelmill_server.plan.codec.video_encoders import VIDEO_ENCODERS, EncoderChoice
from reelmill_server.plan.cost.estimate import estimate


def seconds_saved(request: ConvertRequest, plan: Plan, infos: Sequence[MediaInfo], threads: int) -> float:
    """Return how many seconds less `plan` takes on `threads` cores than the same in software, by estimate; at least 0.

    For a plan without an accelerator that is all of its time: what one would leave of it is not known.
    """
    specs = {target.index: target.video for target in request.targets if target.video}
    software = _in_software(plan, specs)
    seconds = _seconds(estimate(software, infos, threads), threads)
    if software is plan:
        return seconds
    return max(0.0, seconds - _seconds(estimate(plan, infos, threads), threads))


def _seconds(cost: Cost, threads: int) -> float:
    return cost.core_seconds / max(1.0, min(cost.cores, threads))


def _in_software(plan: Plan, specs: Mapping[int, VideoSpec]) -> Plan:
    if not any(stream.device not in ("", SOFTWARE) for target in plan.targets for stream in target.streams):
        return plan
    targets = (
        replace(target, streams=tuple(_substitute(stream, specs.get(target.index)) for stream in target.streams))
        for target in plan.targets
    )
    return replace(plan, targets=tuple(targets))


def _substitute(stream: StreamPlan, spec: VideoSpec | None) -> StreamPlan:
    if stream.device in ("", SOFTWARE) or spec is None:
        return stream
    encoder = VIDEO_ENCODERS[spec.codec][SOFTWARE]
    encoder_options = options(EncoderChoice(encoder, SOFTWARE, "", ""), spec)
    return replace(stream, encoder=encoder, device=SOFTWARE, options=encoder_options)
