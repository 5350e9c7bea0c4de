"""Make the plan of a task."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil

from reelmill_server.errors import InvalidArgument, InvalidMedia, Violation
from reelmill_server.model.plan import Plan, StreamPlan, StreamType, TargetPlan
from reelmill_server.model.request import ConvertRequest, TargetSpec
from reelmill_server.model.tags import MOST_CHARACTERS, of_a_device
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.plan import rules
from reelmill_server.plan.codec.containers import CONTAINERS, Container
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.inputs import Input, Inputs
from reelmill_server.plan.output import package_files, packaging
from reelmill_server.plan.output.frame_access import with_shared_reading
from reelmill_server.plan.output.image_files import writable_image_uris
from reelmill_server.plan.output.images import ImageContext, plan_images
from reelmill_server.plan.output.naming import Naming, OutputName, expand, fill, source_variables
from reelmill_server.plan.stream import container_fit, ladder
from reelmill_server.plan.stream.audio_streams import audio_streams, stream_number
from reelmill_server.plan.stream.extras import attached_files, cover_pictures, data_streams, lost_fonts
from reelmill_server.plan.stream.languages import dropped_languages
from reelmill_server.plan.stream.subtitle import (
    SubtitleInput,
    doubts,
    extract_prefix,
    extract_target,
    plan_extracts,
    plan_subtitles,
    renditions,
)
from reelmill_server.plan.stream.target_context import TargetContext
from reelmill_server.plan.stream.video_streams import video_streams
from reelmill_server.uris import Resource

# Dolby Vision's configuration and the projection of spherical video: libav calls their boxes unofficial.
_UNOFFICIAL = {"strict": "unofficial"}
_WITH_BOXES = ("mp4", "mov")


def make_plan(request: ConvertRequest, facts: PlanFacts) -> Plan:
    """Return the plan of `request`.

    Raises InvalidArgument, InvalidMedia, UnsupportedFormat or HardwareUnavailable, naming the target, if there is none.
    """
    inputs = Inputs.of(request, facts)
    naming = _naming(request, inputs, facts)
    warnings: list[str] = []
    specs = [rung for target in request.targets for rung in ladder.rung_targets(target, inputs, facts)]
    planned = [
        plan for target in packaging.subtitles_once(specs) for plan in _plan_target(target, inputs, facts, naming, warnings)
    ]
    targets, groups = packaging.arrange(request, planned, naming)
    targets = packaging.on_one_clock(targets, groups)
    warnings += packaging.unheard_audio(targets)
    decoded = _decoded(targets, inputs)
    images = [
        image for target in request.targets for image in plan_images(ImageContext(target, inputs, naming, decoded, warnings))
    ]
    groups = tuple(ladder.with_ladders(groups, request.targets, inputs, facts))
    plan = Plan(targets, inputs=inputs.plans(), groups=groups, images=tuple(with_shared_reading(images)))
    warnings += dropped_languages(inputs, targets)
    warnings += _long_tags(inputs, targets)
    warnings += _unseen(inputs)
    warnings += _changing(inputs, plan)
    warnings += doubts(request, facts, plan.inputs, targets)
    outputs = [(file.target_index, file.uri) for file in package_files.planned_files(plan)]
    outputs += [(image.index, uri) for image in plan.images for uri in writable_image_uris([image])]
    _spare_sources(request, outputs)
    counts = Counter(Resource.of(uri) for _, uri in outputs)
    shared = [uri for _, uri in outputs if counts[Resource.of(uri)] > 1]
    warnings += [f"several outputs go to {uri}: the last one stays" for uri in shared]
    return replace(plan, warnings=tuple(dict.fromkeys(warnings)))


def _long_tags(inputs: Inputs, targets: Sequence[TargetPlan]) -> Iterator[str]:
    """Yield warnings of tags that are too long to be taken over."""
    if any(target.keep_metadata for target in targets):
        for item in inputs.main:
            if item.info.tags_left_out:
                many = f"{item.info.tags_left_out} tags of sources[{item.source_number}] are left out"
                yield f"{many}: a file and each of its streams may have {MOST_CHARACTERS} characters of them"


def _unseen(inputs: Inputs) -> Iterator[str]:
    """Yield warnings of sources that are not converted to their end, though libav says nothing."""
    for item in (*inputs.main, *inputs.attached):
        if missing := item.info.missing_bytes:
            yield f"sources[{item.source_number}] is truncated: its header says that {missing} bytes more follow"
        if more := item.info.follower_bytes:
            several = "is of several files behind each other, of which the first is read"
            yield f"sources[{item.source_number}] {several}: {more} bytes follow"
        if more := item.info.moved_bytes:
            others = "have its video or audio under other PIDs, as recordings behind each other do"
            yield f"at least the last {more} bytes of sources[{item.source_number}] {others}: these are streams of their own"
        if item.info.in_parts:
            order = "its ordered chapters say to play parts of it, or of other files, in another order"
            yield f"sources[{item.source_number}] is converted from its front to its end: {order}, which is not followed"
        if more := item.info.further_pages:
            yield f"sources[{item.source_number}] has {more + 1} pages, of which the first is shown"


def _changing(inputs: Inputs, plan: Plan) -> Iterator[str]:
    """Yield warnings of streams in use that change to another codec, which libav decodes with the first one's decoder."""
    streams = [*(stream for target in plan.targets for stream in target.streams), *(image.stream for image in plan.images)]
    used = {(part.input, part.stream) for stream in streams for part in stream.parts}
    for item in (*inputs.main, *inputs.attached):
        for stream in (*item.info.video, *item.info.audio):
            if stream.becomes and (item.number, stream.index) in used:
                where = f"sources[{item.source_number}], stream {stream.index}"
                yield f"{where}: its codec changes to {stream.becomes} midway: what follows cannot be converted with the rest"


def _spare_sources(request: ConvertRequest, outputs: Sequence[tuple[int, str]]) -> None:
    """Check that no output, given with the index of its target, would overwrite a source; raise InvalidArgument if one would.

    The source would be lost, and an attempt repeated after publishing would convert those outputs.
    """
    files = (file.uri for source in request.sources for file in source.subtitles)
    given = set(map(Resource.of, (*(source.uri for source in request.sources), *files, *request.watermark_uris)))
    fields = {target.index: target.field for target in request.targets}
    problems = [
        Violation(fields[index], f"would replace the source {uri}: choose another name")
        for index, uri in outputs
        if Resource.of(uri) in given
    ]
    if problems:
        raise InvalidArgument(violations=problems)


def _decoded(targets: Sequence[TargetPlan], inputs: Inputs) -> frozenset[int]:
    """Return the numbers of the video streams that some target decodes from beginning to end."""
    parts = {
        (part.input, part.stream)
        for target in targets
        for stream in target.streams
        if stream.encodes_video
        for part in stream.parts
    }
    most = max(len(item.video) for item in inputs.main)
    return frozenset(
        number
        for number in range(most)
        if all((item.number, item.video[number].index) in parts for item in inputs.main if number < len(item.video))
    )


def _plan_target(
    target: TargetSpec, inputs: Inputs, facts: PlanFacts, naming: Naming, warnings: list[str]
) -> Iterator[TargetPlan]:
    """Yield a target's media files, if it has any, and its separate subtitle files."""
    facts = facts.for_target(target.index)
    offers = tuple(SubtitleInput.of(item.number, item.source_number, item.source, facts) for item in inputs.main)
    if target.container:
        yield from _plan_files(target, inputs, facts, naming, offers, warnings)
    else:
        target = replace(target, speed=Fraction(1))  # said to be ignored where no container is made
    extracts = plan_extracts(target, offers, warnings)
    warnings += lost_fonts(target, inputs)
    described = renditions(target, offers, [number for number, _ in extracts])
    for (number, stream), rendition in zip(extracts, described, strict=True):
        assert target.extract is not None
        name = OutputName(target.extract.format, index=number + 1, stream_index=number)
        prefix = extract_prefix(fill(target.extract.uri, name, *naming))
        uri = f"{prefix}_{number}.{target.extract.format}"
        plan = extract_target(target, uri, stream, _duration_us(inputs, [stream]))
        yield plan if target.group < 0 else packaging.packaged_subtitles(plan, target, rendition)


def _naming(request: ConvertRequest, inputs: Inputs, facts: PlanFacts) -> Naming:
    """Return the values that URI templates are filled with, besides the output's own."""
    number = inputs.primary.source_number
    variables = source_variables(request.sources[number].uri, facts.modified_us[number])
    return variables, request.tags, request.created_us


def _plan_files(
    target: TargetSpec,
    inputs: Inputs,
    facts: PlanFacts,
    naming: Naming,
    offers: Sequence[SubtitleInput],
    warnings: list[str],
) -> Iterator[TargetPlan]:
    """Yield the media files of a target: one, or one per audio stream if the container holds only one."""
    rules.check(rules.target_problems(target, target.field))
    container = CONTAINERS[target.container]
    streams = _streams(TargetContext(target, inputs, container, facts, warnings), offers)
    container_fit.check_count(streams, container, target.field)
    files = [(stream,) for stream in streams] if container.single else [streams]
    for count, held in enumerate(files):
        number = stream_number(inputs, held[0]) if container.single else 0
        name = OutputName(container.extension, _resolution(held), count + 1, number)
        plan = TargetPlan(
            index=target.index,
            uri=expand(target.uri, name, *naming, several=len(files) > 1),
            container=container.name,
            muxer=container.muxer,
            duration_us=_duration_us(inputs, held),
            streams=held,
            muxer_options=_muxer_options(container, held, target, inputs),
            keep_metadata=not target.strip_metadata,
            described_by=inputs.primary.number,
            field=target.field,
            attachments=tuple(attached_files(inputs, container, held)),
            min_vmaf=target.min_vmaf,
            max_bytes=ceil(target.max_size_ratio * inputs.source_bytes),
        )
        yield packaging.packaged(plan, target, naming, _resolution(held), _hidden_us(inputs.main[0], held))


def _hidden_us(first: Input, streams: Sequence[StreamPlan]) -> int:
    """Return how long an edit list hides frames that copies of the `first` input have to show, in microseconds."""
    parts = [part for stream in streams if stream.copies_video for part in stream.parts if part.input == first.number]
    hidden = [video.hidden_seconds for part in parts for video in first.info.video if video.index == part.stream]
    return 0 if first.source.start_us else ceil(max(hidden, default=0.0) * MICROSECONDS)


def _muxer_options(
    container: Container, streams: Sequence[StreamPlan], target: TargetSpec, inputs: Inputs
) -> Mapping[str, str]:
    tagged = not target.strip_metadata and of_a_device(inputs.primary.info.metadata)
    options = (container.tagged_options if tagged else {}) or container.options
    boxed = container.name in _WITH_BOXES and any(stream.copies_video for stream in streams)
    return {**options, **_UNOFFICIAL} if boxed else options


def _streams(context: TargetContext, offers: Sequence[SubtitleInput]) -> tuple[StreamPlan, ...]:
    """Return all streams of a target. Raises InvalidMedia if there is neither video nor audio."""
    streams = (
        *video_streams(context),
        *audio_streams(context),
        *_subtitles(context, offers),
        *data_streams(context),
        *cover_pictures(context),
    )
    if not any(stream.type in (StreamType.VIDEO, StreamType.AUDIO) for stream in streams):
        raise InvalidMedia(f"{context.target.field}: the source has no stream that this target takes")
    if any(stream.begins_at_key for stream in streams) and any(item.source.start_us for item in context.inputs.main):
        context.warn(": copied video begins at the key frame at or before the asked start")
    return streams


def _subtitles(context: TargetContext, offers: Sequence[SubtitleInput]) -> tuple[StreamPlan, ...]:
    """Return the subtitle streams of a file; segments have none."""
    if packaging.segment_of(context.target) is None:
        return plan_subtitles(context.target, context.container, offers, context.warnings)
    if context.target.subtitle != "none" and any(offer.streams for offer in offers):
        context.warn(".subtitle: segments hold no subtitles: left out")
    return ()


def _duration_us(inputs: Inputs, streams: Sequence[StreamPlan]) -> int:
    """Return the duration of the output in microseconds: that of its slowest stream."""
    return round(inputs.duration_us / min(stream.speed for stream in streams))


def _resolution(streams: Sequence[StreamPlan]) -> str:
    return next((f"{stream.video.width}x{stream.video.height}" for stream in streams if stream.video), "")
