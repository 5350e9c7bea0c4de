"""From requests to plain data."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from typing import Any

from google.protobuf.json_format import MessageToDict
from PIL.ImageColor import colormap

from reelmill.v1 import (
    audio_pb2,
    common_pb2,
    image_pb2,
    media_convert_service_pb2,
    notification_pb2,
    source_pb2,
    subtitle_pb2,
    target_pb2,
    video_pb2,
)
from reelmill_server.model.request import (
    COPY,
    Adapt,
    AlignMode,
    AudioSpec,
    ConvertRequest,
    Corner,
    Credentials,
    DelogoSpec,
    DesensitizationRule,
    DesensitizationSpec,
    ExtractSpec,
    FrameMode,
    FramesSpec,
    Hardware,
    ImageKind,
    ImageSpec,
    PlaceSpec,
    Role,
    ScaleType,
    SegmentFormat,
    SegmentSpec,
    SheetSpec,
    SourceSpec,
    SubtitleFileSpec,
    TargetSpec,
    TextSpec,
    VideoSpec,
    WatermarkSpec,
)
from reelmill_server.model.task import TagValue

AnyTarget = target_pb2.Target | target_pb2.GroupTarget
AnyImage = image_pb2.Snapshot | image_pb2.Sprite | image_pb2.Animation

_MICROSECONDS = 1_000_000
# Rates that decimal numbers only approximate: 24000/1001, 30000/1001 and their multiples.
_NTSC = tuple(Fraction(base * 1000, 1001) for base in (24, 30, 48, 60, 120, 240))
_NTSC_TOLERANCE = Fraction(6, 1000)
_HEX_COLOR = re.compile("#[0-9a-f]{6}")


def _word(enum: Any, number: int, prefix: str) -> str:
    """The contract's word of an enum value; "" for unspecified or unknown."""
    return enum.Name(number).removeprefix(prefix).lower() if number and number in enum.values() else ""


def container_name(number: int) -> str:
    """The contract's word of a Container."""
    return _word(target_pb2.Container, number, "CONTAINER_")


def video_codec(number: int) -> str:
    """The contract's word of a VideoCodec; unspecified is copy."""
    return _word(video_pb2.VideoCodec, number, "VIDEO_CODEC_") or COPY


def audio_codec(number: int) -> str:
    """The contract's word of an AudioCodec; unspecified is copy."""
    return _word(audio_pb2.AudioCodec, number, "AUDIO_CODEC_") or COPY


def frame_rate(value: float) -> str:
    """A rate as `n/d`: the NTSC rate that a decimal number stands for, else the number itself to a thousandth."""
    decimal = Fraction(str(round(value, 6)))
    near = min(_NTSC, key=lambda rate: abs(rate - decimal))
    whole = Fraction(round(decimal))
    if decimal != whole and abs(near - decimal) < _NTSC_TOLERANCE:
        decimal = near
    rate = decimal if decimal in _NTSC else decimal.limit_denominator(1001)
    return f"{rate.numerator}/{rate.denominator}"


def speed(message: Any) -> str:
    """A message's playback speed as `n/d`, "" when it is 1: float has seven digits, of which four are meant."""
    ratio = Fraction(str(round(message.speed, 4))) if message.HasField("speed") else Fraction(1)
    return "" if ratio == 1 else f"{ratio.numerator}/{ratio.denominator}"


def _video(target: AnyTarget) -> VideoSpec | None:
    if not target.HasField("video"):
        return VideoSpec()
    if target.video.disable_video or not target.video.HasField("transcode_video"):
        return None
    asked = target.video.transcode_video
    codec = video_codec(asked.codec)
    if codec == COPY:
        return VideoSpec()
    width, height = _resolution(asked.resolution)
    return VideoSpec(
        codec=codec,
        pixel_format=_word(video_pb2.PixelFormat, asked.pixel_format, "PIXEL_FORMAT_"),
        frame_rate=frame_rate(asked.frame_rate) if asked.HasField("frame_rate") else "",
        width=width,
        height=height,
        adaptive_direction=asked.adaptive_resolution_direction,
        scale_type=ScaleType(_word(common_pb2.ScaleType, asked.scale_type, "SCALE_TYPE_") or "stretch"),
        rotation=asked.rotation,
        bitrate=_given(asked, "bitrate"),
        crf=round(asked.crf, 4) if asked.HasField("crf") else None,
        max_bitrate=_given(asked, "max_bitrate"),
        buffer_size=_given(asked, "buffer_size"),
        gop_size=asked.gop_size if asked.HasField("gop_size") else VideoSpec.gop_size,
        b_frames=_given(asked, "b_frames"),
        refs=_given(asked, "refs"),
        frame_rate_option=_adapt(asked.frame_rate_option),
        resolution_option=_adapt(asked.resolution_option),
        bitrate_option=_adapt(asked.bitrate_option),
        video_slim=bool(asked.video_slim),
        speed=speed(target.video.filter_video),
        delogos=tuple(_delogo(delogo) for delogo in target.video.filter_video.delogos),
        watermarks=tuple(_watermark(mark) for mark in target.video.filter_video.watermarks),
        desensitization=_desensitization(target.video.filter_video),
        hardware=Hardware(_word(video_pb2.HardwarePolicy, asked.hardware, "HARDWARE_POLICY_") or "preferred"),
        preset=_word(video_pb2.EncoderPreset, asked.preset, "ENCODER_PRESET_") or VideoSpec.preset,
    )


def _place(message: video_pb2.Watermark | video_pb2.Delogo) -> PlaceSpec:
    return PlaceSpec(
        corner=Corner(_word(video_pb2.ReferPos, message.refer_pos, "REFER_POS_") or "topleft"),
        dx=_length(message.dx),
        dy=_length(message.dy),
        start_us=round(message.start_time * _MICROSECONDS),
        duration_us=round(message.duration * _MICROSECONDS),
    )


def _delogo(message: video_pb2.Delogo) -> DelogoSpec:
    return DelogoSpec(_place(message), _side(message, "width"), _side(message, "height"))


def _desensitization(message: video_pb2.FilterVideo) -> DesensitizationSpec | None:
    if not message.HasField("desensitization"):
        return None
    asked = message.desensitization
    return DesensitizationSpec(
        face=_rule(asked.face) if asked.HasField("face") else None,
        license_plate=_rule(asked.license_plate) if asked.HasField("license_plate") else None,
    )


def _rule(message: video_pb2.DesensitizationRule) -> DesensitizationRule:
    return DesensitizationRule(
        confidence=round(message.confidence, 6),
        min_size=message.min_size,
        blur_radius=_given(message, "blur_radius"),
        scale_ratio=round(message.scale_ratio, 6) if message.HasField("scale_ratio") else DesensitizationRule.scale_ratio,
        transparency=round(message.transparency, 6),
    )


def _watermark(message: video_pb2.Watermark) -> WatermarkSpec:
    if message.type == video_pb2.WATERMARK_TYPE_FILE:
        return WatermarkSpec(_place(message), None, message.uri, _side(message, "width"), _side(message, "height"))
    text = TextSpec(
        content=message.content,
        font=message.font_name or TextSpec.font,
        size=message.font_size if message.HasField("font_size") else TextSpec.size,
        color=color(message.font_color) or TextSpec.color,
        opacity=round(message.font_apha, 6) if message.HasField("font_apha") else TextSpec.opacity,
        border_width=message.border_width,
        border_color=color(message.border_color) or TextSpec.border_color,
    )
    return WatermarkSpec(_place(message), text)


def color(text: str) -> str:
    """A colour as `#rrggbb`, given as that or by its name in CSS; "" for what is neither."""
    word = text.lower()
    return word if _HEX_COLOR.fullmatch(word) else str(colormap.get(word, ""))


def _adapt(number: int) -> Adapt:
    return Adapt(_word(common_pb2.AdaptOption, number, "ADAPT_OPTION_") or "fixed")


def _resolution(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width or 0), int(height or 0)


def _given(message: Any, field: str) -> Any:
    return getattr(message, field) if message.HasField(field) else None


def _audio(target: AnyTarget) -> AudioSpec | None:
    if not target.HasField("audio"):
        return AudioSpec()
    if target.audio.disable_audio or not target.audio.HasField("transcode_audio"):
        return None
    asked = target.audio.transcode_audio
    codec = audio_codec(asked.codec)
    if codec == COPY:
        return AudioSpec()
    return AudioSpec(
        codec=codec,
        bitrate=_given(asked, "bitrate"),
        sample_rate=_given(asked, "sample_rate"),
        channels=_given(asked, "channel"),
        sample_rate_option=_adapt(asked.sample_rate_option),
        bitrate_option=_adapt(asked.bitrate_option),
        quality=_given(asked, "quality"),
        bits_per_sample=_given(asked, "bits_per_sample"),
        mixing=target.audio.filter_audio.mixing,
    )


def subtitle_format(number: int) -> str:
    """The extension of a SubtitleFormat: ass, srt or vtt; "" for unspecified."""
    word = _word(subtitle_pb2.SubtitleFormat, number, "SUBTITLE_FORMAT_")
    return "vtt" if word == "webvtt" else word


def segment_format(number: int) -> str:
    """The contract's word of a SegmentFormat; "" for unspecified."""
    return _word(target_pb2.SegmentFormat, number, "SEGMENT_FORMAT_")


def _segment(target: AnyTarget) -> SegmentSpec | None:
    if not target.HasField("segment"):
        return None
    asked = target.segment
    return SegmentSpec(
        format=SegmentFormat(segment_format(asked.format) or "hls"),
        duration_us=round(asked.duration * _MICROSECONDS) if asked.HasField("duration") else SegmentSpec.duration_us,
        start_number=asked.start_number,
    )


def _extract(target: AnyTarget) -> ExtractSpec | None:
    if not target.subtitle.HasField("extract_subtitle"):
        return None
    asked = target.subtitle.extract_subtitle
    return ExtractSpec(subtitle_format(asked.format), asked.uri)


def image_format(number: int) -> str:
    """The extension of an ImageFormat: jpg, png, webp or avif; "" for unspecified."""
    return _word(image_pb2.ImageFormat, number, "IMAGE_FORMAT_")


def animation_format(number: int) -> str:
    """The extension of an AnimationFormat: gif, webp, apng or avif; "" for unspecified."""
    return _word(image_pb2.AnimationFormat, number, "ANIMATION_FORMAT_")


def _frames(entry: AnyImage) -> FramesSpec:
    frames = FramesSpec(
        start_us=round(entry.start_time * _MICROSECONDS),
        interval_us=round(entry.interval * _MICROSECONDS),
        number=entry.number,
    )
    if isinstance(entry, image_pb2.Animation):
        return frames
    mode = FrameMode(_word(image_pb2.FrameMode, entry.mode, "FRAME_MODE_") or "interval")
    return replace(frames, mode=mode, threshold=entry.threshold, skip_blank=entry.skip_blank)


def _side(entry: Any, field: str, ratio_below: float = 1.0) -> str:
    """A number-or-ratio field, "" when it is not set."""
    return _length(getattr(entry, field), ratio_below) if entry.HasField(field) else ""


def _length(value: float, ratio_below: float = 1.0) -> str:
    """A number or ratio: a ratio of a side as `n/d` below `ratio_below`, else whole pixels."""
    if value >= ratio_below:
        return str(round(value))
    ratio = Fraction(str(round(value, 6)))
    return f"{ratio.numerator}/{ratio.denominator}"


def _image(kind: ImageKind, number: int, entry: AnyImage) -> ImageSpec:
    animation = entry if isinstance(entry, image_pb2.Animation) else None
    sprite = entry if isinstance(entry, image_pb2.Sprite) else None
    # 1 is the whole side for a small picture of a sheet, whose pixels begin at 2, and one pixel for all others.
    sides = ("scale_width", "scale_height", 1.5) if sprite else ("width", "height", 1.0)
    return ImageSpec(
        kind=kind,
        number=number,
        uri=entry.uri,
        format=animation_format(entry.format) if animation else image_format(entry.format),
        frames=_frames(entry),
        width=_side(entry, sides[0], sides[2]),
        height=_side(entry, sides[1], sides[2]),
        scale_type=ScaleType(_word(common_pb2.ScaleType, entry.scale_type, "SCALE_TYPE_") or "stretch"),
        frame_rate=frame_rate(animation.frame_rate) if animation and animation.HasField("frame_rate") else "",
        sheet=_sheet(sprite) if sprite else None,
    )


def _sheet(sprite: image_pb2.Sprite) -> SheetSpec:
    usual = SheetSpec()
    return SheetSpec(
        columns=sprite.tile_width if sprite.HasField("tile_width") else usual.columns,
        rows=sprite.tile_height if sprite.HasField("tile_height") else usual.rows,
        pad=sprite.pad if sprite.HasField("pad") else usual.pad,
        margin=sprite.margin if sprite.HasField("margin") else usual.margin,
        web_vtt_uri=sprite.web_vtt_uri,
        playlist_uri=sprite.image_playlist_uri,
    )


def images(target: AnyTarget) -> Iterable[tuple[ImageKind, int, AnyImage]]:
    """The entries of a target's pictures, each with its kind and its number among that kind."""
    if isinstance(target, target_pb2.GroupTarget):
        return
    lists: Mapping[ImageKind, Iterable[AnyImage]] = {
        ImageKind.SNAPSHOT: target.image.snapshots,
        ImageKind.SPRITE: target.image.sprites,
        ImageKind.ANIMATION: target.image.animations,
    }
    for kind, entries in lists.items():
        for number, entry in enumerate(entries):
            yield kind, number, entry


def _target(index: int, target: AnyTarget, group: int = -1, member: int = -1) -> TargetSpec:
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
        images=tuple(_image(*entry) for entry in images(target)),
        speed=speed(target),
        group=group,
        member=member,
    )


def _targets(request: media_convert_service_pb2.CreateMediaConvertTaskRequest) -> Iterable[TargetSpec]:
    """The targets of their own, then those of the groups; all are counted through."""
    yield from (_target(index, target) for index, target in enumerate(request.targets))
    index = len(request.targets)
    for number, group in enumerate(request.target_groups):
        for member, target in enumerate(group.targets):
            yield _target(index, target, number, member)
            index += 1


def source_spec(source: source_pb2.Source) -> SourceSpec:
    """A source as plain data."""
    return SourceSpec(
        uri=source.uri,
        start_us=round(source.start_time * _MICROSECONDS),
        duration_us=round(source.duration * _MICROSECONDS),
        disable_video=source.disable_video,
        disable_audio=source.disable_audio,
        subtitles=tuple(
            SubtitleFileSpec(file.uri, round(file.time_offset * _MICROSECONDS), file.language) for file in source.subtitles
        ),
        attached=source.attached,
        align_mode=AlignMode(_word(source_pb2.AlignMode, source.align_mode, "ALIGN_MODE_") or "false"),
    )


def tags_of(request: media_convert_service_pb2.CreateMediaConvertTaskRequest) -> Mapping[str, TagValue]:
    """The request's tags; whole numbers as int, so that they read as they were written."""
    tags = MessageToDict(request.tags) if request.HasField("tags") else {}
    return {key: int(value) if isinstance(value, float) and value.is_integer() else value for key, value in tags.items()}


def conversion(
    request: media_convert_service_pb2.CreateMediaConvertTaskRequest, task_id: str, created: datetime, service_role: str = ""
) -> ConvertRequest:
    """A valid request as plain data; `service_role` is the project's."""
    return ConvertRequest(
        task_id=task_id,
        project_name=request.project_name,
        sources=tuple(source_spec(source) for source in request.sources),
        targets=tuple(_targets(request)),
        alignment_index=request.alignment_index,
        tags=tags_of(request),
        created_us=round(created.timestamp() * _MICROSECONDS),
        group_uris=tuple(group.uri for group in request.target_groups),
        credentials=credentials(request.credential_config, service_role),
    )


def credentials(config: notification_pb2.CredentialConfig, service_role: str) -> Credentials:
    """In whose name storage is used; the project's role counts where the request names none."""
    first = config.service_role or service_role
    chain = tuple(Role(link.role, link.assume_role_for) for link in config.chain)
    return Credentials((Role(first), *chain) if first else chain, config.policy)
