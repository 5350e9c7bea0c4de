"""Choose the audio streams of an output, and what each input contributes to them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from reelmill_server.errors import InvalidArgument, UnsupportedFormat, Violation
from reelmill_server.model.ducking import DuckingPlan
from reelmill_server.model.media_info import AudioStreamInfo, StreamInfo
from reelmill_server.model.plan import COPY, PartPlan, StreamPlan
from reelmill_server.model.request import AudioSpec
from reelmill_server.plan import rules
from reelmill_server.plan.codec.audio_encoders import AUDIO_ENCODERS, audio_encoder
from reelmill_server.plan.inputs import Input, Inputs, selected, stream_at
from reelmill_server.plan.stream import audio, container_fit, joining
from reelmill_server.plan.stream.stream_copies import joined_copy
from reelmill_server.plan.stream.target_context import FIRST, TargetContext, reference_input, with_tag
from reelmill_server.plan.stream.undecodable import hint, undecodable


def audio_streams(context: TargetContext) -> Iterator[StreamPlan]:
    """Yield the audio streams of the output."""
    spec = context.target.audio
    if spec is None:
        return
    reference = reference_input(context.inputs, lambda item: item.audio)
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


def _usable_audio(context: TargetContext, spec: AudioSpec, streams: Sequence[AudioStreamInfo]) -> Sequence[int]:
    """Return the numbers of the audio streams that are taken. What cannot be decoded, or copied, is left out with a warning, if
    anything is left; where nothing was asked for, the first that can takes the place of the first.
    """
    copied = spec.codec == COPY
    usable = [number for number, stream in enumerate(streams) if (_is_known(stream) if copied else _is_decodable(stream))]
    numbers = _present(context, streams, selected(len(streams), context.target.audio_streams, FIRST))
    usable = [number for number in usable if not streams[number].empty or context.inputs.several]
    chosen = [number for number in numbers if number in usable] or ([] if context.target.audio_streams else usable[:1])
    for number in set(numbers) - set(chosen) if chosen else ():
        how = f"{'copied' if copied else 'decoded'}{hint(streams[number])}"
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


def _present(context: TargetContext, streams: Sequence[AudioStreamInfo], numbers: Sequence[int]) -> Sequence[int]:
    """Return those of the audio streams of which the source has anything; joined sources get silence."""
    if context.inputs.several:
        return numbers
    for number in (number for number in numbers if streams[number].empty):
        context.warn(f".audio: audio stream {number} of the source has no samples: left out")
    return [number for number in numbers if not streams[number].empty]


def _is_known(stream: AudioStreamInfo) -> bool:
    return bool(stream.codec) and not stream.encrypted


def _is_decodable(stream: AudioStreamInfo) -> bool:
    return stream.decodable and stream.sample_rate > 0 and not stream.encrypted


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


def _audio(context: TargetContext, spec: AudioSpec, number: int, like: Input, members: Sequence[Input]) -> StreamPlan:
    stream = like.audio[number]
    counted = len(members) > 1 or like.aligned
    streams = [(item, stream_at(item.audio, number)) for item in members]
    context.warn_of_edits("audio", streams)
    if spec.codec == COPY and not context.target.audio_asked:
        spec = _joinable(context, spec, stream, streams)
    if spec.codec == COPY:
        rules.check(rules.speed_problems(context.target, context.target.field))
        return joined_copy(context, "audio", streams, stream)
    planned = _encoded_audio(context, spec, stream, like)
    parts = [_audio_part(context, planned, item, own) for item, own in streams]
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
    if stream.channels > 1 and (flaw := audio_encoder(spec.codec, context.facts.capabilities).flaw):
        context.warn(f".audio: {flaw}")
    tried = context.facts.capabilities.get(planned.encoder)
    if tried is not None and not tried.available:
        raise UnsupportedFormat(f"{path}: no encoder for {spec.codec} can run here: {planned.encoder}: {tried.reason}")
    return with_tag(context, planned)


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
