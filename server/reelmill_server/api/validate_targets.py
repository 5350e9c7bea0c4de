"""Checks targets and groups: what does not go together, and what their containers do not hold."""

from collections.abc import Callable, Iterator

from reelmill.v1 import audio_pb2, image_pb2, media_convert_service_pb2, target_pb2, video_pb2
from reelmill_server.api.image_requests import AnyImage, images
from reelmill_server.api.words import (
    AnyTarget,
    audio_codec,
    color,
    container_name,
    segment_format,
    speed,
    subtitle_format,
    video_codec,
)
from reelmill_server.errors import AccessDenied, InvalidArgument, ReelmillError, Violation
from reelmill_server.model.request import SegmentFormat
from reelmill_server.plan.codec.audio_encoders import AUDIO_ENCODERS
from reelmill_server.plan.codec.containers import CONTAINERS, fitting
from reelmill_server.plan.codec.video_encoders import LIBAV_CODEC
from reelmill_server.plan.output.naming import package_problems, unknown_variables
from reelmill_server.plan.output.packaging import CONTAINERS_OF, LIST_EXTENSION, relative
from reelmill_server.storage.base import Storage

_AUDIO_ONLY = frozenset(name for name, container in CONTAINERS.items() if container.audio_only)


_TEXT_ONLY = "content font_name font_size font_color font_apha border_width border_color".split()


_FILE_ONLY = ("uri", "width", "height")


def uri_problems(uri: str, field: str, check_uri: Callable[[str], None]) -> Iterator[Violation | ReelmillError]:
    """What storage objects to in a URI."""
    if not uri:
        return  # the protos' rules say so already
    try:
        check_uri(uri)
    except InvalidArgument as error:
        yield Violation(field, error.message)
    except AccessDenied as error:
        yield AccessDenied(f"{field}: {error.message}")


def _desensitization(target: AnyTarget, field: str) -> Iterator[Violation]:
    asked = target.video.filter_video.desensitization
    if not asked.HasField("face") and not asked.HasField("license_plate"):
        yield Violation(field, "names nothing to blur: set face or license_plate")
    # What is copied shows what was to be hidden: that is refused, though copy ignores other settings.
    if target.video.HasField("transcode_video") and video_codec(target.video.transcode_video.codec) == "copy":
        yield Violation(field, "copied video cannot be blurred: set a video codec other than copy")


def _watermark(mark: video_pb2.Watermark, field: str, storage: Storage) -> Iterator[Violation | ReelmillError]:
    of_file = mark.type == video_pb2.WATERMARK_TYPE_FILE
    for descriptor, _ in mark.ListFields():
        if descriptor.name in (_TEXT_ONLY if of_file else _FILE_ONLY):
            yield Violation(f"{field}.{descriptor.name}", f"is of {'TEXT' if of_file else 'FILE'} only: leave it out")
    for name in ("font_color", "border_color"):
        if getattr(mark, name) and not color(getattr(mark, name)):
            yield Violation(f"{field}.{name}", "must be #RRGGBB or a colour's name in CSS, such as red")
    if of_file and not mark.uri:
        yield Violation(f"{field}.uri", "is required")
    elif of_file:
        yield from uri_problems(mark.uri, f"{field}.uri", storage.check_readable)


def target_problems(
    target: target_pb2.Target, field: str, tags: set[str], storage: Storage
) -> Iterator[Violation | ReelmillError]:
    """What is wrong with a target beside its media file."""
    yield from _output_uri(target.uri, f"{field}.uri", tags, storage)
    if target.subtitle.HasField("extract_subtitle"):
        yield from _extract(target, f"{field}.subtitle.extract_subtitle", tags, storage)
    elif not target.uri and not target.container and not any(images(target)):
        yield Violation(field, "makes nothing: set uri and container, subtitle.extract_subtitle, or image")
    for kind, number, entry in images(target):
        yield from _image(entry, f"{field}.image.{kind}s[{number}]", tags, storage)
    if target.HasField("segment") and target.uri:
        yield from _segment(target, field, tags)
    yield from _streams(target, field)
    yield from _extras(target, field)


def _extras(target: target_pb2.Target, field: str) -> Iterator[Violation]:
    """Data streams and cover pictures where there is no place for them."""
    word = container_name(target.container)
    for name, kind, what in (("data", "data", "data streams"), ("attached_picture", "picture", "cover pictures")):
        if not getattr(target, name).stream:
            continue
        would = [container.name for container in CONTAINERS.values() if getattr(container, kind)]
        if target.HasField("segment"):
            yield Violation(f"{field}.{name}.stream", f"segments hold no {what}: leave it out, or leave segment out")
        elif word not in would:
            here = f"container {word} holds" if word else "without a container there are"
            yield Violation(f"{field}.{name}.stream", f"{here} no {what} ({', '.join(would)} would)")


def group_problems(
    group: target_pb2.TargetGroup, field: str, tags: set[str], storage: Storage
) -> Iterator[Violation | ReelmillError]:
    """What is wrong with a group and the names of its members."""
    yield from _output_uri(group.uri, f"{field}.uri", tags, storage)
    if "{index}" in group.uri:
        yield Violation(f"{field}.uri", "{index} numbers segments: a master playlist has none")
    for index, member in enumerate(group.targets):
        here = f"{field}.targets[{index}]"
        yield from _output_uri(member.uri, f"{here}.uri", tags, storage)
        if member.segment.format == target_pb2.SEGMENT_FORMAT_DASH:
            yield Violation(f"{here}.segment.format", "must be HLS: a group is a master playlist of HLS")
        else:
            yield from _list_name(member.uri, SegmentFormat.HLS, f"{here}.uri", tags)
        if "{" not in group.uri + member.uri and relative(group.uri, member.uri) is None:
            yield Violation(f"{here}.uri", f"must lie in the folder of the master playlist {group.uri} or below")
        yield from _group_subtitles(group, index, field, tags, storage)
        yield from _streams(member, here)


def _group_subtitles(
    group: target_pb2.TargetGroup, index: int, field: str, tags: set[str], storage: Storage
) -> Iterator[Violation | ReelmillError]:
    """What is wrong with the subtitles that a member packages for its group."""
    member, here = group.targets[index], f"{field}.targets[{index}].subtitle"
    if not member.subtitle.HasField("extract_subtitle"):
        if member.HasField("subtitle") and not member.subtitle.disable_subtitle:
            yield Violation(here, "segments hold no subtitles: set extract_subtitle, which puts them beside the variants")
        return
    extract, path = member.subtitle.extract_subtitle, f"{here}.extract_subtitle"
    yield from _extract(member, path, tags, storage)
    if extract.format and subtitle_format(extract.format) != "vtt":
        yield Violation(f"{path}.format", "must be VTT: a player takes no other subtitles")
    if extract.uri and "{" not in group.uri + extract.uri and relative(group.uri, extract.uri) is None:
        yield Violation(f"{path}.uri", f"must lie in the folder of the master playlist {group.uri} or below")
    first = next(other for other in group.targets if other.subtitle.HasField("extract_subtitle"))
    if first.subtitle != member.subtitle:
        yield Violation(here, "a group packages its subtitles once: leave it out, or make it the same in all targets")
    if any(other.container != member.container for other in group.targets):
        expected = "must be the same in all targets of a group with subtitles: MP4 and TS have different clocks"
        yield Violation(f"{field}.targets[{index}].container", expected)


def _output_uri(uri: str, field: str, tags: set[str], storage: Storage) -> Iterator[Violation | ReelmillError]:
    """What is wrong with the template of an output's URI."""
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
        yield Violation(f"{field}.threshold", "is of mode DHASH only: leave it out")
    if not isinstance(entry, image_pb2.Sprite):
        return
    for name in ("web_vtt_uri", "image_playlist_uri"):
        if getattr(entry, name):
            yield from _output_uri(getattr(entry, name), f"{field}.{name}", tags, storage)
    if entry.image_playlist_uri:
        yield from _image_playlist(entry, field)


def _image_playlist(sprite: image_pb2.Sprite, field: str) -> Iterator[Violation]:
    """What such a playlist cannot say: gaps between pictures, and pictures that are not evenly spread."""
    for name in ("pad", "margin"):
        if not sprite.HasField(name) or getattr(sprite, name):
            yield Violation(f"{field}.{name}", "must be 0 with image_playlist_uri: its tiles have no gaps")
    evenly = sprite.interval > 0 and sprite.mode in (image_pb2.FRAME_MODE_UNSPECIFIED, image_pb2.FRAME_MODE_INTERVAL)
    if not evenly and sprite.mode != image_pb2.FRAME_MODE_AVERAGE:
        yield Violation(f"{field}.mode", "must be INTERVAL with an interval, or AVERAGE, with image_playlist_uri")
    if sprite.format != image_pb2.IMAGE_FORMAT_JPG:
        yield Violation(f"{field}.format", "must be JPG with image_playlist_uri")


def _segment(target: target_pb2.Target, field: str, tags: set[str]) -> Iterator[Violation]:
    """What does not go together in a target with segments."""
    word = segment_format(target.segment.format)
    if not word:
        yield Violation(f"{field}.segment.format", "is required: HLS or DASH")
        return
    form, container = SegmentFormat(word), container_name(target.container)
    if container not in CONTAINERS_OF[form]:
        takes = " or ".join(CONTAINERS_OF[form])
        yield Violation(f"{field}.container", f"{form} takes {takes} in segments, not {container}")
    if form is SegmentFormat.DASH and target.segment.start_number:
        yield Violation(f"{field}.segment.start_number", "is of HLS only: leave it out")
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
    """Stream copies that are not possible: of several sources unless asked for by name, and of sound at another speed."""
    main = [source for source in request.sources if not source.attached]
    kept = {
        "video": any(not source.disable_video for source in main) and not _none(target, "video"),
        "audio": any(not source.disable_audio for source in main) and not _none(target, "audio"),
    }
    if container_name(target.container) in _AUDIO_ONLY and not target.HasField("video"):
        kept["video"] = False
    for kind, present in kept.items():
        if present and len(main) > 1 and getattr(getattr(target, kind), f"transcode_{kind}").codec == 0:
            expected = "several sources cannot follow each other in a stream copy: set a codec, or COPY if they are alike"
            yield Violation(f"{field}.{kind}.transcode_{kind}.codec", expected)
    if speed(target) != 1 and kept["audio"] and audio_codec(target.audio.transcode_audio.codec) == "copy":
        yield Violation(
            f"{field}.speed", "copied audio cannot be slowed down: set an audio codec other than copy, or disable_audio"
        )
    filtered = target.video.filter_video
    if target.HasField("speed") and filtered.HasField("speed") and target.speed != filtered.speed:
        yield Violation(f"{field}.video.filter_video.speed", "must be the same as the target's speed when both are set")


def _none(target: AnyTarget, kind: str) -> bool:
    """Whether the target says that it has no stream of a kind."""
    if not target.HasField(kind):
        return False
    message = getattr(target, kind)
    return bool(getattr(message, f"disable_{kind}")) or not message.HasField(f"transcode_{kind}")


def _video(transcode: video_pb2.TranscodeVideo, field: str, container_word: str) -> Iterator[Violation]:
    container = CONTAINERS[container_word]
    codec = video_codec(transcode.codec)
    if container.audio_only:
        yield Violation(field, f"container {container.name} holds no video: leave video out")
    elif codec in LIBAV_CODEC and not container.holds("video", LIBAV_CODEC[codec]):
        where = ", ".join(fitting("video", LIBAV_CODEC[codec]))
        yield Violation(f"{field}.codec", f"container {container.name} does not hold {codec} ({where} would)")
    if LIBAV_CODEC.get(codec) in container.unordered and transcode.b_frames > 0:
        expected = f"must be 0 or absent: container {container.name} has one time per picture, which B-frames do not fit"
        yield Violation(f"{field}.b_frames", expected)
    if codec == "vp9" and transcode.pixel_format == video_pb2.PIXEL_FORMAT_YUVA420P and not container.alpha:
        where = ", ".join(other.name for other in CONTAINERS.values() if other.alpha)
        yield Violation(f"{field}.pixel_format", f"container {container.name} does not keep alpha ({where} would)")
    if codec in ("vp9", "av1"):
        for name, given in (("b_frames", transcode.b_frames > 0), ("refs", transcode.HasField("refs"))):
            if given:
                yield Violation(f"{field}.{name}", f"codec {codec.upper()} has no such setting: leave it out")


def _audio(transcode: audio_pb2.TranscodeAudio, field: str, container_word: str) -> Iterator[Violation]:
    container = CONTAINERS[container_word]
    encoder = AUDIO_ENCODERS.get(audio_codec(transcode.codec))
    if encoder is None:
        return
    if not container.holds("audio", encoder.codec):
        where = ", ".join(fitting("audio", encoder.codec))
        yield Violation(f"{field}.codec", f"container {container.name} does not hold {encoder.codec} ({where} would)")
    if encoder.lossless:
        for name in ("bitrate", "quality"):
            if transcode.HasField(name):
                yield Violation(f"{field}.{name}", f"codec {encoder.codec} is lossless: leave it out")
    elif encoder.max_bitrate and transcode.bitrate > encoder.max_bitrate:
        yield Violation(f"{field}.bitrate", f"codec {encoder.codec} takes at most {encoder.max_bitrate} bit/s")
    if encoder.codec == "amr_nb" and transcode.HasField("sample_rate") and transcode.sample_rate not in encoder.sample_rates:
        yield Violation(f"{field}.sample_rate", "must be 8000 for AMR here: 16000 is AMR-WB, for which libav has no encoder")


def media_problems(
    request: media_convert_service_pb2.CreateMediaConvertTaskRequest, target: AnyTarget, field: str, storage: Storage
) -> Iterator[Violation | ReelmillError]:
    """What is wrong with the media file of a target that makes one."""
    yield from _copies(request, target, field)
    if target.measure_vmaf and (_none(target, "video") or video_codec(target.video.transcode_video.codec) == "copy"):
        expected = "measures what is encoded: set video.transcode_video.codec to another than COPY, or leave this out"
        yield Violation(f"{field}.measure_vmaf", expected)
    for index, mark in enumerate(target.video.filter_video.watermarks):
        yield from _watermark(mark, f"{field}.video.filter_video.watermarks[{index}]", storage)
    if target.video.filter_video.HasField("desensitization"):
        yield from _desensitization(target, f"{field}.video.filter_video.desensitization")
