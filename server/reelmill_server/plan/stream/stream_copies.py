"""Plan copies of streams, alone or joined."""

from collections.abc import Sequence
from dataclasses import replace

from reelmill_server.errors import InvalidArgument, UnsupportedFormat, Violation
from reelmill_server.model.media_info import AudioStreamInfo, StreamInfo, VideoStreamInfo
from reelmill_server.model.plan import COPY, PartPlan, StreamPlan, StreamType
from reelmill_server.plan.codec.audio_encoders import AUDIO_ENCODERS
from reelmill_server.plan.codec.containers import Container, fitting
from reelmill_server.plan.codec.video_encoders import LIBAV_CODEC
from reelmill_server.plan.inputs import Input
from reelmill_server.plan.stream import audio, container_fit, dolby, joining, video
from reelmill_server.plan.stream.target_context import COPY_TAGS, TargetContext
from reelmill_server.plan.stream.undecodable import ENCRYPTED


def joined_copy(
    context: TargetContext, kind: str, members: Sequence[tuple[Input, StreamInfo | None]], like: StreamInfo
) -> StreamPlan:
    """Return a stream copy of one input, or of several that match. Raises UnsupportedFormat if they do not."""
    field = f"{context.target.field}.{kind}"
    first, _ = members[0]
    if first.aligned:
        expected = f"align_mode {first.source.align_mode} needs the {kind} to be encoded: set a codec other than copy"
        raise InvalidArgument(violations=[Violation(f"{field}.transcode_{kind}.codec", expected)])
    for item, stream in members:
        difference = joining.difference(like, stream)
        if difference:
            raise UnsupportedFormat(
                f"{field}: sources[{item.source_number}] cannot be joined to the others without encoding: {difference}; "
                "choose a codec other than copy"
            )
    for item, stream in members:
        if stream:
            container_fit.check_one(stream, item.clock, context.container, bool(context.target.segment), field)
    planned = copied_stream(context, kind, like, f".{kind}")
    if isinstance(like, VideoStreamInfo):
        container_fit.check_copied_video(like, context.container, field)
        container_fit.check_times(like, members[0][0].info.format, any(item.source.start_us for item, _ in members), field)
        for lost in container_fit.copy_warnings(like, context.container):
            context.warn(f".video: {lost}")
    elif isinstance(like, AudioStreamInfo):
        container_fit.check_packets(like, members[0][0].info.format, field)
        container_fit.check_copied_audio(like, context.container, members[0][0].info.format, field)
        container_fit.check_whole(context.container, len(members) == 1 and not (first.clock.cuts or first.info.measured), field)
    parts = tuple(PartPlan(stream.index, (), item.number) for item, stream in members if stream)
    expected_us = first.clock.expected_us(like) if len(members) == 1 else 0
    slack_us = video.frame_us(video.usual_rate(like)) if isinstance(like, VideoStreamInfo) else 0
    if isinstance(like, AudioStreamInfo):
        slack_us = audio.frame_us(like.sample_rate)
    speed = context.speed(kind)
    return replace(planned, parts=parts, expected_us=round(expected_us / speed), slack_us=round(slack_us / speed), speed=speed)


def copied_stream(context: TargetContext, kind: str, stream: StreamInfo, where: str) -> StreamPlan:
    """Return a stream copy. Raises UnsupportedFormat if the codec is unknown or the container cannot contain it."""
    container, field = context.container, f"{context.target.field}{where}"
    if stream.encrypted:
        raise UnsupportedFormat(
            f"{field}: the source's {kind} (stream {stream.index} of the file) cannot be copied: {ENCRYPTED}"
        )
    if not stream.codec:
        raise UnsupportedFormat(
            f"{field}: the source's {kind} (stream {stream.index} of the file) is in a codec not known here"
        )
    if not container.holds(kind, stream.codec):
        fits = ", ".join(fitting(kind, stream.codec)) or "no container here"
        raise UnsupportedFormat(
            f"{field}: the source's {kind} is {stream.codec}, which {container.name} does not hold ({fits} would): "
            + ("choose a codec other than copy" if _encodable(kind, container) else f"no codec can be chosen, leave {kind} out")
        )
    return StreamPlan(
        type=StreamType(kind),
        parts=(PartPlan(stream.index),),
        codec=stream.codec,
        encoder=COPY,
        reason="stream copy",
        codec_tag=_copied_tag(container, stream),
    )


def _copied_tag(container: Container, stream: StreamInfo) -> str:
    """Return the codec tag that players expect of a copy; empty: libav's."""
    vision = stream.dolby_vision if isinstance(stream, VideoStreamInfo) and container.muxer == "mp4" else None
    if vision is not None and dolby.stands_alone(vision) and stream.codec == "hevc":
        return dolby.ALONE_TAG
    return COPY_TAGS.get((container.muxer, stream.codec), "") or container_fit.pixel_code(stream, container)


def _encodable(kind: str, container: Container) -> bool:
    """Return whether the container can contain any codec that can be encoded."""
    codecs = LIBAV_CODEC.values() if kind == "video" else [encoder.codec for encoder in AUDIO_ENCODERS.values()]
    return any(container.holds(kind, codec) for codec in codecs)
