"""Choose the streams of an output, and what each input contributes to them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from reelmill_server.errors import InvalidArgument, UnsupportedFormat, Violation
from reelmill_server.model.capability import PRIVACY
from reelmill_server.model.ducking import DuckingPlan
from reelmill_server.model.media_info import AudioStreamInfo, StreamInfo, VideoStreamInfo
from reelmill_server.model.overlay_plan import OverlayPlan
from reelmill_server.model.plan import COPY, PartPlan, StreamPlan, StreamType
from reelmill_server.model.request import AudioSpec, TargetSpec, VideoSpec
from reelmill_server.plan import rules
from reelmill_server.plan.codec.audio_encoders import AUDIO_ENCODERS
from reelmill_server.plan.codec.containers import Container, fitting
from reelmill_server.plan.codec.video_encoders import LIBAV_CODEC
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.inputs import Input, Inputs, selected, stream_at
from reelmill_server.plan.stream import audio, container_fit, dolby, joining, ladder, quality, smart_cut, video
from reelmill_server.plan.stream.alpha import ON_BLACK
from reelmill_server.plan.stream.geometry import tilt_warnings
from reelmill_server.plan.stream.overlays import plan_overlays
from reelmill_server.plan.stream.undecodable import hint, undecodable

COPY_TAGS = {(muxer, "hevc"): "hvc1" for muxer in ("mp4", "mov")}
"""Codec tags that players expect where libav would write another: Apple's refuse `hev1`."""
_FIRST = (0,)

_THINNED = Fraction(3, 2)  # so many times the frames of the output


@dataclass(frozen=True)
class TargetContext:
    """A target being planned and all that its streams depend on; `warnings` collects messages for the user."""

    target: TargetSpec
    inputs: Inputs
    container: Container
    facts: PlanFacts
    warnings: list[str]

    def warn(self, text: str) -> None:
        """Add a warning about the target."""
        self.warnings.append(f"{self.target.field}{text}")

    def speed(self, kind: str) -> Fraction:
        """Return the playback speed of a kind of stream (`video`, `audio`)."""
        own = self.target.video.speed if kind == "video" and self.target.video else Fraction(1)
        return own if self.target.speed == 1 else self.target.speed


def video_streams(context: TargetContext) -> Iterator[StreamPlan]:
    """Yield the video streams of the output."""
    spec = context.target.video
    if spec is None or (context.container.audio_only and not context.target.video_asked):
        return
    reference = _reference(context.inputs, lambda item: item.video)
    attached = [item for item in context.inputs.attached if item.video]
    if reference is None and not attached and context.target.video_asked:
        context.warn(".video: the source has no video")
    if reference is not None:
        for number in selected(len(reference.video), context.target.video_streams, _FIRST):
            yield _video(context, spec, number, reference, context.inputs.main)
    for item in attached:
        yield _video(context, spec, 0, item, (item,))


def audio_streams(context: TargetContext) -> Iterator[StreamPlan]:
    """Yield the audio streams of the output."""
    spec = context.target.audio
    if spec is None:
        return
    reference = _reference(context.inputs, lambda item: item.audio)
    attached = [item for item in context.inputs.attached if item.audio]
    if reference is None and not attached and context.target.audio_asked:
        context.warn(".audio: the source has no audio")
    numbers = [] if reference is None else _lasting(context, spec, reference, _usable_audio(context, spec, reference.audio))
    slots: list[tuple[int, Input, Sequence[Input]]] = [(0, item, (item,)) for item in attached]
    if reference is not None:
        slots = [(number, reference, context.inputs.main) for number in numbers] + slots
    if spec.ducking and (reference is None or not attached):
        expected = "needs audio in the sources, and a voice in an attached one: leave it out"
        raise InvalidArgument(violations=[Violation(f"{context.target.field}.audio.filter_audio.ducking", expected)])
    if spec.mixing and len(slots) > 1:
        yield _mixed(context, spec, slots, len(slots) - len(attached))
        return
    for number, like, members in slots:
        yield _audio(context, spec, number, like, members)


def _usable_audio(context: TargetContext, spec: AudioSpec, streams: Sequence[AudioStreamInfo]) -> list[int]:
    """Return the numbers of the audio streams that are taken. What cannot be decoded, or copied, is left out with a warning, if
    anything is left; where nothing was asked for, the first that can takes the place of the first.
    """
    copied = spec.codec == COPY
    usable = [number for number, stream in enumerate(streams) if (stream.codec if copied else _is_decodable(stream))]
    numbers = selected(len(streams), context.target.audio_streams, _FIRST)
    chosen = [number for number in numbers if number in usable] or ([] if context.target.audio_streams else usable[:1])
    for number in set(numbers) - set(chosen) if chosen else ():
        how = "copied" if copied else f"decoded{hint(streams[number])}"
        what = f"{streams[number].codec or 'a codec that is not known here'}, which cannot be {how}"
        instead = "" if chosen[0] in numbers else f", audio stream {chosen[0]} is taken"
        context.warn(f".audio: audio stream {number} of the source is in {what}: left out{instead}")
    return chosen or numbers


def _lasting(context: TargetContext, spec: AudioSpec, source: Input, numbers: Sequence[int]) -> Sequence[int]:
    """Return those of the audio streams that reach into the span; of joined sources, where they get silence, and beside copied
    video, which begins earlier, all.
    """
    copied = spec.codec == COPY or (context.target.video is not None and context.target.video.codec == COPY)
    if copied or len(context.inputs.main) > 1:
        return numbers
    lasting = [number for number in numbers if not source.clock.misses(source.audio[number])]
    for number in sorted(set(numbers) - set(lasting)):
        context.warn(f".audio: audio stream {number} of the source has nothing in the span: left out")
    return lasting


def _is_decodable(stream: AudioStreamInfo) -> bool:
    return stream.decodable and stream.sample_rate > 0


def stream_number(inputs: Inputs, sound: StreamPlan) -> int:
    """Return the number of an output's audio stream: its index in the concatenated sources; attached sources are counted after
    them.
    """
    part = next(part for part in sound.parts if part.stream >= 0)
    main = max(len(item.audio) for item in inputs.main)
    for item in inputs.main:
        if item.number == part.input:
            return next(number for number, stream in enumerate(item.audio) if stream.index == part.stream)
    return main + [item.number for item in inputs.attached if item.audio].index(part.input)


def _reference(inputs: Inputs, streams: Callable[[Input], Sequence[StreamInfo]]) -> Input | None:
    """Return the input with the defaults of a kind of stream: the primary one, or the first that has such streams."""
    return next((item for item in (inputs.primary, *inputs.main) if streams(item)), None)


def _video(context: TargetContext, spec: VideoSpec, number: int, like: Input, members: Sequence[Input]) -> StreamPlan:
    stream, path = like.video[number], f"{context.target.field}.video.transcode_video"
    for item in members:
        if item.info.still and not item.held:
            hint = "set duration to show it for longer"
            context.warn(f".video: sources[{item.source_number}] is a still image, which is shown for one frame: {hint}")
    if spec.codec == COPY:
        streams = [(item, stream_at(item.video, number)) for item in members]
        edges, reason = smart_cut.edges_of(context.target, spec, streams, context.speed("video"), context.facts)
        if not reason:
            copied = _joined_copy(context, "video", streams, stream)
            return smart_cut.with_edges(copied, stream, edges, context.facts) if edges else copied
        _copied(context, "video", stream, ".video")  # the container holds the codec
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
    planned = _tagged(context, planned)
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
    """Yield which sources lose many frames, as the output has the rate of another."""
    rate = planned.video.frame_rate if planned.video else Fraction(0)
    for item, stream in zip(members, streams, strict=True):
        own = video.burst_rate(stream) if isinstance(stream, VideoStreamInfo) else Fraction(0)
        if own > rate * _THINNED:
            kept = f"of {float(own):.4g} frames a second {float(rate):.4g} are kept"
            yield f"sources[{item.source_number}] is thinned out: {kept}, as the other source has: set frame_rate to keep more"


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


def _audio(context: TargetContext, spec: AudioSpec, number: int, like: Input, members: Sequence[Input]) -> StreamPlan:
    stream = like.audio[number]
    counted = len(members) > 1 or like.aligned
    if spec.codec == COPY and not context.target.audio_asked:
        spec = _joinable(context, spec, stream, [(item, stream_at(item.audio, number)) for item in members])
    if spec.codec == COPY:
        rules.check(rules.speed_problems(context.target, context.target.field))
        return _joined_copy(context, "audio", [(item, stream_at(item.audio, number)) for item in members], stream)
    planned = _encoded_audio(context, spec, stream, like)
    parts = [_audio_part(context, planned, item, stream_at(item.audio, number)) for item in members]
    return joining.with_speed(replace(planned, parts=tuple(parts), counted=counted), context.speed("audio"))


def _joinable(
    context: TargetContext, spec: AudioSpec, like: AudioStreamInfo, members: Sequence[tuple[Input, StreamInfo | None]]
) -> AudioSpec:
    """Return how audio is taken of which the request says nothing: encoded where it is not alike in all joined sources, or some
    have none.
    """
    for item, stream in members:
        held = [codec for codec, encoder in AUDIO_ENCODERS.items() if context.container.holds("audio", encoder.codec)]
        if (different := joining.difference(like, stream)) and held:
            codec = next((codec for codec in held if AUDIO_ENCODERS[codec].codec == like.codec), held[0])
            reason = f"sources[{item.source_number}] cannot be joined to the others without encoding: {different}"
            context.warn(f".audio: {reason}; it is encoded ({codec})")
            return replace(spec, codec=codec)
    return spec


def _mixed(
    context: TargetContext, spec: AudioSpec, slots: Sequence[tuple[int, Input, Sequence[Input]]], voices: int
) -> StreamPlan:
    """Return all selected audio mixed into one stream; the first provides the defaults. Lines from `voices` on are attached."""
    number, like, _ = slots[0]
    planned = _encoded_audio(context, spec, like.audio[number], like)
    parts = tuple(
        replace(_audio_part(context, planned, item, stream_at(item.audio, number)), line=line)
        for line, (number, _, members) in enumerate(slots)
        for item in members
    )
    if spec.ducking:
        ducking = DuckingPlan(spec.ducking, tuple(range(voices, len(slots))))
        planned = replace(planned, ducking=ducking, reason=f"{planned.reason}; the sources' is lowered under attached audio")
    return joining.with_speed(replace(planned, parts=parts, counted=True), context.speed("audio"))


def _encoded_audio(context: TargetContext, spec: AudioSpec, stream: AudioStreamInfo, like: Input) -> StreamPlan:
    field = f"{context.target.field}.audio"
    _check_decodable(context, stream, like)
    path = f"{field}.transcode_audio"
    planned, note = audio.plan_audio(spec, stream, like.clock, path, context.facts.capabilities, context.container)
    if note:
        context.warn(f".audio: {note}")
    tried = context.facts.capabilities.get(planned.encoder)
    if tried is not None and not tried.available:
        raise UnsupportedFormat(f"{path}: no encoder for {spec.codec} can run here: {planned.encoder}: {tried.reason}")
    return _tagged(context, planned)


def _check_decodable(context: TargetContext, stream: AudioStreamInfo, item: Input) -> None:
    """Raise UnsupportedFormat or InvalidMedia for audio that cannot be decoded here."""
    field = f"{context.target.field}.audio"
    if not _is_decodable(stream):
        codec = stream.codec or "a codec that is not known here"
        where = f"sources[{item.source_number}], stream {stream.index} of the file"
        raise undecodable(stream, f"{field}: the source's audio ({where}) is in {codec}: it")
    container_fit.check_packets(stream, item.info.format, field)


def _audio_part(context: TargetContext, planned: StreamPlan, item: Input, stream: StreamInfo | None) -> PartPlan:
    if not isinstance(stream, AudioStreamInfo):
        return PartPlan(-1, (), item.number)
    _check_decodable(context, stream, item)
    assert planned.working
    return PartPlan(stream.index, audio.conforming(stream, planned.working), item.number)


def _joined_copy(
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
    planned = _copied(context, kind, like, f".{kind}")
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


def _copied(context: TargetContext, kind: str, stream: StreamInfo, where: str) -> StreamPlan:
    """Return a stream copy. Raises UnsupportedFormat if the codec is unknown or the container cannot contain it."""
    container, field = context.container, f"{context.target.field}{where}"
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


def _tagged(context: TargetContext, stream: StreamPlan) -> StreamPlan:
    """Return `stream` with the codec tag that players expect."""
    return replace(stream, codec_tag=COPY_TAGS.get((context.container.muxer, stream.codec), ""))
