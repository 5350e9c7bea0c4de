"""Makes the plan of a task."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from reelmill_server.errors import InvalidMedia
from reelmill_server.model.media_info import rational
from reelmill_server.model.plan import COPY, Plan, StreamPlan, TargetPlan
from reelmill_server.model.request import ConvertRequest, TargetSpec
from reelmill_server.plan import packaging
from reelmill_server.plan.containers import CONTAINERS
from reelmill_server.plan.inputs import Inputs
from reelmill_server.plan.naming import OutputName, expand, source_variables
from reelmill_server.plan.situation import Situation
from reelmill_server.plan.streams import Job, audio_streams, subtitle_streams, video_streams


def make_plan(request: ConvertRequest, situation: Situation) -> Plan:
    """What will run for `request`.

    Raises InvalidArgument, InvalidMedia, UnsupportedFormat or HardwareUnavailable, naming the target, when it cannot.
    """
    inputs = Inputs.of(request, situation)
    variables = _source_variables(request, inputs, situation)
    warnings: list[str] = []
    planned = [_plan_target(request, target, inputs, situation, variables, warnings) for target in request.targets]
    targets, groups = packaging.arrange(request, planned, variables)
    plan = Plan(targets, inputs=inputs.plans(), groups=groups)
    shared = [uri for uri, count in Counter(file.uri for file in packaging.planned_files(plan)).items() if count > 1]
    warnings += [f"several targets go to {uri}: the last one stays" for uri in shared]
    return replace(plan, warnings=tuple(dict.fromkeys(warnings)))


def _source_variables(request: ConvertRequest, inputs: Inputs, situation: Situation) -> Mapping[str, str]:
    """What the aligning source gives to templates."""
    number = inputs.primary.source_number
    return source_variables(request.sources[number].uri, situation.modified_us[number])


def _plan_target(
    request: ConvertRequest,
    target: TargetSpec,
    inputs: Inputs,
    situation: Situation,
    variables: Mapping[str, str],
    warnings: list[str],
) -> TargetPlan:
    container = CONTAINERS[target.container]
    job = Job(target, inputs, container, situation, warnings)
    streams = (*video_streams(job), *audio_streams(job), *subtitle_streams(job))
    if not any(stream.type in ("video", "audio") for stream in streams):
        raise InvalidMedia(f"{target.field}: the source has no stream that this target takes")
    if any(item.source.start_us for item in inputs.main) and any(
        stream.type == "video" and stream.encoder == COPY for stream in streams
    ):
        job.warn(": copied video begins at the key frame at or before the asked start")
    name = OutputName(container.extension, _resolution(streams))
    plan = TargetPlan(
        index=target.index,
        uri=expand(target.uri, name, variables, request.tags, request.created_us),
        container=container.name,
        muxer=container.muxer,
        duration_us=_duration_us(inputs, streams),
        streams=streams,
        muxer_options=container.options,
        keep_metadata=not target.strip_metadata,
        described_by=inputs.primary.number,
    )
    return packaging.packaged(plan, target, request, variables, name.resolution)


def _duration_us(inputs: Inputs, streams: Sequence[StreamPlan]) -> int:
    """How long the output is: the slowest stream lasts longest."""
    speeds = [rational(stream.speed) or 1 for stream in streams]
    return round(inputs.duration_us / min(speeds))


def _resolution(streams: Sequence[StreamPlan]) -> str:
    return next((f"{stream.video.width}x{stream.video.height}" for stream in streams if stream.video), "")
