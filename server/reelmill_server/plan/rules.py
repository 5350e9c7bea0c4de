"""Which codec, container and option go together: asked by the API of a request, and by the planner before it relies on it.

Fields are paths in the request. What depends on the source is not here, but where streams are planned.
"""

from collections.abc import Iterable, Iterator, Mapping

from reelmill_server.errors import InvalidArgument, Violation
from reelmill_server.model.request import COPY, AudioSpec, Hardware, SegmentFormat, SegmentSpec, TargetSpec, VideoSpec
from reelmill_server.plan.codec.audio_encoders import AUDIO_ENCODERS
from reelmill_server.plan.codec.containers import CONTAINERS, Container, fitting
from reelmill_server.plan.codec.video_encoders import LIBAV_CODEC, TWO_PASS_CODECS, WITHOUT_REFERENCES

SEGMENT_CONTAINERS: Mapping[SegmentFormat, tuple[str, ...]] = {
    SegmentFormat.HLS: ("ts", "mp4"),
    SegmentFormat.DASH: ("mp4",),
}
"""The containers of segments, by format."""
_ALPHA_FORMAT = "yuva420p"
_EXTRAS = (("data", "data", "data streams"), ("attached_picture", "picture", "cover art"))


def check(problems: Iterable[Violation]) -> None:
    """Raise InvalidArgument with all `problems`, if there are any."""
    violations = list(problems)
    if violations:
        raise InvalidArgument(violations=violations)


def target_problems(target: TargetSpec, field: str) -> Iterator[Violation]:
    """Yield what does not go together in a target, whatever the sources are; `field` is its path."""
    container = CONTAINERS.get(target.container)
    if container is not None:
        if target.video is not None and target.video_asked:
            yield from _video(target.video, container, f"{field}.video.transcode_video")
        if target.audio is not None:
            yield from _audio(target.audio, container, f"{field}.audio.transcode_audio")
            yield from _loudness(target.audio, f"{field}.audio.filter_audio.loudness")
            yield from _ducking(target.audio, f"{field}.audio.filter_audio.ducking")
        if target.segment is not None:
            yield from _segment(target.segment, target.container, field)
    yield from _measures(target, field)
    yield from _extras(target, field)


def _measures(target: TargetSpec, field: str) -> Iterator[Violation]:
    """Yield what cannot be measured of a target."""
    if not target.container:
        expected, names = "needs a media file: set uri and container, or leave this out", ("min_vmaf", "max_size_ratio")
    elif target.video is None or target.video.codec == COPY:
        expected = "needs encoded video: set video.transcode_video.codec to a codec other than COPY, or leave this out"
        names = ("measure_vmaf", "min_vmaf")
    else:
        return
    for name in names:
        if getattr(target, name):
            yield Violation(f"{field}.{name}", expected)


def speed_problems(target: TargetSpec, field: str) -> Iterator[Violation]:
    """Yield what is wrong with the speed of a target that has audio."""
    if target.speed != 1 and target.audio is not None and target.audio.codec == COPY:
        expected = "copied audio cannot be slowed down: set an audio codec other than copy, or disable_audio"
        yield Violation(f"{field}.speed", expected)


def _video(spec: VideoSpec, container: Container, field: str) -> Iterator[Violation]:
    codec = LIBAV_CODEC.get(spec.codec, "")
    if container.audio_only:
        yield Violation(field, f"container {container.name} cannot contain video: leave out video")
    elif codec:
        yield from _codec("video", codec, spec.codec, container, f"{field}.codec")
    if codec in container.unordered and spec.b_frames:
        expected = f"must be 0 or absent: container {container.name} has one timestamp per frame and cannot contain B-frames"
        yield Violation(f"{field}.b_frames", expected)
    if spec.codec == "vp9" and spec.pixel_format == _ALPHA_FORMAT and not container.alpha:
        alternatives = ", ".join(other.name for other in CONTAINERS.values() if other.alpha)
        expected = f"container {container.name} does not support alpha (supported by {alternatives})"
        yield Violation(f"{field}.pixel_format", expected)
    if codec and spec.passes > 1:
        yield from _two_passes(spec, f"{field}.passes")
    if codec and spec.quality:
        yield from _quality(spec, f"{field}.quality_target")
    if spec.codec in WITHOUT_REFERENCES:
        for name, present in (("b_frames", bool(spec.b_frames)), ("refs", spec.refs is not None)):
            if present:
                yield Violation(f"{field}.{name}", f"codec {spec.codec.upper()} has no such setting: leave it out")


def _quality(spec: VideoSpec, field: str) -> Iterator[Violation]:
    """Yield why no CRF can be searched for video."""
    if spec.hardware is Hardware.REQUIRED:
        yield Violation(field, "is not possible where hardware is REQUIRED: no CRF is searched for hardware encoders")


def _two_passes(spec: VideoSpec, field: str) -> Iterator[Violation]:
    """Yield why video cannot be encoded in two passes."""
    if spec.codec not in TWO_PASS_CODECS:
        those = ", ".join(TWO_PASS_CODECS)
        yield Violation(
            field, f"must be 1 for {spec.codec.upper()}: libav gives no statistics of its first pass ({those} have two passes)"
        )
    elif spec.hardware is Hardware.REQUIRED:
        yield Violation(field, "must be 1 where hardware is REQUIRED: hardware encoders have no first pass")


def _audio(spec: AudioSpec, container: Container, field: str) -> Iterator[Violation]:
    encoder = AUDIO_ENCODERS.get(spec.codec)
    if encoder is None:
        return
    yield from _codec("audio", encoder.codec, encoder.codec, container, f"{field}.codec")
    if encoder.lossless:
        for name, value in (("bitrate", spec.bitrate), ("quality", spec.quality)):
            if value is not None:
                yield Violation(f"{field}.{name}", f"codec {encoder.codec} is lossless: leave it out")
    elif encoder.max_bitrate and (spec.bitrate or 0) > encoder.max_bitrate:
        yield Violation(f"{field}.bitrate", f"codec {encoder.codec} supports at most {encoder.max_bitrate} bit/s")
    if spec.codec == "amr" and spec.sample_rate is not None and spec.sample_rate not in encoder.sample_rates:
        yield Violation(f"{field}.sample_rate", "must be 8000 for AMR: 16000 is AMR-WB, for which libav has no encoder")


def _loudness(spec: AudioSpec, field: str) -> Iterator[Violation]:
    if spec.loudness is not None and spec.codec == COPY:
        yield Violation(
            field, "copied audio is neither measured nor changed: set an audio codec other than COPY, or leave it out"
        )


def _ducking(spec: AudioSpec, field: str) -> Iterator[Violation]:
    if spec.ducking is not None and (spec.codec == COPY or not spec.mixing):
        yield Violation(
            field, "needs mixing, and an audio codec other than COPY: without them the voice is a stream of its own"
        )


def _codec(kind: str, codec: str, name: str, container: Container, field: str) -> Iterator[Violation]:
    """Yield that a container does not hold a codec (libav's name), which users know by `name`."""
    if not container.holds(kind, codec):
        alternatives = ", ".join(fitting(kind, codec))
        yield Violation(field, f"container {container.name} does not support {name} (supported by {alternatives})")


def _segment(segment: SegmentSpec, container: str, field: str) -> Iterator[Violation]:
    containers = SEGMENT_CONTAINERS[segment.format]
    if container not in containers:
        expected = f"must be {' or '.join(containers)} for {segment.format} segments, not {container}"
        yield Violation(f"{field}.container", expected)
    if segment.format is SegmentFormat.DASH and segment.start_number:
        yield Violation(f"{field}.segment.start_number", "is only allowed with HLS: leave it out")


def _extras(target: TargetSpec, field: str) -> Iterator[Violation]:
    """Yield data streams and cover art that the output cannot contain."""
    numbers = {"data": target.data_streams, "attached_picture": target.picture_streams}
    for name, kind, label in _EXTRAS:
        if not numbers[name]:
            continue
        alternatives = [container.name for container in CONTAINERS.values() if getattr(container, kind)]
        if target.segment is not None:
            yield Violation(f"{field}.{name}.stream", f"segmented outputs cannot contain {label}: remove it, or remove segment")
        elif target.container not in alternatives:
            reason = f"container {target.container} cannot contain {label}" if target.container else f"{label} need a container"
            yield Violation(f"{field}.{name}.stream", f"{reason} (supported by {', '.join(alternatives)})")
