"""Choose the video streams of an output, and what each input contributes to them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from reelmill_server.errors import UnsupportedFormat
from reelmill_server.model.capability import PRIVACY
from reelmill_server.model.media_info import StreamInfo, VideoStreamInfo
from reelmill_server.model.overlay_plan import OverlayPlan
from reelmill_server.model.plan import COPY, PartPlan, StreamPlan
from reelmill_server.model.request import VideoSpec
from reelmill_server.plan.inputs import Input, selected, stream_at
from reelmill_server.plan.stream import container_fit, dolby, joining, ladder, quality, smart_cut, video
from reelmill_server.plan.stream.alpha import ON_BLACK
from reelmill_server.plan.stream.geometry import tilt_warnings
from reelmill_server.plan.stream.overlays import plan_overlays
from reelmill_server.plan.stream.stream_copies import copied_stream, joined_copy
from reelmill_server.plan.stream.target_context import FIRST, TargetContext, reference_input, with_tag

_THINNED = Fraction(3, 2)  # so many times the frames of the output


def video_streams(context: TargetContext) -> Iterator[StreamPlan]:
    """Yield the video streams of the output."""
    spec = context.target.video
    if spec is None or (context.container.audio_only and not context.target.video_asked):
        return
    reference = reference_input(context.inputs, lambda item: item.video)
    attached = [item for item in context.inputs.attached if item.video]
    if reference is None and not attached and context.target.video_asked:
        context.warn(".video: the source has no video")
    if reference is not None:
        for number in selected(len(reference.video), context.target.video_streams, FIRST):
            yield _video(context, spec, number, reference, context.inputs.main)
    for item in attached:
        yield _video(context, spec, 0, item, (item,))


def _video(context: TargetContext, spec: VideoSpec, number: int, like: Input, members: Sequence[Input]) -> StreamPlan:
    stream, path = like.video[number], f"{context.target.field}.video.transcode_video"
    for item in members:
        if item.info.still and not item.held:
            hint = "set duration to show it for longer"
            context.warn(f".video: sources[{item.source_number}] is a still image, which is shown for one frame: {hint}")
    streams = [(item, stream_at(item.video, number)) for item in members]
    context.warn_of_edits("video", streams)
    if spec.codec == COPY:
        edges, reason = smart_cut.edges_of(context.target, spec, streams, context.speed("video"), context.facts)
        if not reason:
            copied = joined_copy(context, "video", streams, stream)
            return smart_cut.with_edges(copied, stream, edges, context.facts) if edges else copied
        copied_stream(context, "video", stream, ".video")  # the container holds the codec
        spec, warning = smart_cut.encoded_instead(spec, stream, reason, path)
        context.warn(f".video: {warning}")
    return _encoded_video(context, spec, number, like, members)


def _encoded_video(context: TargetContext, spec: VideoSpec, number: int, like: Input, members: Sequence[Input]) -> StreamPlan:
    stream, path = like.video[number], f"{context.target.field}.video.transcode_video"
    counted, asked_rate = len(members) > 1 or like.aligned or like.held, spec.frame_rate
    spec, remarks = container_fit.fit_video(quality.bounded(spec), stream, context.container, path)
    if counted:
        spec = joining.pinned(spec, stream, path)
    planned, notes = video.plan_video(spec, stream, like.clock, context.facts, path)
    for note in (*remarks, *notes, *_loss_notes(members, number)):
        context.warn(f": {note}")
    planned = with_tag(context, planned)
    for name, value in (("measure_vmaf", context.target.measure_vmaf), ("min_vmaf", context.target.min_vmaf)):
        if value:
            planned = video.measured(planned, context.facts, f"{context.target.field}.{name}")
    if spec.quality:
        planned = quality.aimed(planned, spec.quality, context.facts, f"{path}.quality_target")
    if context.target.ladder:
        planned = replace(planned, reason=f"{planned.reason}; {ladder.rung_reason(context.target, context.facts)}")
        if warning := ladder.rung_warning(context.target, context.facts):
            context.warn(f".video: {warning}")
    parts = [replace(planned.parts[0], input=like.number)]
    if counted:
        streams = [stream_at(item.video, number) for item in members]
        parts = [_video_part(context, spec, planned, item, other, path) for item, other in zip(members, streams, strict=True)]
        for note in _thinned(planned, members, streams) if not asked_rate else ():
            context.warn(f".video: {note}")
    planned = joining.with_speed(replace(planned, parts=tuple(parts), counted=counted), context.speed("video"))
    return replace(planned, overlays=_overlays(context, spec, planned))


def _thinned(planned: StreamPlan, members: Sequence[Input], streams: Sequence[StreamInfo | None]) -> Iterator[str]:
    """Yield which sources lose many frames, as the output has the rate of another, or the highest that is taken over."""
    rate = planned.video.frame_rate if planned.video else Fraction(0)
    for item, stream in zip(members, streams, strict=True):
        if not isinstance(stream, VideoStreamInfo) or stream.still:
            continue
        highest = max(rate, Fraction(video.HIGHEST_RATE))
        own, why = video.burst_rate(stream), "as the other source has: set frame_rate to keep more"
        if stream.average_rate > highest:
            own, why = stream.average_rate, f"and {video.HIGHEST_RATE} at most where sources are joined"
        if own > min(rate * _THINNED, highest):
            kept = f"of {float(own):.4g} frames a second {float(rate):.4g} are kept"
            yield f"sources[{item.source_number}] is thinned out: {kept}, {why}"


def _loss_notes(members: Sequence[Input], number: int) -> Mapping[str, None]:
    """Return what encoding loses of any of the streams that follow each other, in words, each once."""
    streams = [stream for stream in (stream_at(item.video, number) for item in members) if isinstance(stream, VideoStreamInfo)]
    kinds = (dolby.encoded_warnings, dolby.flat_warnings, tilt_warnings)
    return dict.fromkeys(note for stream in streams for kind in kinds for note in kind(stream))


def _overlays(context: TargetContext, spec: VideoSpec, planned: StreamPlan) -> tuple[OverlayPlan, ...]:
    assert planned.video
    field = f"{context.target.field}.video.filter_video"
    detectors = context.facts.capabilities.get(PRIVACY)
    if spec.desensitization is not None and detectors is not None and not detectors.available:
        raise UnsupportedFormat(f"{field}.desensitization: {detectors.reason}")
    return plan_overlays(spec, planned.video, context.facts.watermark_infos, field, context.warnings.append)


def _video_part(
    context: TargetContext, spec: VideoSpec, like: StreamPlan, item: Input, stream: StreamInfo | None, path: str
) -> PartPlan:
    if not isinstance(stream, VideoStreamInfo):
        return PartPlan(-1, (), item.number)
    planned, notes = video.plan_video(joining.alike(spec, like), stream, item.clock, context.facts, path)
    if ON_BLACK in notes:
        context.warn(f": {ON_BLACK}")
    return replace(planned.parts[0], filters=joining.matched(planned, like), input=item.number)
