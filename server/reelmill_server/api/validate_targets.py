"""Validation of targets and groups: settings that contradict each other, and codecs that their containers do not support."""

from collections.abc import Callable, Iterator

from reelmill.v1 import audio_pb2, image_pb2, media_convert_service_pb2, target_pb2, video_pb2
from reelmill_server.api.field_values import (
    AnyTarget,
    audio_codec,
    color,
    container_name,
    segment_format,
    speed,
    subtitle_format,
    video_codec,
)
from reelmill_server.api.image_requests import AnyImage, images
from reelmill_server.errors import AccessDenied, InvalidArgument, ReelmillError, Violation
from reelmill_server.model.request import SegmentFormat
from reelmill_server.plan.codec.audio_encoders import AUDIO_ENCODERS
from reelmill_server.plan.codec.containers import CONTAINERS, fitting
from reelmill_server.plan.codec.video_encoders import LIBAV_CODEC
from reelmill_server.plan.output.naming import package_problems, unknown_variables
from reelmill_server.plan.output.packaging import CONTAINERS_OF, LIST_EXTENSION
from reelmill_server.storage.base import Storage
from reelmill_server.uris import Resource

_AUDIO_ONLY = frozenset(name for name, container in CONTAINERS.items() if container.audio_only)


_TEXT_ONLY = "content font_name font_size font_color font_apha border_width border_color".split()


_FILE_ONLY = ("uri", "width", "height")


def uri_problems(uri: str, field: str, check_uri: Callable[[str], None]) -> Iterator[Violation | ReelmillError]:
    """Yield storage's objections to a URI."""
    if not uri:
        return  # the protos' rules report this
    try:
        check_uri(uri)
    except InvalidArgument as error:
        yield Violation(field, error.message)
    except AccessDenied as error:
        yield AccessDenied(f"{field}: {error.message}")


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
    yield from _output_uri(target.uri, f"{field}.uri", tags, storage)
    if target.subtitle.HasField("extract_subtitle"):
        yield from _extract(target, f"{field}.subtitle.extract_subtitle", tags, storage)
    elif not target.uri and not target.container and not any(images(target)):
        yield Violation(field, "has no output: set uri and container, subtitle.extract_subtitle, or image")
    for kind, number, entry in images(target):
        yield from _image(entry, f"{field}.image.{kind}s[{number}]", tags, storage)
    if target.HasField("segment") and target.uri:
        yield from _segment(target, field, tags)
    yield from _streams(target, field)
    yield from _extras(target, field)


def _extras(target: target_pb2.Target, field: str) -> Iterator[Violation]:
    """Yield data streams and cover art that the output cannot contain."""
    target_container = container_name(target.container)
    for name, kind, label in (("data", "data", "data streams"), ("attached_picture", "picture", "cover art")):
        if not getattr(target, name).stream:
            continue
        alternatives = [container.name for container in CONTAINERS.values() if getattr(container, kind)]
        if target.HasField("segment"):
            yield Violation(f"{field}.{name}.stream", f"segmented outputs cannot contain {label}: remove it, or remove segment")
        elif target_container not in alternatives:
            reason = f"container {target_container} cannot contain {label}" if target_container else f"{label} need a container"
            yield Violation(f"{field}.{name}.stream", f"{reason} (supported by {', '.join(alternatives)})")


def group_problems(
    group: target_pb2.TargetGroup, field: str, tags: set[str], storage: Storage
) -> Iterator[Violation | ReelmillError]:
    """Yield what is wrong with a group and the URIs of its members."""
    yield from _output_uri(group.uri, f"{field}.uri", tags, storage)
    if "{index}" in group.uri:
        yield Violation(f"{field}.uri", "{index} numbers segments, and a master playlist has none")
    for index, member in enumerate(group.targets):
        path = f"{field}.targets[{index}]"
        yield from _output_uri(member.uri, f"{path}.uri", tags, storage)
        if member.segment.format == target_pb2.SEGMENT_FORMAT_DASH:
            yield Violation(f"{path}.segment.format", "must be HLS: a group is an HLS master playlist")
        else:
            yield from _list_name(member.uri, SegmentFormat.HLS, f"{path}.uri", tags)
        if "{" not in group.uri + member.uri and not Resource.of(group.uri).holds(Resource.of(member.uri)):
            yield Violation(f"{path}.uri", f"must be in the folder of the master playlist {group.uri} or below it")
        yield from _group_subtitles(group, index, field, tags, storage)
        yield from _streams(member, path)


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
    yield from _extract(member, extract_path, tags, storage)
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


def _output_uri(uri: str, field: str, tags: set[str], storage: Storage) -> Iterator[Violation | ReelmillError]:
    """Yield what is wrong with the URI template of an output."""
    unknown = unknown_variables(uri, dict.fromkeys(tags))
    for problem in unknown:
        yield Violation(field, problem)
    if not unknown:
        yield from uri_problems(uri, field, storage.check_writable)


def _extract(target: AnyTarget, field: str, tags: set[str], storage: Storage) -> Iterator[Violation | ReelmillError]:
    extract = target.subtitle.extract_subtitle
    if not extract.format:
        yield Violation(f"{field}.format", "is required")
    if not extract.uri:
        yield Violation(f"{field}.uri", "is required")
    yield from _output_uri(extract.uri, f"{field}.uri", tags, storage)


def _image(entry: AnyImage, field: str, tags: set[str], storage: Storage) -> Iterator[Violation | ReelmillError]:
    yield from _output_uri(entry.uri, f"{field}.uri", tags, storage)
    if isinstance(entry, image_pb2.Animation):
        return
    if entry.threshold and entry.mode != image_pb2.FRAME_MODE_DHASH:
        yield Violation(f"{field}.threshold", "is only allowed with mode DHASH: leave it out")
    if not isinstance(entry, image_pb2.Sprite):
        return
    for name in ("web_vtt_uri", "image_playlist_uri"):
        if getattr(entry, name):
            yield from _output_uri(getattr(entry, name), f"{field}.{name}", tags, storage)
    if entry.image_playlist_uri:
        yield from _image_playlist(entry, field)


def _image_playlist(sprite: image_pb2.Sprite, field: str) -> Iterator[Violation]:
    """Yield what an image playlist cannot express: gaps between tiles, and images at irregular intervals."""
    for name in ("pad", "margin"):
        if not sprite.HasField(name) or getattr(sprite, name):
            yield Violation(f"{field}.{name}", "must be 0 with image_playlist_uri: the tiles of an image playlist have no gaps")
    evenly = sprite.interval > 0 and sprite.mode in (image_pb2.FRAME_MODE_UNSPECIFIED, image_pb2.FRAME_MODE_INTERVAL)
    if not evenly and sprite.mode != image_pb2.FRAME_MODE_AVERAGE:
        yield Violation(f"{field}.mode", "must be INTERVAL with an interval, or AVERAGE, with image_playlist_uri")
    if sprite.format != image_pb2.IMAGE_FORMAT_JPG:
        yield Violation(f"{field}.format", "must be JPG with image_playlist_uri")


def _segment(target: target_pb2.Target, field: str, tags: set[str]) -> Iterator[Violation]:
    """Yield contradictions in a target with segments."""
    name = segment_format(target.segment.format)
    if not name:
        yield Violation(f"{field}.segment.format", "is required: HLS or DASH")
        return
    form, container = SegmentFormat(name), container_name(target.container)
    if container not in CONTAINERS_OF[form]:
        containers = " or ".join(CONTAINERS_OF[form])
        yield Violation(f"{field}.container", f"must be {containers} for {form} segments, not {container}")
    if form is SegmentFormat.DASH and target.segment.start_number:
        yield Violation(f"{field}.segment.start_number", "is only allowed with HLS: leave it out")
    yield from _list_name(target.uri, form, f"{field}.uri", tags)


def _list_name(uri: str, form: SegmentFormat, field: str, tags: set[str]) -> Iterator[Violation]:
    if not unknown_variables(uri, dict.fromkeys(tags)):
        for problem in package_problems(uri, LIST_EXTENSION[form]):
            yield Violation(field, problem)


def _streams(target: AnyTarget, field: str) -> Iterator[Violation]:
    container = CONTAINERS.get(container_name(target.container))
    if container is None:
        return
    if target.HasField("video") and target.video.HasField("transcode_video") and not target.video.disable_video:
        yield from _video(target.video.transcode_video, f"{field}.video.transcode_video", container.name)
    if target.HasField("audio") and target.audio.HasField("transcode_audio") and not target.audio.disable_audio:
        yield from _audio(target.audio.transcode_audio, f"{field}.audio.transcode_audio", container.name)


def _copies(
    request: media_convert_service_pb2.CreateMediaConvertTaskRequest, target: AnyTarget, field: str
) -> Iterator[Violation]:
    """Yield impossible stream copies: of several sources unless requested explicitly, and of audio at another speed."""
    concatenated = [source for source in request.sources if not source.attached]
    kept = {
        "video": any(not source.disable_video for source in concatenated) and not _none(target, "video"),
        "audio": any(not source.disable_audio for source in concatenated) and not _none(target, "audio"),
    }
    if container_name(target.container) in _AUDIO_ONLY and not target.HasField("video"):
        kept["video"] = False
    for kind, present in kept.items():
        if present and len(concatenated) > 1 and getattr(getattr(target, kind), f"transcode_{kind}").codec == 0:
            expected = (
                "several sources cannot be concatenated by the default stream copy: set a codec, or COPY if they are alike"
            )
            yield Violation(f"{field}.{kind}.transcode_{kind}.codec", expected)
    if speed(target) != 1 and kept["audio"] and audio_codec(target.audio.transcode_audio.codec) == "copy":
        yield Violation(
            f"{field}.speed", "copied audio cannot be slowed down: set an audio codec other than copy, or disable_audio"
        )
    filters = target.video.filter_video
    if target.HasField("speed") and filters.HasField("speed") and target.speed != filters.speed:
        yield Violation(f"{field}.video.filter_video.speed", "must equal the target's speed if both are set")


def _none(target: AnyTarget, kind: str) -> bool:
    """Return whether the target explicitly has no stream of a kind."""
    if not target.HasField(kind):
        return False
    message = getattr(target, kind)
    return bool(getattr(message, f"disable_{kind}")) or not message.HasField(f"transcode_{kind}")


def _video(transcode: video_pb2.TranscodeVideo, field: str, container_key: str) -> Iterator[Violation]:
    container = CONTAINERS[container_key]
    codec = video_codec(transcode.codec)
    if container.audio_only:
        yield Violation(field, f"container {container.name} cannot contain video: leave out video")
    elif codec in LIBAV_CODEC and not container.holds("video", LIBAV_CODEC[codec]):
        alternatives = ", ".join(fitting("video", LIBAV_CODEC[codec]))
        yield Violation(f"{field}.codec", f"container {container.name} does not support {codec} (supported by {alternatives})")
    if LIBAV_CODEC.get(codec) in container.unordered and transcode.b_frames > 0:
        expected = f"must be 0 or absent: container {container.name} has one timestamp per frame and cannot contain B-frames"
        yield Violation(f"{field}.b_frames", expected)
    if codec == "vp9" and transcode.pixel_format == video_pb2.PIXEL_FORMAT_YUVA420P and not container.alpha:
        alternatives = ", ".join(other.name for other in CONTAINERS.values() if other.alpha)
        yield Violation(
            f"{field}.pixel_format", f"container {container.name} does not support alpha (supported by {alternatives})"
        )
    if codec in ("vp9", "av1"):
        for name, present in (("b_frames", transcode.b_frames > 0), ("refs", transcode.HasField("refs"))):
            if present:
                yield Violation(f"{field}.{name}", f"codec {codec.upper()} has no such setting: leave it out")


def _audio(transcode: audio_pb2.TranscodeAudio, field: str, container_key: str) -> Iterator[Violation]:
    container = CONTAINERS[container_key]
    encoder = AUDIO_ENCODERS.get(audio_codec(transcode.codec))
    if encoder is None:
        return
    if not container.holds("audio", encoder.codec):
        alternatives = ", ".join(fitting("audio", encoder.codec))
        yield Violation(
            f"{field}.codec", f"container {container.name} does not support {encoder.codec} (supported by {alternatives})"
        )
    if encoder.lossless:
        for name in ("bitrate", "quality"):
            if transcode.HasField(name):
                yield Violation(f"{field}.{name}", f"codec {encoder.codec} is lossless: leave it out")
    elif encoder.max_bitrate and transcode.bitrate > encoder.max_bitrate:
        yield Violation(f"{field}.bitrate", f"codec {encoder.codec} supports at most {encoder.max_bitrate} bit/s")
    if encoder.codec == "amr_nb" and transcode.HasField("sample_rate") and transcode.sample_rate not in encoder.sample_rates:
        yield Violation(f"{field}.sample_rate", "must be 8000 for AMR: 16000 is AMR-WB, for which libav has no encoder")


def media_problems(
    request: media_convert_service_pb2.CreateMediaConvertTaskRequest, target: AnyTarget, field: str, storage: Storage
) -> Iterator[Violation | ReelmillError]:
    """Yield what is wrong with the media file of a target."""
    yield from _copies(request, target, field)
    if target.measure_vmaf and (_none(target, "video") or video_codec(target.video.transcode_video.codec) == "copy"):
        expected = "needs encoded video: set video.transcode_video.codec to a codec other than COPY, or leave this out"
        yield Violation(f"{field}.measure_vmaf", expected)
    for index, watermark in enumerate(target.video.filter_video.watermarks):
        yield from _watermark(watermark, f"{field}.video.filter_video.watermarks[{index}]", storage)
    if target.video.filter_video.HasField("desensitization"):
        yield from _desensitization(target, f"{field}.video.filter_video.desensitization")
