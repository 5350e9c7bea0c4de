import datetime

from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WaitReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WAIT_REASON_UNSPECIFIED: _ClassVar[WaitReason]
    WAIT_REASON_QUOTA: _ClassVar[WaitReason]
    WAIT_REASON_ENGINE: _ClassVar[WaitReason]
    WAIT_REASON_NO_WORKER: _ClassVar[WaitReason]
    WAIT_REASON_ACCELERATOR: _ClassVar[WaitReason]
    WAIT_REASON_BUSY: _ClassVar[WaitReason]
    WAIT_REASON_RESOURCES: _ClassVar[WaitReason]

class TaskStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TASK_STATUS_UNSPECIFIED: _ClassVar[TaskStatus]
    TASK_STATUS_RUNNING: _ClassVar[TaskStatus]
    TASK_STATUS_SUCCEEDED: _ClassVar[TaskStatus]
    TASK_STATUS_FAILED: _ClassVar[TaskStatus]
    TASK_STATUS_CANCELED: _ClassVar[TaskStatus]

class TaskPhase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TASK_PHASE_UNSPECIFIED: _ClassVar[TaskPhase]
    TASK_PHASE_QUEUED: _ClassVar[TaskPhase]
    TASK_PHASE_PROBING: _ClassVar[TaskPhase]
    TASK_PHASE_PLANNING: _ClassVar[TaskPhase]
    TASK_PHASE_CONVERTING: _ClassVar[TaskPhase]
    TASK_PHASE_VERIFYING: _ClassVar[TaskPhase]
    TASK_PHASE_PUBLISHING: _ClassVar[TaskPhase]

class TaskType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TASK_TYPE_UNSPECIFIED: _ClassVar[TaskType]
    TASK_TYPE_MEDIA_CONVERT: _ClassVar[TaskType]

class ArtifactKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ARTIFACT_KIND_UNSPECIFIED: _ClassVar[ArtifactKind]
    ARTIFACT_KIND_MEDIA: _ClassVar[ArtifactKind]
    ARTIFACT_KIND_PLAYLIST: _ClassVar[ArtifactKind]
    ARTIFACT_KIND_MASTER_PLAYLIST: _ClassVar[ArtifactKind]
    ARTIFACT_KIND_MANIFEST: _ClassVar[ArtifactKind]
    ARTIFACT_KIND_SNAPSHOT: _ClassVar[ArtifactKind]
    ARTIFACT_KIND_SPRITE: _ClassVar[ArtifactKind]
    ARTIFACT_KIND_ANIMATION: _ClassVar[ArtifactKind]
    ARTIFACT_KIND_SPRITE_WEB_VTT: _ClassVar[ArtifactKind]
    ARTIFACT_KIND_IMAGE_PLAYLIST: _ClassVar[ArtifactKind]

class StreamType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STREAM_TYPE_UNSPECIFIED: _ClassVar[StreamType]
    STREAM_TYPE_VIDEO: _ClassVar[StreamType]
    STREAM_TYPE_AUDIO: _ClassVar[StreamType]
    STREAM_TYPE_SUBTITLE: _ClassVar[StreamType]
    STREAM_TYPE_DATA: _ClassVar[StreamType]
    STREAM_TYPE_ATTACHED_PICTURE: _ClassVar[StreamType]
WAIT_REASON_UNSPECIFIED: WaitReason
WAIT_REASON_QUOTA: WaitReason
WAIT_REASON_ENGINE: WaitReason
WAIT_REASON_NO_WORKER: WaitReason
WAIT_REASON_ACCELERATOR: WaitReason
WAIT_REASON_BUSY: WaitReason
WAIT_REASON_RESOURCES: WaitReason
TASK_STATUS_UNSPECIFIED: TaskStatus
TASK_STATUS_RUNNING: TaskStatus
TASK_STATUS_SUCCEEDED: TaskStatus
TASK_STATUS_FAILED: TaskStatus
TASK_STATUS_CANCELED: TaskStatus
TASK_PHASE_UNSPECIFIED: TaskPhase
TASK_PHASE_QUEUED: TaskPhase
TASK_PHASE_PROBING: TaskPhase
TASK_PHASE_PLANNING: TaskPhase
TASK_PHASE_CONVERTING: TaskPhase
TASK_PHASE_VERIFYING: TaskPhase
TASK_PHASE_PUBLISHING: TaskPhase
TASK_TYPE_UNSPECIFIED: TaskType
TASK_TYPE_MEDIA_CONVERT: TaskType
ARTIFACT_KIND_UNSPECIFIED: ArtifactKind
ARTIFACT_KIND_MEDIA: ArtifactKind
ARTIFACT_KIND_PLAYLIST: ArtifactKind
ARTIFACT_KIND_MASTER_PLAYLIST: ArtifactKind
ARTIFACT_KIND_MANIFEST: ArtifactKind
ARTIFACT_KIND_SNAPSHOT: ArtifactKind
ARTIFACT_KIND_SPRITE: ArtifactKind
ARTIFACT_KIND_ANIMATION: ArtifactKind
ARTIFACT_KIND_SPRITE_WEB_VTT: ArtifactKind
ARTIFACT_KIND_IMAGE_PLAYLIST: ArtifactKind
STREAM_TYPE_UNSPECIFIED: StreamType
STREAM_TYPE_VIDEO: StreamType
STREAM_TYPE_AUDIO: StreamType
STREAM_TYPE_SUBTITLE: StreamType
STREAM_TYPE_DATA: StreamType
STREAM_TYPE_ATTACHED_PICTURE: StreamType

class Task(_message.Message):
    __slots__ = ("status", "code", "message", "start_time", "end_time", "user_data", "task_type", "task_id", "tags", "task_request_definition", "progress", "event_id", "project_name", "phase", "attempt", "targets", "artifacts", "warnings", "priority", "cancel_requested", "failed_attempts", "first_attempt_time", "retry_of", "problem", "wait")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    USER_DATA_FIELD_NUMBER: _ClassVar[int]
    TASK_TYPE_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    TASK_REQUEST_DEFINITION_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_NAME_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    ARTIFACTS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    CANCEL_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    FAILED_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    FIRST_ATTEMPT_TIME_FIELD_NUMBER: _ClassVar[int]
    RETRY_OF_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    status: TaskStatus
    code: str
    message: str
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    user_data: str
    task_type: TaskType
    task_id: str
    tags: _struct_pb2.Struct
    task_request_definition: str
    progress: int
    event_id: str
    project_name: str
    phase: TaskPhase
    attempt: int
    targets: _containers.RepeatedCompositeFieldContainer[TargetProgress]
    artifacts: _containers.RepeatedCompositeFieldContainer[Artifact]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    priority: int
    cancel_requested: bool
    failed_attempts: _containers.RepeatedCompositeFieldContainer[FailedAttempt]
    first_attempt_time: _timestamp_pb2.Timestamp
    retry_of: str
    problem: str
    wait: Wait
    def __init__(self, status: _Optional[_Union[TaskStatus, str]] = ..., code: _Optional[str] = ..., message: _Optional[str] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., user_data: _Optional[str] = ..., task_type: _Optional[_Union[TaskType, str]] = ..., task_id: _Optional[str] = ..., tags: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., task_request_definition: _Optional[str] = ..., progress: _Optional[int] = ..., event_id: _Optional[str] = ..., project_name: _Optional[str] = ..., phase: _Optional[_Union[TaskPhase, str]] = ..., attempt: _Optional[int] = ..., targets: _Optional[_Iterable[_Union[TargetProgress, _Mapping]]] = ..., artifacts: _Optional[_Iterable[_Union[Artifact, _Mapping]]] = ..., warnings: _Optional[_Iterable[str]] = ..., priority: _Optional[int] = ..., cancel_requested: _Optional[bool] = ..., failed_attempts: _Optional[_Iterable[_Union[FailedAttempt, _Mapping]]] = ..., first_attempt_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., retry_of: _Optional[str] = ..., problem: _Optional[str] = ..., wait: _Optional[_Union[Wait, _Mapping]] = ...) -> None: ...

class Wait(_message.Message):
    __slots__ = ("reason", "lane", "place", "count", "message")
    REASON_FIELD_NUMBER: _ClassVar[int]
    LANE_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    reason: WaitReason
    lane: str
    place: int
    count: int
    message: str
    def __init__(self, reason: _Optional[_Union[WaitReason, str]] = ..., lane: _Optional[str] = ..., place: _Optional[int] = ..., count: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class TargetProgress(_message.Message):
    __slots__ = ("target_index", "percent", "media_time", "speed", "frames_per_second", "eta", "encoders")
    TARGET_INDEX_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TIME_FIELD_NUMBER: _ClassVar[int]
    SPEED_FIELD_NUMBER: _ClassVar[int]
    FRAMES_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    ETA_FIELD_NUMBER: _ClassVar[int]
    ENCODERS_FIELD_NUMBER: _ClassVar[int]
    target_index: int
    percent: float
    media_time: float
    speed: float
    frames_per_second: float
    eta: float
    encoders: str
    def __init__(self, target_index: _Optional[int] = ..., percent: _Optional[float] = ..., media_time: _Optional[float] = ..., speed: _Optional[float] = ..., frames_per_second: _Optional[float] = ..., eta: _Optional[float] = ..., encoders: _Optional[str] = ...) -> None: ...

class Artifact(_message.Message):
    __slots__ = ("uri", "target_index", "size", "duration", "streams", "container", "kind", "segment_count", "segments_size", "sha256", "segments_sha256", "bitrate", "width", "height", "frame_times", "ladder")
    URI_FIELD_NUMBER: _ClassVar[int]
    TARGET_INDEX_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_SIZE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_SHA256_FIELD_NUMBER: _ClassVar[int]
    BITRATE_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    FRAME_TIMES_FIELD_NUMBER: _ClassVar[int]
    LADDER_FIELD_NUMBER: _ClassVar[int]
    uri: str
    target_index: int
    size: int
    duration: float
    streams: _containers.RepeatedCompositeFieldContainer[ArtifactStream]
    container: str
    kind: ArtifactKind
    segment_count: int
    segments_size: int
    sha256: str
    segments_sha256: str
    bitrate: int
    width: int
    height: int
    frame_times: _containers.RepeatedScalarFieldContainer[float]
    ladder: Ladder
    def __init__(self, uri: _Optional[str] = ..., target_index: _Optional[int] = ..., size: _Optional[int] = ..., duration: _Optional[float] = ..., streams: _Optional[_Iterable[_Union[ArtifactStream, _Mapping]]] = ..., container: _Optional[str] = ..., kind: _Optional[_Union[ArtifactKind, str]] = ..., segment_count: _Optional[int] = ..., segments_size: _Optional[int] = ..., sha256: _Optional[str] = ..., segments_sha256: _Optional[str] = ..., bitrate: _Optional[int] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., frame_times: _Optional[_Iterable[float]] = ..., ladder: _Optional[_Union[Ladder, _Mapping]] = ...) -> None: ...

class Ladder(_message.Message):
    __slots__ = ("metric", "width", "height", "points", "rungs")
    METRIC_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    RUNGS_FIELD_NUMBER: _ClassVar[int]
    metric: str
    width: int
    height: int
    points: _containers.RepeatedCompositeFieldContainer[LadderPoint]
    rungs: _containers.RepeatedCompositeFieldContainer[LadderPoint]
    def __init__(self, metric: _Optional[str] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., points: _Optional[_Iterable[_Union[LadderPoint, _Mapping]]] = ..., rungs: _Optional[_Iterable[_Union[LadderPoint, _Mapping]]] = ...) -> None: ...

class LadderPoint(_message.Message):
    __slots__ = ("width", "height", "crf", "bitrate", "score")
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    CRF_FIELD_NUMBER: _ClassVar[int]
    BITRATE_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    width: int
    height: int
    crf: float
    bitrate: int
    score: float
    def __init__(self, width: _Optional[int] = ..., height: _Optional[int] = ..., crf: _Optional[float] = ..., bitrate: _Optional[int] = ..., score: _Optional[float] = ...) -> None: ...

class ArtifactStream(_message.Message):
    __slots__ = ("type", "codec", "encoder", "reason", "packet_count", "duration", "width", "height", "sample_rate", "channels", "bitrate", "frame_rate", "language", "vmaf", "adjustments", "quality", "loudness")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    CODEC_FIELD_NUMBER: _ClassVar[int]
    ENCODER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PACKET_COUNT_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    BITRATE_FIELD_NUMBER: _ClassVar[int]
    FRAME_RATE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    VMAF_FIELD_NUMBER: _ClassVar[int]
    ADJUSTMENTS_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    LOUDNESS_FIELD_NUMBER: _ClassVar[int]
    type: StreamType
    codec: str
    encoder: str
    reason: str
    packet_count: int
    duration: float
    width: int
    height: int
    sample_rate: int
    channels: int
    bitrate: int
    frame_rate: float
    language: str
    vmaf: float
    adjustments: _containers.RepeatedCompositeFieldContainer[StreamAdjustment]
    quality: QualityResult
    loudness: LoudnessResult
    def __init__(self, type: _Optional[_Union[StreamType, str]] = ..., codec: _Optional[str] = ..., encoder: _Optional[str] = ..., reason: _Optional[str] = ..., packet_count: _Optional[int] = ..., duration: _Optional[float] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., sample_rate: _Optional[int] = ..., channels: _Optional[int] = ..., bitrate: _Optional[int] = ..., frame_rate: _Optional[float] = ..., language: _Optional[str] = ..., vmaf: _Optional[float] = ..., adjustments: _Optional[_Iterable[_Union[StreamAdjustment, _Mapping]]] = ..., quality: _Optional[_Union[QualityResult, _Mapping]] = ..., loudness: _Optional[_Union[LoudnessResult, _Mapping]] = ...) -> None: ...

class LoudnessResult(_message.Message):
    __slots__ = ("before", "after", "gain", "limited_samples")
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    GAIN_FIELD_NUMBER: _ClassVar[int]
    LIMITED_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    before: LoudnessValues
    after: LoudnessValues
    gain: float
    limited_samples: int
    def __init__(self, before: _Optional[_Union[LoudnessValues, _Mapping]] = ..., after: _Optional[_Union[LoudnessValues, _Mapping]] = ..., gain: _Optional[float] = ..., limited_samples: _Optional[int] = ...) -> None: ...

class LoudnessValues(_message.Message):
    __slots__ = ("integrated", "range", "true_peak")
    INTEGRATED_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    TRUE_PEAK_FIELD_NUMBER: _ClassVar[int]
    integrated: float
    range: float
    true_peak: float
    def __init__(self, integrated: _Optional[float] = ..., range: _Optional[float] = ..., true_peak: _Optional[float] = ...) -> None: ...

class QualityResult(_message.Message):
    __slots__ = ("metric", "target", "crf", "predicted", "final")
    METRIC_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    CRF_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    metric: str
    target: float
    crf: float
    predicted: float
    final: float
    def __init__(self, metric: _Optional[str] = ..., target: _Optional[float] = ..., crf: _Optional[float] = ..., predicted: _Optional[float] = ..., final: _Optional[float] = ...) -> None: ...

class StreamAdjustment(_message.Message):
    __slots__ = ("reason", "count", "unit", "added")
    REASON_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    ADDED_FIELD_NUMBER: _ClassVar[int]
    reason: str
    count: int
    unit: str
    added: bool
    def __init__(self, reason: _Optional[str] = ..., count: _Optional[int] = ..., unit: _Optional[str] = ..., added: _Optional[bool] = ...) -> None: ...

class FailedAttempt(_message.Message):
    __slots__ = ("attempt", "code", "message")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    code: str
    message: str
    def __init__(self, attempt: _Optional[int] = ..., code: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class Plan(_message.Message):
    __slots__ = ("targets", "warnings", "images", "chunks", "chunks_reason", "ffmpeg_command")
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_REASON_FIELD_NUMBER: _ClassVar[int]
    FFMPEG_COMMAND_FIELD_NUMBER: _ClassVar[int]
    targets: _containers.RepeatedCompositeFieldContainer[PlannedTarget]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    images: _containers.RepeatedCompositeFieldContainer[PlannedImages]
    chunks: int
    chunks_reason: str
    ffmpeg_command: FfmpegCommand
    def __init__(self, targets: _Optional[_Iterable[_Union[PlannedTarget, _Mapping]]] = ..., warnings: _Optional[_Iterable[str]] = ..., images: _Optional[_Iterable[_Union[PlannedImages, _Mapping]]] = ..., chunks: _Optional[int] = ..., chunks_reason: _Optional[str] = ..., ffmpeg_command: _Optional[_Union[FfmpegCommand, _Mapping]] = ...) -> None: ...

class FfmpegCommand(_message.Message):
    __slots__ = ("lines", "notes")
    LINES_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    lines: _containers.RepeatedScalarFieldContainer[str]
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, lines: _Optional[_Iterable[str]] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class PlannedImages(_message.Message):
    __slots__ = ("target_index", "kind", "uri", "width", "height", "reading", "reason", "stream")
    TARGET_INDEX_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    READING_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    target_index: int
    kind: ArtifactKind
    uri: str
    width: int
    height: int
    reading: str
    reason: str
    stream: PlannedStream
    def __init__(self, target_index: _Optional[int] = ..., kind: _Optional[_Union[ArtifactKind, str]] = ..., uri: _Optional[str] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., reading: _Optional[str] = ..., reason: _Optional[str] = ..., stream: _Optional[_Union[PlannedStream, _Mapping]] = ...) -> None: ...

class PlannedTarget(_message.Message):
    __slots__ = ("target_index", "uri", "container", "start_time", "duration", "streams")
    TARGET_INDEX_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    target_index: int
    uri: str
    container: str
    start_time: float
    duration: float
    streams: _containers.RepeatedCompositeFieldContainer[PlannedStream]
    def __init__(self, target_index: _Optional[int] = ..., uri: _Optional[str] = ..., container: _Optional[str] = ..., start_time: _Optional[float] = ..., duration: _Optional[float] = ..., streams: _Optional[_Iterable[_Union[PlannedStream, _Mapping]]] = ...) -> None: ...

class PlannedStream(_message.Message):
    __slots__ = ("type", "source_stream", "codec", "encoder", "reason", "filters", "options")
    class OptionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_STREAM_FIELD_NUMBER: _ClassVar[int]
    CODEC_FIELD_NUMBER: _ClassVar[int]
    ENCODER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    type: StreamType
    source_stream: int
    codec: str
    encoder: str
    reason: str
    filters: _containers.RepeatedScalarFieldContainer[str]
    options: _containers.ScalarMap[str, str]
    def __init__(self, type: _Optional[_Union[StreamType, str]] = ..., source_stream: _Optional[int] = ..., codec: _Optional[str] = ..., encoder: _Optional[str] = ..., reason: _Optional[str] = ..., filters: _Optional[_Iterable[str]] = ..., options: _Optional[_Mapping[str, str]] = ...) -> None: ...
