"""Plan ladders that are made for their sources: a target for each size that is tried, and for each rung that is chosen."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import cycle, islice

from reelmill_server.errors import InvalidArgument, InvalidMedia, UnsupportedFormat, Violation
from reelmill_server.model.ladder import Ladder, LadderPlan, LadderPoint
from reelmill_server.model.media_info import VideoStreamInfo
from reelmill_server.model.package_plan import GroupPlan
from reelmill_server.model.quality import Metric
from reelmill_server.model.request import Adapt, Hardware, TargetSpec, VideoSpec
from reelmill_server.model.sizes import ScaleType
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.inputs import Inputs, selected
from reelmill_server.plan.stream.geometry import displayed_size
from reelmill_server.plan.stream.quality import XPSNR_FILTER, named
from reelmill_server.plan.stream.video import VMAF_FILTER, has_vmaf

_SIDES = (2160, 1440, 1080, 720, 540, 432, 360, 288, 216, 180, 144, 108)  # of frames, the shorter one
_MOST_SIZES = 6
_APART = Fraction(17, 20)  # of a size, the largest that is tried beside it
_FILTERS: Mapping[Metric, str] = {Metric.VMAF: VMAF_FILTER, Metric.XPSNR: XPSNR_FILTER}  # the preferred first
_BOUND_SECONDS = 2  # of its highest bit rate, the size of the buffer that bounds it


def rung_targets(target: TargetSpec, inputs: Inputs, facts: PlanFacts) -> Iterator[TargetSpec]:
    """Yield `target` itself, or, if it stands for a ladder, a target for each rung: as many as are asked for before they are
    chosen, each of a size that is tried.

    Raises InvalidArgument, InvalidMedia or UnsupportedFormat if no ladder can be made of the sources.
    """
    if target.ladder is None:
        yield target
        return
    ladder = ladder_of(target, inputs, facts)
    points = ladder.rungs or islice(cycle(ladder.points), max(len(ladder.points), target.ladder.max_renditions))
    for number, point in enumerate(points, 1):
        assert target.video
        video = _sized(target.video, point, target.ladder.max_bitrate, joined=inputs.several)
        yield replace(target, video=video, rung=number)


def ladder_of(target: TargetSpec, inputs: Inputs, facts: PlanFacts) -> Ladder:
    """Return the ladder that was chosen for `target`; before that, one whose points are the sizes to try, the largest first."""
    if target.group in facts.ladders:
        return facts.ladders[target.group]
    field = f"target_groups[{target.group}].auto_ladder"
    filmed = next((item for item in (inputs.primary, *inputs.main) if item.video), None)
    if filmed is None:
        raise InvalidMedia(f"{field}: the source has no video")
    numbers = selected(len(filmed.video), target.video_streams, (0,))
    if len(numbers) != 1 or any(item.video for item in inputs.attached):
        expected = "makes rungs of one video stream: choose one, and disable the video of attached sources"
        raise InvalidArgument(violations=[Violation(field, expected)])
    if not inputs.duration_us:
        raise UnsupportedFormat(f"{field}: the source does not say how long it is: no samples can be spread over it")
    sizes = tuple(_sizes(target, filmed.video[numbers[0]]))
    return Ladder(
        _metric(facts, sizes[0], field), *sizes[0], tuple(LadderPoint(*size, crf=0.0, bitrate=0, score=0.0) for size in sizes)
    )


def with_ladders(
    groups: Sequence[GroupPlan], targets: Sequence[TargetSpec], inputs: Inputs, facts: PlanFacts
) -> Iterator[GroupPlan]:
    """Yield the groups, each with the ladder that one of the request's `targets` stands for."""
    ladders = {
        target.group: LadderPlan(target.ladder, ladder_of(target, inputs, facts))
        for target in targets
        if target.ladder is not None
    }
    for number, group in enumerate(groups):
        yield replace(group, ladder=ladders.get(number))


def rung_reason(target: TargetSpec, facts: PlanFacts) -> str:
    """Return in words why a rung is as it is."""
    ladder = facts.ladders.get(target.group)
    if ladder is None:
        return "sizes and CRFs of the rungs are chosen on samples first"
    point = ladder.rungs[target.rung - 1]
    gives = f"CRF {point.crf:g} gives {point.bitrate / 1000:.0f} kbit/s and {named(ladder.metric, point.score)} on samples"
    return f"rung {target.rung} of {len(ladder.rungs)}: {gives}, at {ladder.width}x{ladder.height}"


def rung_warning(target: TargetSpec, facts: PlanFacts) -> str:
    """Return what the user should know of a rung whose bit rate is not between those asked for; empty if it is."""
    ladder, spec = facts.ladders.get(target.group), target.ladder
    if ladder is None or spec is None:
        return ""
    rate = ladder.rungs[target.rung - 1].bitrate
    if (spec.min_bitrate or 0) <= rate <= (spec.max_bitrate or rate):
        return ""
    return f"no size and CRF that is worth its bits has a bit rate between those of auto_ladder: the nearest has {rate} bit/s"


def _metric(facts: PlanFacts, size: tuple[int, int], field: str) -> Metric:
    """Return the first metric that this worker can measure at a size. Raises UnsupportedFormat if there is none."""
    for metric, name in _FILTERS.items():
        tried = facts.capabilities.get(name)
        if tried is not None and tried.available and not (metric is Metric.VMAF and not has_vmaf(*size)):
            return metric
    raise UnsupportedFormat(f"{field}: quality cannot be measured here: this worker has none of {', '.join(_FILTERS.values())}")


def _sizes(target: TargetSpec, stream: VideoStreamInfo) -> Iterator[tuple[int, int]]:
    """Yield the sizes to try, the largest first: that of the source or the largest that is asked for, and usual ones below."""
    assert target.ladder and target.video
    width, height = displayed_size(stream, target.video.rotation)
    short = min(width, height)
    top = min(short, target.ladder.max_height or short)
    sides, last = [top], top
    for side in _SIDES:
        if side <= last * _APART and len(sides) < _MOST_SIZES:
            sides.append(side)
            last = side
    for side in sides:
        ratio = Fraction(side, short)
        yield _even(width * ratio, width), _even(height * ratio, height)


def _even(value: Fraction, most: int) -> int:
    """Return the even number nearest to `value` that is not above `most`."""
    return max(2, min(round(value / 2), most // 2) * 2)


def _sized(spec: VideoSpec, point: LadderPoint, max_bitrate: int | None, joined: bool) -> VideoSpec:
    """Return the settings of a rung. Sources that are joined keep their shapes."""
    return replace(
        spec,
        width=point.width,
        height=point.height,
        scale_type=ScaleType.FILL if joined else ScaleType.STRETCH,
        resolution_option=Adapt.FIXED,
        crf=point.crf or None,
        max_bitrate=max_bitrate,
        buffer_size=_BOUND_SECONDS * max_bitrate if max_bitrate else None,
        hardware=Hardware.NEVER,
        in_software="the rungs of a ladder are measured and encoded in software",
    )
