"""Derive what a task requires of a worker, and whether it is small."""

from collections.abc import Sequence

from reelmill_server.model.capability import SOFTWARE
from reelmill_server.model.cost import Cost
from reelmill_server.model.media_info import MediaInfo
from reelmill_server.model.needs import Needs
from reelmill_server.model.plan import COPY, Plan, StreamType
from reelmill_server.model.request import ConvertRequest, Hardware, TargetSpec, VideoSpec
from reelmill_server.plan.codec.video_encoders import VIDEO_ENCODERS, may_encode
from reelmill_server.plan.cost.estimate import estimate
from reelmill_server.plan.cost.savings import seconds_saved
from reelmill_server.plan.cost.tables import MEASURED_THREADS

# Assumed for a task that could not be planned where it was probed: that of a 1080p encode.
_UNKNOWN = Cost(cores=2.0, memory_bytes=1 << 30)


def needs_of(
    request: ConvertRequest, plan: Plan, infos: Sequence[MediaInfo], order: Sequence[str], threads: int = MEASURED_THREADS
) -> Needs:
    """Return what carrying out `plan` requires.

    `order`: encoder families, the preferred first. `threads`: number of cores that libav sees.
    """
    encoded = [target.index for target in plan.targets for stream in target.streams if stream.encodes_video]
    lanes = lanes_of(request, order) if encoded else (SOFTWARE,)
    if lanes == (SOFTWARE,):
        return Needs(estimate(plan, infos, threads), lanes)
    willing = {target.index for target in request.targets if _families(target, order)}
    sessions = sum(index in willing for index in encoded)
    saved = seconds_saved(request, plan, infos, threads)
    return Needs(estimate(plan, infos, threads), lanes, sessions, saved_seconds=round(saved, 3))


def unplanned(request: ConvertRequest, order: Sequence[str], objection: str) -> Needs:
    """Return what a task requires that needs an accelerator which this worker lacks; `objection` says so."""
    videos = _videos(request)
    return Needs(_UNKNOWN, lanes_of(request, order), len(videos), objection)


def lanes_of(request: ConvertRequest, order: Sequence[str]) -> tuple[str, ...]:
    """Return the encoder families that may encode the request's video, in `order`; software last, unless a target REQUIRES
    hardware.
    """
    required = any(video.hardware is Hardware.REQUIRED for video in _videos(request))
    able = {family for target in request.targets for family in _families(target, order)}
    hardware = [family for family in order if family in able]
    return (*hardware, *((SOFTWARE,) if SOFTWARE in order and not required else ()))


def _families(target: TargetSpec, order: Sequence[str]) -> list[str]:
    """Return the families of accelerators that may encode a target; those of its codec, if it REQUIRES one: a worker that has
    one says what it lacks.
    """
    video = target.video
    if video is None or target.ladder or video.hardware is Hardware.NEVER:  # rungs are measured and encoded in software
        return []
    required = video.hardware is Hardware.REQUIRED
    known = VIDEO_ENCODERS.get(video.codec, {})
    return [family for family in order if family != SOFTWARE and family in known and (required or may_encode(video, family))]


def is_small(plan: Plan, cost: Cost, most_core_seconds: float) -> bool:
    """Return whether a plan runs at once, ahead of the queues: it takes at most `most_core_seconds`, or encodes nothing."""
    encodes = any(
        stream.encoder != COPY and stream.type != StreamType.SUBTITLE for target in plan.targets for stream in target.streams
    )
    return cost.core_seconds <= most_core_seconds or (not encodes and not plan.images)


def _videos(request: ConvertRequest) -> list[VideoSpec]:
    return [target.video for target in request.targets if target.video is not None and target.video.codec != COPY]
