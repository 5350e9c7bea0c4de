"""Makes the plan of a task."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from reelmill_server.errors import InvalidArgument, InvalidMedia, UnsupportedFormat, Violation
from reelmill_server.model.media_info import MediaInfo, StreamInfo
from reelmill_server.model.plan import COPY, InputPlan, PartPlan, Plan, StreamPlan, TargetPlan
from reelmill_server.model.request import ConvertRequest, SourceSpec, TargetSpec
from reelmill_server.plan import audio, video
from reelmill_server.plan.clock import Clock
from reelmill_server.plan.containers import CONTAINERS, Container, fitting
from reelmill_server.plan.naming import OutputName, expand, fill, source_variables
from reelmill_server.plan.situation import Situation
from reelmill_server.plan.subtitles import SubtitleInput, extract_prefix, extract_target, plan_extracts, plan_subtitles

COPY_TAGS: Mapping[tuple[str, str], str] = {(muxer, "hevc"): "hvc1" for muxer in ("mp4", "mov")}
"""Codec tags that players want where libav would write another one: Apple's refuse `hev1`."""


def make_plan(request: ConvertRequest, situation: Situation) -> Plan:
    """What will run for `request`.

    Raises InvalidArgument, InvalidMedia, UnsupportedFormat or HardwareUnavailable, naming the target, when it cannot.
    """
    warnings: list[str] = []
    targets = tuple(plan for target in request.targets for plan in _plan_target(request, target, situation, warnings))
    shared = [uri for uri, count in Counter(target.uri for target in targets).items() if count > 1]
    warnings += [f"several targets go to {uri}: the last one stays" for uri in shared]
    clock = Clock.of(request.sources[0], situation.infos[0])
    inputs = (InputPlan(0, clock.start_us, clock.end_us, clock.origin_us, clock.duration_us),)
    return Plan(targets, tuple(dict.fromkeys(warnings)), inputs)


def _plan_target(
    request: ConvertRequest, target: TargetSpec, situation: Situation, warnings: list[str]
) -> Iterator[TargetPlan]:
    """The target's own file, if it has one, and the subtitles that become files of their own."""
    clock = Clock.of(request.sources[0], situation.infos[0])
    offers = (SubtitleInput.of(0, 0, request.sources[0], situation),)
    if target.container:
        yield _plan_file(request, target, situation, clock, offers, warnings)
    else:
        target = replace(target, speed="")  # said to be ignored where no container is made
    for number, stream in plan_extracts(target, offers):
        uri = _extract_uri(request, target, situation, number)
        yield extract_target(target, uri, stream, clock.duration_us)


def _extract_uri(request: ConvertRequest, target: TargetSpec, situation: Situation, number: int) -> str:
    extract = target.extract
    assert extract is not None
    name = OutputName(extract.format, index=number + 1, stream_index=number)
    variables = source_variables(request.sources[0].uri, situation.modified_us[0])
    prefix = extract_prefix(fill(extract.uri, name, variables, request.tags, request.created_us))
    return f"{prefix}_{number}.{extract.format}"


def _plan_file(
    request: ConvertRequest,
    target: TargetSpec,
    situation: Situation,
    clock: Clock,
    offers: Sequence[SubtitleInput],
    warnings: list[str],
) -> TargetPlan:
    source, info = request.sources[0], situation.infos[0]
    container = CONTAINERS[target.container]
    chosen = (
        _video(target, source, info, clock, container, situation, warnings),
        _audio(target, source, info, clock, container, warnings),
        *plan_subtitles(target, container, offers, warnings),
    )
    streams = [stream for stream in chosen if stream is not None]
    if not any(stream.type in ("video", "audio") for stream in streams):
        raise InvalidMedia(f"targets[{target.index}]: the source has no stream that this target takes")
    copied = [stream.type for stream in streams if stream.encoder == COPY]
    if source.start_us and "video" in copied:
        warnings.append(f"targets[{target.index}]: copied video begins at the key frame at or before the asked start")
    name = OutputName(container.extension, _resolution(streams))
    uri = expand(target.uri, name, source_variables(source.uri, situation.modified_us[0]), request.tags, request.created_us)
    return TargetPlan(
        index=target.index,
        uri=uri,
        container=container.name,
        muxer=container.muxer,
        duration_us=clock.duration_us,
        streams=tuple(streams),
        muxer_options=container.options,
        keep_metadata=not target.strip_metadata,
    )


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
            "choose a codec other than copy"
        )
    return StreamPlan(
        type=kind,
        parts=(PartPlan((stream.index,)),),
        codec=stream.codec,
        encoder=COPY,
        reason="stream copy",
        codec_tag=COPY_TAGS.get((container.muxer, stream.codec), ""),
    )


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
        return replace(_copied("video", stream, container, field), expected_us=clock.expected_us(stream), slack_us=slack_us)
    planned, notes = video.plan_video(spec, stream, clock, situation, f"{field}.transcode_video")
    warnings += [f"targets[{target.index}]: {note}" for note in notes]
    return _fitting(planned, container, field)


def _audio(
    target: TargetSpec, source: SourceSpec, info: MediaInfo, clock: Clock, container: Container, warnings: list[str]
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
        return replace(_copied("audio", stream, container, field), expected_us=clock.expected_us(stream), slack_us=slack_us)
    if not stream.decodable or not stream.sample_rate:
        raise InvalidMedia(f"{field}: the source's {stream.codec} audio cannot be decoded")
    return _fitting(audio.plan_audio(spec, stream, clock, f"{field}.transcode_audio"), container, field)


def _fitting(stream: StreamPlan, container: Container, field: str) -> StreamPlan:
    if not container.holds(stream.type, stream.codec):
        where = ", ".join(fitting(stream.type, stream.codec))
        expected = f"{container.name} does not hold {stream.codec} ({where} would)"
        raise InvalidArgument(violations=[Violation(f"{field}.transcode_{stream.type}.codec", expected)])
    tag = COPY_TAGS.get((container.muxer, stream.codec), "")
    return replace(stream, codec_tag=tag)
