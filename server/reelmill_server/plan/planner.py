"""Makes the plan of a task."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from reelmill_server.errors import InvalidArgument, InvalidMedia, UnsupportedFormat, Violation
from reelmill_server.model.media_info import MediaInfo, StreamInfo
from reelmill_server.model.plan import COPY, Plan, StreamPlan, TargetPlan
from reelmill_server.model.request import ConvertRequest, SourceSpec, TargetSpec
from reelmill_server.plan import audio, fit, video
from reelmill_server.plan.audio_encoders import AUDIO_ENCODERS
from reelmill_server.plan.clock import Clock
from reelmill_server.plan.containers import CONTAINERS, Container, fitting
from reelmill_server.plan.encoders import LIBAV_CODEC
from reelmill_server.plan.naming import OutputName, expand, source_variables
from reelmill_server.plan.situation import Situation

COPY_TAGS: Mapping[tuple[str, str], str] = {(muxer, "hevc"): "hvc1" for muxer in ("mp4", "mov")}
"""Codec tags that players want where libav would write another one: Apple's refuse `hev1`."""


def make_plan(request: ConvertRequest, situation: Situation) -> Plan:
    """What will run for `request`.

    Raises InvalidArgument, InvalidMedia, UnsupportedFormat or HardwareUnavailable, naming the target, when it cannot.
    """
    planned = [_plan_target(request, target, situation) for target in request.targets]
    targets = tuple(target for target, _ in planned)
    warnings = [warning for _, notes in planned for warning in notes]
    shared = [uri for uri, count in Counter(target.uri for target in targets).items() if count > 1]
    warnings += [f"several targets go to {uri}: the last one stays" for uri in shared]
    return Plan(targets, tuple(dict.fromkeys(warnings)))


def _plan_target(request: ConvertRequest, target: TargetSpec, situation: Situation) -> tuple[TargetPlan, list[str]]:
    source, info = request.sources[0], situation.infos[0]
    clock = Clock.of(source, info)
    container = CONTAINERS[target.container]
    warnings: list[str] = []
    chosen = (
        _video(target, source, info, clock, container, situation, warnings),
        _audio(target, source, info, clock, container, situation, warnings),
        *_subtitles(target, info, container, warnings),
    )
    streams = [stream for stream in chosen if stream is not None]
    if not any(stream.type in ("video", "audio") for stream in streams):
        raise InvalidMedia(f"targets[{target.index}]: the source has no stream that this target takes")
    copied = [stream.type for stream in streams if stream.encoder == COPY]
    if source.start_us and "video" in copied:
        warnings.append(f"targets[{target.index}]: copied video begins at the key frame at or before the asked start")
    name = OutputName(container.extension, _resolution(streams))
    uri = expand(target.uri, name, source_variables(source.uri, situation.modified_us[0]), request.tags, request.created_us)
    plan = TargetPlan(
        index=target.index,
        uri=uri,
        container=container.name,
        muxer=container.muxer,
        start_us=clock.start_us,
        end_us=clock.end_us,
        origin_us=clock.origin_us,
        duration_us=clock.duration_us,
        streams=tuple(streams),
        muxer_options=container.options,
        keep_metadata=not target.strip_metadata,
    )
    return plan, warnings


def _resolution(streams: Sequence[StreamPlan]) -> str:
    return next((f"{stream.video.width}x{stream.video.height}" for stream in streams if stream.video), "")


def _copied(kind: str, stream: StreamInfo, container: Container, field: str) -> StreamPlan:
    """A stream copy; raises UnsupportedFormat when the container does not hold the codec, or nobody knows it."""
    if not stream.codec:
        raise UnsupportedFormat(f"{field}: the source's {kind} is in a codec that is not known here")
    if not container.holds(kind, stream.codec):
        where = ", ".join(fitting(kind, stream.codec)) or "no container here"
        raise UnsupportedFormat(
            f"{field}: the source's {kind} is {stream.codec}, which {container.name} does not hold ({where} would): "
            + ("choose a codec other than copy" if _encodable(kind, container) else f"no codec can be chosen, leave {kind} out")
        )
    return StreamPlan(
        type=kind,
        source_stream=stream.index,
        codec=stream.codec,
        encoder=COPY,
        reason="stream copy",
        codec_tag=COPY_TAGS.get((container.muxer, stream.codec), ""),
    )


def _encodable(kind: str, container: Container) -> bool:
    """Whether any codec that can be encoded fits."""
    codecs = LIBAV_CODEC.values() if kind == "video" else [encoder.codec for encoder in AUDIO_ENCODERS.values()]
    return any(container.holds(kind, codec) for codec in codecs)


def _video(
    target: TargetSpec,
    source: SourceSpec,
    info: MediaInfo,
    clock: Clock,
    container: Container,
    situation: Situation,
    warnings: list[str],
) -> StreamPlan | None:
    spec = target.video
    if spec is None or source.disable_video or (container.audio_only and not target.video_asked):
        return None
    field = f"targets[{target.index}].video"
    if not info.pictures:
        if target.video_asked:
            warnings.append(f"{field}: the source has no video")
        return None
    stream = info.pictures[0]
    if spec.codec == COPY:
        slack_us = video.frame_us(video.usual_rate(stream))
        copied = _copied("video", stream, container, field)
        fit.check_copied_video(stream, container, field)
        return replace(copied, expected_us=clock.expected_us(stream), slack_us=slack_us)
    fitted, remarks = fit.fit_video(spec, stream, container, f"{field}.transcode_video")
    planned, notes = video.plan_video(fitted, stream, clock, situation, f"{field}.transcode_video")
    warnings += [f"targets[{target.index}]: {note}" for note in (*remarks, *notes)]
    return _fitting(planned, container, field)


def _audio(
    target: TargetSpec,
    source: SourceSpec,
    info: MediaInfo,
    clock: Clock,
    container: Container,
    situation: Situation,
    warnings: list[str],
) -> StreamPlan | None:
    spec = target.audio
    if spec is None or source.disable_audio:
        return None
    field = f"targets[{target.index}].audio"
    if not info.audio:
        if target.audio_asked:
            warnings.append(f"{field}: the source has no audio")
        return None
    stream = info.audio[0]
    if spec.codec == COPY:
        slack_us = audio.frame_us(stream.sample_rate)
        copied = _copied("audio", stream, container, field)
        fit.check_copied_audio(stream, container, field)
        return replace(copied, expected_us=clock.expected_us(stream), slack_us=slack_us)
    if not stream.decodable or not stream.sample_rate:
        raise InvalidMedia(f"{field}: the source's {stream.codec} audio cannot be decoded")
    rates = container.sample_rates.get(spec.codec, ())
    planned = audio.plan_audio(spec, stream, clock, f"{field}.transcode_audio", situation.capabilities, rates)
    return _fitting(planned, container, field)


def _fitting(stream: StreamPlan, container: Container, field: str) -> StreamPlan:
    if not container.holds(stream.type, stream.codec):
        where = ", ".join(fitting(stream.type, stream.codec))
        expected = f"{container.name} does not hold {stream.codec} ({where} would)"
        raise InvalidArgument(violations=[Violation(f"{field}.transcode_{stream.type}.codec", expected)])
    tag = COPY_TAGS.get((container.muxer, stream.codec), "")
    return replace(stream, codec_tag=tag)


def _subtitles(target: TargetSpec, info: MediaInfo, container: Container, warnings: list[str]) -> Iterator[StreamPlan]:
    """Subtitle streams, copied; one that the container cannot hold is left out with a warning: nobody asked for it by name."""
    if target.subtitle == "none" or container.audio_only:
        return
    field = f"targets[{target.index}].subtitle"
    for stream in info.subtitles if target.subtitle == "all" else info.subtitles[:1]:
        if container.holds("subtitle", stream.codec):
            yield _copied("subtitle", stream, container, field)
        else:
            warnings.append(f"{field}: {container.name} does not hold {stream.codec}: left out")
