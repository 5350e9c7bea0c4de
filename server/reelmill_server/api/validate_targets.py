"""Validation of targets and groups: settings that contradict each other, and codecs that their containers do not support."""

from collections.abc import Iterator

from reelmill.v1 import media_convert_service_pb2, source_pb2, target_pb2, video_pb2
from reelmill_server.api.field_values import (
    AnyTarget,
    audio_codec,
    color,
    container_name,
    enum_name,
    optional,
    segment_format,
    smart_cut,
    speed,
    subtitle_format,
    video_codec,
)
from reelmill_server.api.image_requests import images
from reelmill_server.api.ladder_requests import ladder_problems
from reelmill_server.api.loudness_requests import ducking, loudness
from reelmill_server.api.validate_outputs import (
    image_problems,
    list_name_problems,
    output_uri_problems,
    segment_problems,
    subtitle_file_problems,
    uri_problems,
)
from reelmill_server.errors import ReelmillError, Violation
from reelmill_server.model.quality import Metric, QualityTarget
from reelmill_server.model.request import COPY, AudioSpec, Hardware, SegmentFormat, SegmentSpec, TargetSpec, VideoSpec
from reelmill_server.model.smart_cut import SmartCut
from reelmill_server.plan import rules
from reelmill_server.plan.codec.containers import CONTAINERS
from reelmill_server.plan.output.naming import RUNG, unknown_variables
from reelmill_server.storage.base import Storage
from reelmill_server.uris import Resource

_AUDIO_ONLY = frozenset(name for name, container in CONTAINERS.items() if container.audio_only)
_TEXT_ONLY = "content font_name font_size font_color font_apha border_width border_color".split()
_FILE_ONLY = ("uri", "width", "height")


def _desensitization(target: AnyTarget, field: str) -> Iterator[Violation]:
    settings = target.video.filter_video.desensitization
    if not settings.HasField("face") and not settings.HasField("license_plate"):
        yield Violation(field, "has nothing to blur: set face or license_plate")
    # Copied video would show what was to be hidden, so copy is refused here, although it ignores other settings.
    if target.video.HasField("transcode_video") and video_codec(target.video.transcode_video.codec) == "copy":
        yield Violation(field, "copied video cannot be blurred: set a video codec other than copy")


def _watermark(watermark: video_pb2.Watermark, field: str, storage: Storage) -> Iterator[Violation | ReelmillError]:
    is_file = watermark.type == video_pb2.WATERMARK_TYPE_FILE
    for descriptor, _ in watermark.ListFields():
        if descriptor.name in (_TEXT_ONLY if is_file else _FILE_ONLY):
            yield Violation(
                f"{field}.{descriptor.name}", f"is only allowed with type {'TEXT' if is_file else 'FILE'}: leave it out"
            )
    for name in ("font_color", "border_color"):
        if getattr(watermark, name) and not color(getattr(watermark, name)):
            yield Violation(f"{field}.{name}", "must be #RRGGBB or a CSS color name such as red")
    if is_file and not watermark.uri:
        yield Violation(f"{field}.uri", "is required")
    elif is_file:
        yield from uri_problems(watermark.uri, f"{field}.uri", storage.check_readable)


def target_problems(
    target: target_pb2.Target, field: str, tags: set[str], storage: Storage
) -> Iterator[Violation | ReelmillError]:
    """Yield what is wrong with a target, apart from its media file."""
    yield from output_uri_problems(target.uri, f"{field}.uri", tags, storage)
    if target.subtitle.HasField("extract_subtitle"):
        yield from subtitle_file_problems(target, f"{field}.subtitle.extract_subtitle", tags, storage)
    elif not target.uri and not target.container and not any(images(target)):
        yield Violation(field, "has no output: set uri and container, subtitle.extract_subtitle, or image")
    for kind, number, entry in images(target):
        yield from image_problems(entry, f"{field}.image.{kind}s[{number}]", tags, storage)
    if target.HasField("segment") and target.uri:
        yield from segment_problems(target, field, tags)
    if not target.container:
        yield from rules.target_problems(_ruled(target), field)
    yield from _copied_video(target, f"{field}.video.transcode_video")


def group_problems(
    group: target_pb2.TargetGroup, field: str, tags: set[str], storage: Storage
) -> Iterator[Violation | ReelmillError]:
    """Yield what is wrong with a group and the URIs of its members."""
    yield from output_uri_problems(group.uri, f"{field}.uri", tags, storage)
    if "{index}" in group.uri:
        yield Violation(f"{field}.uri", "{index} numbers segments, and a master playlist has none")
    group_variables = (RUNG,) if group.HasField("auto_ladder") else ()
    if group_variables and not any(
        unknown_variables(member.uri, dict.fromkeys(tags), group_variables) for member in group.targets
    ):
        yield from ladder_problems(group, field)
    for index, member in enumerate(group.targets):
        path = f"{field}.targets[{index}]"
        yield from output_uri_problems(member.uri, f"{path}.uri", tags, storage, group_variables)
        if member.segment.format == target_pb2.SEGMENT_FORMAT_DASH:
            yield Violation(f"{path}.segment.format", "must be HLS: a group is an HLS master playlist")
        else:
            yield from list_name_problems(member.uri, SegmentFormat.HLS, f"{path}.uri", tags, group_variables)
        if "{" not in group.uri + member.uri and not Resource.of(group.uri).holds(Resource.of(member.uri)):
            yield Violation(f"{path}.uri", f"must be in the folder of the master playlist {group.uri} or below it")
        yield from _group_subtitles(group, index, field, tags, storage)


def _group_subtitles(
    group: target_pb2.TargetGroup, index: int, field: str, tags: set[str], storage: Storage
) -> Iterator[Violation | ReelmillError]:
    """Yield what is wrong with the subtitles that a member packages for its group."""
    member, path = group.targets[index], f"{field}.targets[{index}].subtitle"
    if not member.subtitle.HasField("extract_subtitle"):
        if member.HasField("subtitle") and not member.subtitle.disable_subtitle:
            yield Violation(
                path, "HLS segments cannot contain subtitles: set extract_subtitle, which packages them beside the variants"
            )
        return
    extract, extract_path = member.subtitle.extract_subtitle, f"{path}.extract_subtitle"
    yield from subtitle_file_problems(member, extract_path, tags, storage)
    if extract.format and subtitle_format(extract.format) != "vtt":
        yield Violation(f"{extract_path}.format", "must be VTT: players support no other subtitle format")
    if extract.uri and "{" not in group.uri + extract.uri and not Resource.of(group.uri).holds(Resource.of(extract.uri)):
        yield Violation(f"{extract_path}.uri", f"must be in the folder of the master playlist {group.uri} or below it")
    first = next(other for other in group.targets if other.subtitle.HasField("extract_subtitle"))
    if first.subtitle != member.subtitle:
        yield Violation(path, "a group packages its subtitles once: remove this, or make it the same in all targets")
    if any(other.container != member.container for other in group.targets):
        expected = "must be the same in all targets of a group with subtitles: MP4 and TS use different clocks"
        yield Violation(f"{field}.targets[{index}].container", expected)


def _copies(
    request: media_convert_service_pb2.CreateMediaConvertTaskRequest, target: AnyTarget, field: str
) -> Iterator[Violation]:
    """Yield impossible stream copies: of several sources unless requested explicitly, and of audio at another speed."""
    concatenated = [source for source in request.sources if not source.attached]
    copies = {
        "video": any(not source.disable_video for source in concatenated) and not _is_disabled(target, "video"),
        "audio": any(not source.disable_audio for source in concatenated) and not _is_disabled(target, "audio"),
    }
    if container_name(target.container) in _AUDIO_ONLY and not target.HasField("video"):
        copies["video"] = False
    for kind, present in copies.items():
        if present and len(concatenated) > 1 and getattr(getattr(target, kind), f"transcode_{kind}").codec == 0:
            expected = (
                "several sources cannot be concatenated by the default stream copy: set a codec, or COPY if they are alike"
            )
            yield Violation(f"{field}.{kind}.transcode_{kind}.codec", expected)
    if copies["audio"]:
        yield from rules.speed_problems(_ruled(target), field)
    filters = target.video.filter_video
    if target.HasField("speed") and filters.HasField("speed") and target.speed != filters.speed:
        yield Violation(f"{field}.video.filter_video.speed", "must equal the target's speed if both are set")


def _ruled(target: AnyTarget) -> TargetSpec:
    """Return what the rules of plan ask of a target, which may be invalid otherwise."""
    video, audio = target.video.transcode_video, target.audio.transcode_audio
    # A group is a master playlist of HLS, whatever its members say, which is reported by itself.
    segments = segment_format(target.segment.format) if isinstance(target, target_pb2.Target) else ""
    return TargetSpec(
        index=0,
        uri="",
        container=container_name(target.container),
        video=None
        if _is_disabled(target, "video")
        else VideoSpec(
            codec=video_codec(video.codec),
            pixel_format=enum_name(video_pb2.PixelFormat, video.pixel_format, "PIXEL_FORMAT_"),
            b_frames=optional(video, "b_frames"),
            refs=optional(video, "refs"),
            passes=video.passes or VideoSpec.passes,
            quality=QualityTarget(Metric.VMAF, 0.0) if video.HasField("quality_target") else None,
            hardware=Hardware(enum_name(video_pb2.HardwarePolicy, video.hardware, "HARDWARE_POLICY_") or "preferred"),
        ),
        audio=None
        if _is_disabled(target, "audio")
        else AudioSpec(
            codec=audio_codec(audio.codec),
            bitrate=optional(audio, "bitrate"),
            quality=optional(audio, "quality"),
            sample_rate=optional(audio, "sample_rate"),
            loudness=loudness(target.audio.filter_audio),
            ducking=ducking(target.audio.filter_audio),
            mixing=target.audio.filter_audio.mixing,
        ),
        video_asked=target.HasField("video"),
        data_streams=tuple(target.data.stream) if isinstance(target, target_pb2.Target) else (),
        picture_streams=tuple(target.attached_picture.stream) if isinstance(target, target_pb2.Target) else (),
        segment=SegmentSpec(SegmentFormat(segments), start_number=target.segment.start_number) if segments else None,
        speed=speed(target),
        measure_vmaf=target.measure_vmaf,
        min_vmaf=target.min_vmaf,
        max_size_ratio=target.max_size_ratio,
    )


def _is_disabled(target: AnyTarget, kind: str) -> bool:
    """Return whether the target explicitly has no stream of a kind."""
    if not target.HasField(kind):
        return False
    message = getattr(target, kind)
    return bool(getattr(message, f"disable_{kind}")) or not message.HasField(f"transcode_{kind}")


def _is_voice(source: source_pb2.Source) -> bool:
    return source.attached and not source.disable_audio


def _copied_video(target: AnyTarget, field: str) -> Iterator[Violation]:
    """Yield what is asked of copied video that only an encode can give. Other settings of encoders are ignored for it."""
    asked = target.video.transcode_video
    if _is_disabled(target, "video") or video_codec(asked.codec) != COPY:
        return
    for name, present in (("quality_target", asked.HasField("quality_target")), ("passes", asked.passes > 1)):
        if present:
            yield Violation(f"{field}.{name}", "needs encoded video: set a codec other than COPY, or leave this out")
    if smart_cut(asked) is not SmartCut.NONE and asked.hardware == video_pb2.HARDWARE_POLICY_REQUIRED:
        expected = "is not possible where hardware is REQUIRED: frames at the edges are encoded in software"
        yield Violation(f"{field}.smart_cut", expected)


def media_problems(
    request: media_convert_service_pb2.CreateMediaConvertTaskRequest, target: AnyTarget, field: str, storage: Storage
) -> Iterator[Violation | ReelmillError]:
    """Yield what is wrong with the media file of a target."""
    yield from _copies(request, target, field)
    yield from rules.target_problems(_ruled(target), field)
    for name in ("loudness", "ducking"):
        if target.audio.filter_audio.HasField(name) and _is_disabled(target, "audio"):
            expected = "the target has no audio: set transcode_audio, or leave it out"
            yield Violation(f"{field}.audio.filter_audio.{name}", expected)
    if target.audio.filter_audio.HasField("ducking") and not any(_is_voice(source) for source in request.sources):
        expected = "needs a voice: attach a source with audio (attached), or leave it out"
        yield Violation(f"{field}.audio.filter_audio.ducking", expected)
    for index, watermark in enumerate(target.video.filter_video.watermarks):
        yield from _watermark(watermark, f"{field}.video.filter_video.watermarks[{index}]", storage)
    if target.video.filter_video.HasField("desensitization"):
        yield from _desensitization(target, f"{field}.video.filter_video.desensitization")
