"""Workers and what works on them, as messages of responses."""

from collections.abc import Callable, Mapping

from google.protobuf.timestamp_pb2 import Timestamp

from reelmill.v1 import media_convert_service_pb2 as pb
from reelmill_server.api import responses
from reelmill_server.model.capability import Capability, FrameSizes, Limits, Report, Sandbox
from reelmill_server.model.worker_state import AttemptState, LaneState, ShownWorker, TaskPart, WorkerState

MaySee = Callable[[str], bool]
"""Whether the caller may see the tasks of a project."""

_PART: Mapping[TaskPart, pb.TaskPart] = {
    TaskPart.WHOLE: pb.TASK_PART_WHOLE,
    TaskPart.CHUNK: pb.TASK_PART_CHUNK,
    TaskPart.JOIN: pb.TASK_PART_JOIN,
}


def capabilities(report: Report, version: str, request_id: str) -> pb.GetCapabilitiesResponse:
    """Return what a worker can do, as the server of this version tells it."""
    return pb.GetCapabilitiesResponse(
        request_id=request_id,
        encoders=[_capability(capability) for capability in report.encoders],
        decoders=[_capability(capability) for capability in report.decoders],
        filters=[_capability(capability) for capability in report.filters],
        sandbox=_sandbox(report.sandbox),
        limits=_limits(report.limits),
        versions={"reelmill": version, **report.versions},
        worker=report.worker,
    )


def worker(shown: ShownWorker, may_see: MaySee) -> pb.Worker:
    """Return a worker; tasks of projects that the caller may not see have no names."""
    report, state = shown.report, shown.state
    return pb.Worker(
        name=report.worker,
        start_time=_time(state.started_us),
        seen_time=_time(shown.seen_us),
        lanes=[_lane(lane, state) for lane in state.lanes],
        load=_load(state),
        attempts=[_attempt(attempt, may_see(attempt.project_name)) for attempt in state.attempts],
        encoders=[_capability(capability) for capability in report.encoders],
        decoders=[_capability(capability) for capability in report.decoders],
        filters=[_capability(capability) for capability in report.filters],
        sandbox=_sandbox(report.sandbox),
        limits=_limits(report.limits),
        versions={"reelmill": state.version, **report.versions},
        draining=state.draining,
    )


def _load(state: WorkerState) -> pb.WorkerLoad:
    return pb.WorkerLoad(
        slots=state.held.slots,
        max_slots=state.most.slots,
        waiting=state.waiting,
        cores=state.held.cores,
        max_cores=state.most.cores,
        memory_bytes=state.held.memory_bytes,
        max_memory_bytes=state.most.memory_bytes,
        scratch_bytes=state.held.scratch_bytes,
        max_scratch_bytes=state.most.scratch_bytes,
        machine_load=state.machine_load,
    )


def _lane(lane: LaneState, state: WorkerState) -> pb.WorkerLane:
    return pb.WorkerLane(
        name=lane.name,
        attempts=sum(attempt.lane == lane.name for attempt in state.attempts),
        available=lane.available,
        sessions=lane.sessions,
        max_sessions=lane.max_sessions,
    )


def _attempt(attempt: AttemptState, named: bool) -> pb.RunningAttempt:
    progress = attempt.progress
    return pb.RunningAttempt(
        project_name=attempt.project_name if named else "",
        task_id=attempt.task_id if named else "",
        attempt=attempt.attempt,
        lane=attempt.lane,
        part=_PART[attempt.part],
        chunk=attempt.chunk,
        start_time=_time(attempt.started_us),
        phase=responses.phase(progress.phase),
        progress=progress.percent,
        targets=[responses.target_progress(target) for target in progress.targets],
    )


def _capability(capability: Capability) -> pb.CodecCapability:
    return pb.CodecCapability(
        name=capability.name,
        codec=capability.codec,
        device=capability.device,
        available=capability.available,
        reason=capability.reason,
        tried_time=_time(capability.tried_us),
        pixel_formats=capability.pixel_formats,
        card=capability.card,
        features=[
            pb.CodecFeature(name=feature.name, available=feature.available, reason=feature.reason)
            for feature in capability.features
        ],
        frame_sizes=pb.FrameSizes(**vars(capability.sizes)) if capability.sizes != FrameSizes() else None,
        max_b_frames=capability.max_b_frames,
    )


def _sandbox(sandbox: Sandbox) -> pb.Sandbox:
    return pb.Sandbox(mode=sandbox.mode, walls=sandbox.walls, lacks=sandbox.lacks)


def _limits(limits: Limits) -> dict[str, float]:
    return {name: float(value) for name, value in vars(limits).items() if isinstance(value, int | float)}


def _time(microseconds: int) -> Timestamp:
    time = Timestamp()
    time.FromMicroseconds(microseconds)
    return time
