"""Requests as plain data."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from google.protobuf.struct_pb2 import Value

from reelmill.v1 import (
    common_pb2,
    media_convert_service_pb2,
    notification_pb2,
    source_pb2,
    target_pb2,
    video_pb2,
)
from reelmill_server.api.field_values import (
    AnyTarget,
    audio_codec,
    container_name,
    enum_name,
    frame_rate,
    optional,
    segment_format,
    smart_cut,
    speed,
    subtitle_format,
    video_codec,
)
from reelmill_server.api.image_requests import image, images
from reelmill_server.api.ladder_requests import ladder
from reelmill_server.api.loudness_requests import ducking, loudness
from reelmill_server.api.overlay_requests import delogo, desensitization, watermark
from reelmill_server.model.ladder import LadderSpec
from reelmill_server.model.quality import Metric, QualityTarget
from reelmill_server.model.request import (
    COPY,
    Adapt,
    AlignMode,
    AudioSpec,
    ConvertRequest,
    Credentials,
    ExtractSpec,
    Hardware,
    Role,
    SegmentFormat,
    SegmentSpec,
    SourceSpec,
    SubtitleFileSpec,
    TargetSpec,
    VideoSpec,
)
from reelmill_server.model.sizes import ScaleType
from reelmill_server.model.task import TagValue
from reelmill_server.model.time import MICROSECONDS


def _video(target: AnyTarget) -> VideoSpec | None:
    if not target.HasField("video"):
        return VideoSpec()
    if target.video.disable_video or not target.video.HasField("transcode_video"):
        return None
    settings = target.video.transcode_video
    codec = video_codec(settings.codec)
    if codec == COPY:
        return VideoSpec(smart_cut=smart_cut(settings))
    width, height = _resolution(settings.resolution)
    return VideoSpec(
        codec=codec,
        pixel_format=enum_name(video_pb2.PixelFormat, settings.pixel_format, "PIXEL_FORMAT_"),
        frame_rate=frame_rate(settings.frame_rate) if settings.HasField("frame_rate") else VideoSpec.frame_rate,
        width=width,
        height=height,
        adaptive_direction=settings.adaptive_resolution_direction,
        scale_type=ScaleType(enum_name(common_pb2.ScaleType, settings.scale_type, "SCALE_TYPE_") or "stretch"),
        rotation=settings.rotation,
        bitrate=optional(settings, "bitrate"),
        crf=round(settings.crf, 4) if settings.HasField("crf") else None,
        max_bitrate=optional(settings, "max_bitrate"),
        buffer_size=optional(settings, "buffer_size"),
        gop_size=settings.gop_size if settings.HasField("gop_size") else VideoSpec.gop_size,
        b_frames=optional(settings, "b_frames"),
        refs=optional(settings, "refs"),
        frame_rate_option=_adapt(settings.frame_rate_option),
        resolution_option=_adapt(settings.resolution_option),
        bitrate_option=_adapt(settings.bitrate_option),
        video_slim=bool(settings.video_slim),
        speed=speed(target.video.filter_video),
        delogos=tuple(delogo(mark) for mark in target.video.filter_video.delogos),
        watermarks=tuple(watermark(mark) for mark in target.video.filter_video.watermarks),
        desensitization=desensitization(target.video.filter_video),
        hardware=Hardware(enum_name(video_pb2.HardwarePolicy, settings.hardware, "HARDWARE_POLICY_") or "preferred"),
        preset=enum_name(video_pb2.EncoderPreset, settings.preset, "ENCODER_PRESET_") or VideoSpec.preset,
        passes=settings.passes or VideoSpec.passes,
        quality=_quality(settings.quality_target) if settings.HasField("quality_target") else None,
    )


def _quality(target: video_pb2.QualityTarget) -> QualityTarget:
    return QualityTarget(
        metric=Metric(enum_name(video_pb2.QualityMetric, target.metric, "QUALITY_METRIC_") or "vmaf"),
        value=round(target.value, 4),
        min_crf=round(target.min_crf, 4) if target.HasField("min_crf") else QualityTarget.min_crf,
        max_crf=round(target.max_crf, 4) if target.HasField("max_crf") else QualityTarget.max_crf,
        max_bitrate=optional(target, "max_bitrate"),
    )


def _adapt(number: int) -> Adapt:
    return Adapt(enum_name(common_pb2.AdaptOption, number, "ADAPT_OPTION_") or "fixed")


def _resolution(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width or 0), int(height or 0)


def _audio(target: AnyTarget) -> AudioSpec | None:
    if not target.HasField("audio"):
        return AudioSpec()
    if target.audio.disable_audio or not target.audio.HasField("transcode_audio"):
        return None
    settings = target.audio.transcode_audio
    codec = audio_codec(settings.codec)
    if codec == COPY:
        return AudioSpec(loudness=loudness(target.audio.filter_audio), ducking=ducking(target.audio.filter_audio))
    return AudioSpec(
        codec=codec,
        bitrate=optional(settings, "bitrate"),
        sample_rate=optional(settings, "sample_rate"),
        channels=optional(settings, "channel"),
        sample_rate_option=_adapt(settings.sample_rate_option),
        bitrate_option=_adapt(settings.bitrate_option),
        quality=optional(settings, "quality"),
        bits_per_sample=optional(settings, "bits_per_sample"),
        mixing=target.audio.filter_audio.mixing,
        loudness=loudness(target.audio.filter_audio),
        ducking=ducking(target.audio.filter_audio),
    )


def _segment(target: AnyTarget) -> SegmentSpec | None:
    if not target.HasField("segment"):
        return None
    settings = target.segment
    return SegmentSpec(
        format=SegmentFormat(segment_format(settings.format) or "hls"),
        duration_us=round(settings.duration * MICROSECONDS) if settings.HasField("duration") else SegmentSpec.duration_us,
        start_number=settings.start_number,
    )


def _extract(target: AnyTarget) -> ExtractSpec | None:
    if not target.subtitle.HasField("extract_subtitle"):
        return None
    settings = target.subtitle.extract_subtitle
    return ExtractSpec(subtitle_format(settings.format), settings.uri)


def _target(
    index: int, target: AnyTarget, group: int = -1, member: int = -1, ladder_spec: LadderSpec | None = None
) -> TargetSpec:
    grouped = isinstance(target, target_pb2.GroupTarget)
    all_or_none = "none" if grouped or target.subtitle.disable_subtitle else "all"
    absent = "none" if grouped else "first"
    return TargetSpec(
        index=index,
        uri=target.uri,
        container=container_name(target.container),
        video=_video(target),
        audio=_audio(target),
        subtitle=all_or_none if target.HasField("subtitle") else absent,  # type: ignore[arg-type]
        video_asked=target.HasField("video"),
        audio_asked=target.HasField("audio"),
        strip_metadata=target.strip_metadata,
        video_streams=tuple(target.video.stream),
        audio_streams=tuple(target.audio.stream),
        subtitle_streams=tuple(target.subtitle.stream),
        data_streams=() if isinstance(target, target_pb2.GroupTarget) else tuple(target.data.stream),
        picture_streams=() if isinstance(target, target_pb2.GroupTarget) else tuple(target.attached_picture.stream),
        extract=_extract(target),
        segment=_segment(target),
        images=tuple(image(*entry) for entry in images(target)),
        speed=speed(target),
        measure_vmaf=target.measure_vmaf,
        min_vmaf=round(target.min_vmaf, 4),
        max_size_ratio=round(target.max_size_ratio, 6),
        group=group,
        member=member,
        ladder=ladder_spec,
    )


def _targets(request: media_convert_service_pb2.CreateMediaConvertTaskRequest) -> Iterable[TargetSpec]:
    """Yield the targets, then the members of the groups, numbered consecutively."""
    yield from (_target(index, target) for index, target in enumerate(request.targets))
    index = len(request.targets)
    for number, group in enumerate(request.target_groups):
        ladder_spec = ladder(group)
        for member, target in enumerate(group.targets):
            yield _target(index, target, number, member, ladder_spec)
            index += 1


def source_spec(source: source_pb2.Source) -> SourceSpec:
    return SourceSpec(
        uri=source.uri,
        start_us=round(source.start_time * MICROSECONDS),
        duration_us=round(source.duration * MICROSECONDS),
        disable_video=source.disable_video,
        disable_audio=source.disable_audio,
        subtitles=tuple(
            SubtitleFileSpec(file.uri, round(file.time_offset * MICROSECONDS), file.language) for file in source.subtitles
        ),
        attached=source.attached,
        align_mode=AlignMode(enum_name(source_pb2.AlignMode, source.align_mode, "ALIGN_MODE_") or "false"),
    )


def tags_of(request: media_convert_service_pb2.CreateMediaConvertTaskRequest) -> Mapping[str, TagValue]:
    """Return the request's tags, whole numbers as int so that they keep their spelling; None for what is no value of a tag."""
    return {key: _tag(value) for key, value in request.tags.fields.items()}


def _tag(value: Value) -> TagValue:
    number = value.number_value
    values: Mapping[str | None, TagValue] = {
        "string_value": value.string_value,
        "bool_value": value.bool_value,
        "number_value": int(number) if number.is_integer() else number,
    }
    return values.get(value.WhichOneof("kind"))


def conversion(
    request: media_convert_service_pb2.CreateMediaConvertTaskRequest, task_id: str, created: datetime, service_role: str = ""
) -> ConvertRequest:
    """Return a valid request as plain data; `service_role` is that of the project."""
    return ConvertRequest(
        task_id=task_id,
        project_name=request.project_name,
        sources=tuple(source_spec(source) for source in request.sources),
        targets=tuple(_targets(request)),
        alignment_index=request.alignment_index,
        tags=tags_of(request),
        created_us=round(created.timestamp() * MICROSECONDS),
        group_uris=tuple(group.uri for group in request.target_groups),
        credentials=credentials(request.credential_config, service_role),
        parallelism=request.parallelism,
    )


def credentials(config: notification_pb2.CredentialConfig, service_role: str) -> Credentials:
    """Return the credentials for storage; the project's role applies if the request names none."""
    first = config.service_role or service_role
    chain = tuple(Role(link.role, link.assume_role_for) for link in config.chain)
    return Credentials((Role(first), *chain) if first else chain, config.policy)
