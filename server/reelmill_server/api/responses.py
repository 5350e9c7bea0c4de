"""Tasks and plans as messages of responses."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from reelmill.v1 import media_convert_service_pb2 as pb
from reelmill.v1 import task_pb2
from reelmill_server.api.masking import mask_task
from reelmill_server.model.ladder import Ladder
from reelmill_server.model.loudness import LoudnessResult
from reelmill_server.model.plan import PartPlan, Plan, StreamPlan
from reelmill_server.model.quality import QualityResult
from reelmill_server.model.task import Artifact, ArtifactKind, FailedAttempt, Progress, TargetProgress, TaskPhase, TaskStatus
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.model.units import Split
from reelmill_server.model.waiting import Wait, WaitReason
from reelmill_server.plan.ffmpeg.command import FfmpegCommand
from reelmill_server.tasks.follower import Snapshot

_STATUS = {
    TaskStatus.RUNNING: task_pb2.TASK_STATUS_RUNNING,
    TaskStatus.SUCCEEDED: task_pb2.TASK_STATUS_SUCCEEDED,
    TaskStatus.FAILED: task_pb2.TASK_STATUS_FAILED,
    TaskStatus.CANCELED: task_pb2.TASK_STATUS_CANCELED,
}
_PHASE: Mapping[TaskPhase, Any] = {
    phase: task_pb2.TaskPhase.Value(f"TASK_PHASE_{phase.name}") for phase in TaskPhase if phase is not TaskPhase.NONE
}
_KIND: Mapping[ArtifactKind, Any] = {kind: task_pb2.ArtifactKind.Value(f"ARTIFACT_KIND_{kind.name}") for kind in ArtifactKind}
_STREAM_TYPE = {
    "video": task_pb2.STREAM_TYPE_VIDEO,
    "audio": task_pb2.STREAM_TYPE_AUDIO,
    "subtitle": task_pb2.STREAM_TYPE_SUBTITLE,
    "data": task_pb2.STREAM_TYPE_DATA,
    "picture": task_pb2.STREAM_TYPE_ATTACHED_PICTURE,
}


_WAIT_REASON: Mapping[WaitReason, Any] = {
    reason: task_pb2.WaitReason.Value(f"WAIT_REASON_{reason.name}") for reason in WaitReason
}
_WAIT_WORDS = {
    WaitReason.QUOTA: "its project runs as many tasks as its quota allows",
    WaitReason.ENGINE: "the engine has not taken it yet",
    WaitReason.NO_WORKER: "no worker serves the queue {lane}",
    WaitReason.ACCELERATOR: "it waits for an encoder session of {lane}",
    WaitReason.BUSY: "all workers that serve the queue {lane} are busy",
    WaitReason.RESOURCES: "it waits for cores, memory or scratch of a worker",
}


def timestamp(time: datetime | None) -> Timestamp | None:
    """Return a point in time as a message."""
    if time is None:
        return None
    message = Timestamp()
    message.FromDatetime(time.astimezone(UTC))
    return message


def watched(snapshot: Snapshot, kind: type[pb.WatchTaskResponse] | type[pb.WatchTasksResponse], masked: bool = False) -> bytes:
    """Return a state as a message of a stream, serialized once for all streams; `masked`: without secrets."""
    name = f"{kind.__name__} masked" if masked else kind.__name__
    encoded = snapshot.encoded.get(name)
    if encoded is None:
        encoded = snapshot.encoded[name] = kind(task=task(snapshot, masked=masked)).SerializeToString()
    return encoded


def task(snapshot: Snapshot, with_definition: bool = False, masked: bool = False) -> task_pb2.Task:
    """Return a task as a message; `with_definition` includes its request; `masked`: without the secrets in its URIs."""
    message = _task(snapshot, with_definition)
    if masked:
        mask_task(message)
    return message


def _task(snapshot: Snapshot, with_definition: bool) -> task_pb2.Task:
    record, outcome = snapshot.record, snapshot.record.outcome
    message = task_pb2.Task(
        status=_STATUS[record.status],
        start_time=timestamp(record.start_time),
        end_time=timestamp(record.end_time),
        user_data=record.user_data,
        task_type=task_pb2.TASK_TYPE_MEDIA_CONVERT,
        task_id=record.task_id,
        event_id=record.event_id,
        project_name=record.project_name,
        priority=record.priority,
        cancel_requested=record.cancel_requested,
        retry_of=record.retry_of,
        task_request_definition=record.request_json if with_definition else "",
    )
    if record.tags:
        message.tags.update(dict(record.tags))
    if outcome is None:
        _add_progress(message, snapshot.progress)
        return message
    message.code, message.message, message.attempt = outcome.code, outcome.message, outcome.attempt
    reached = max(snapshot.progress.percent, outcome.percent)
    message.progress = 100 if record.status is TaskStatus.SUCCEEDED else reached
    message.warnings.extend(outcome.warnings)
    message.artifacts.extend(_artifact(artifact) for artifact in outcome.artifacts)
    message.failed_attempts.extend(_failed(attempt) for attempt in outcome.failed_attempts)
    message.targets.extend(_done_targets(outcome.artifacts))
    first = timestamp(outcome.first_attempt_time)
    if first is not None:
        message.first_attempt_time.CopyFrom(first)
    return message


def _add_progress(message: task_pb2.Task, progress: Progress) -> None:
    message.phase = phase(progress.phase)
    message.progress = progress.percent
    message.attempt = progress.attempt
    message.problem = progress.problem
    if progress.wait is not None:
        message.wait.CopyFrom(_wait(progress.wait))
    message.targets.extend(target_progress(target) for target in progress.targets)


def _wait(wait: Wait) -> task_pb2.Wait:
    place = f"{wait.place:,} of {wait.count:,}: " if wait.place else ""
    words = place + _WAIT_WORDS[wait.reason].format(lane=wait.lane)
    return task_pb2.Wait(reason=_WAIT_REASON[wait.reason], lane=wait.lane, place=wait.place, count=wait.count, message=words)


def phase(value: TaskPhase) -> Any:
    """Return a phase of what runs as an enum value."""
    return _PHASE.get(value, task_pb2.TASK_PHASE_QUEUED)


def target_progress(target: TargetProgress) -> task_pb2.TargetProgress:
    """Return the progress of one target as a message."""
    return task_pb2.TargetProgress(
        target_index=target.target_index,
        percent=target.percent,
        media_time=target.media_seconds,
        speed=target.speed,
        frames_per_second=target.frames_per_second,
        eta=target.eta_seconds,
        encoders=target.encoders,
    )


def _done_targets(artifacts: Iterable[Artifact]) -> Iterable[task_pb2.TargetProgress]:
    """Yield the final progress of each target, which may have several files."""
    files_by_target: dict[int, list[Artifact]] = {}
    for artifact in artifacts:
        if artifact.streams or artifact.frame_times:
            files_by_target.setdefault(artifact.target_index, []).append(artifact)
    for index, files in sorted(files_by_target.items()):
        yield task_pb2.TargetProgress(
            target_index=index,
            percent=100,
            media_time=max(max((file.duration_seconds, *file.frame_times)) for file in files),
            encoders=", ".join(stream.encoder for file in files for stream in file.streams),
        )


def _failed(attempt: FailedAttempt) -> task_pb2.FailedAttempt:
    return task_pb2.FailedAttempt(attempt=attempt.attempt, code=attempt.code, message=attempt.message)


def _quality(result: QualityResult | None) -> task_pb2.QualityResult | None:
    if result is None:
        return None
    return task_pb2.QualityResult(
        metric=result.metric, target=result.target, crf=result.crf, predicted=result.predicted, final=result.final
    )


def _loudness(result: LoudnessResult) -> task_pb2.LoudnessResult:
    before, after = (
        task_pb2.LoudnessValues(integrated=values.integrated, range=values.range, true_peak=values.true_peak)
        for values in (result.before, result.after)
    )
    return task_pb2.LoudnessResult(before=before, after=after, gain=result.gain_db, limited_samples=result.limited_samples)


def _ladder(ladder: Ladder) -> task_pb2.Ladder:
    points, rungs = (
        [
            task_pb2.LadderPoint(
                width=point.width, height=point.height, crf=point.crf, bitrate=point.bitrate, score=point.score
            )
            for point in group
        ]
        for group in (ladder.points, ladder.rungs)
    )
    return task_pb2.Ladder(metric=ladder.metric, width=ladder.width, height=ladder.height, points=points, rungs=rungs)


def _artifact(artifact: Artifact) -> task_pb2.Artifact:
    streams = [
        task_pb2.ArtifactStream(
            type=_STREAM_TYPE.get(stream.type, task_pb2.STREAM_TYPE_UNSPECIFIED),
            codec=stream.codec,
            encoder=stream.encoder,
            reason=stream.reason,
            packet_count=stream.packet_count,
            duration=stream.duration_seconds,
            width=stream.width,
            height=stream.height,
            sample_rate=stream.sample_rate,
            channels=stream.channels,
            bitrate=stream.bitrate,
            frame_rate=stream.frame_rate,
            language=stream.language,
            vmaf=stream.vmaf,
            loudness=_loudness(stream.loudness) if stream.loudness else None,
            adjustments=[
                task_pb2.StreamAdjustment(
                    reason=adjustment.reason, count=adjustment.count, unit=adjustment.unit, added=adjustment.added
                )
                for adjustment in stream.adjustments
            ],
            quality=_quality(stream.quality),
        )
        for stream in artifact.streams
    ]
    return task_pb2.Artifact(
        uri=artifact.uri,
        target_index=artifact.target_index,
        size=artifact.size_bytes,
        duration=artifact.duration_seconds,
        container=artifact.container,
        streams=streams,
        kind=_KIND[artifact.kind],
        segment_count=artifact.segment_count,
        segments_size=artifact.segments_size_bytes,
        sha256=artifact.sha256,
        segments_sha256=artifact.segments_sha256,
        bitrate=artifact.bitrate,
        width=artifact.width,
        height=artifact.height,
        frame_times=artifact.frame_times,
        ladder=_ladder(artifact.ladder) if artifact.ladder else None,
    )


def plan(value: Plan, split: Split | None = None, command: FfmpegCommand | None = None) -> task_pb2.Plan:
    """Return a plan as a message, with its split into chunks and its ffmpeg command line if given."""
    targets = [
        task_pb2.PlannedTarget(
            target_index=target.index,
            uri=target.uri,
            container=target.container,
            start_time=value.inputs[0].start_us / MICROSECONDS,
            duration=target.duration_us / MICROSECONDS,
            streams=[_planned(stream) for stream in target.streams],
        )
        for target in value.targets
    ]
    images = [
        task_pb2.PlannedImages(
            target_index=image.index,
            kind=_KIND[ArtifactKind(image.kind)],
            uri=image.uri(1),
            width=image.width,
            height=image.height,
            reading=image.reading,
            reason=image.reason,
            stream=_planned(image.stream),
        )
        for image in value.images
    ]
    message = task_pb2.Plan(targets=targets, warnings=value.warnings, images=images)
    if split is not None:
        message.chunks = split.chunks
        message.chunks_reason = split.reason
    if command is not None:
        message.ffmpeg_command.CopyFrom(task_pb2.FfmpegCommand(lines=command.lines, notes=command.notes))
    return message


def _source_stream(part: PartPlan) -> int:
    """Return the index of the first stream in the source file; -1 for a stream from another file."""
    return -1 if part.file else part.stream


def _planned(stream: StreamPlan) -> task_pb2.PlannedStream:
    return task_pb2.PlannedStream(
        type=_STREAM_TYPE.get(stream.type, task_pb2.STREAM_TYPE_UNSPECIFIED),
        source_stream=_source_stream(stream.parts[0]),
        codec=stream.codec,
        encoder=stream.encoder,
        reason=stream.reason,
        filters=stream.parts[0].filters,
        options=stream.options,
    )
