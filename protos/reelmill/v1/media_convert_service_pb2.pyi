import datetime

from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from reelmill.v1 import media_info_pb2 as _media_info_pb2
from reelmill.v1 import notification_pb2 as _notification_pb2
from reelmill.v1 import source_pb2 as _source_pb2
from reelmill.v1 import target_pb2 as _target_pb2
from reelmill.v1 import task_pb2 as _task_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TaskSort(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TASK_SORT_UNSPECIFIED: _ClassVar[TaskSort]
    TASK_SORT_TASK_ID: _ClassVar[TaskSort]
    TASK_SORT_START_TIME: _ClassVar[TaskSort]
    TASK_SORT_END_TIME: _ClassVar[TaskSort]

class SortOrder(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SORT_ORDER_UNSPECIFIED: _ClassVar[SortOrder]
    SORT_ORDER_ASC: _ClassVar[SortOrder]
    SORT_ORDER_DESC: _ClassVar[SortOrder]

class TaskPart(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TASK_PART_UNSPECIFIED: _ClassVar[TaskPart]
    TASK_PART_WHOLE: _ClassVar[TaskPart]
    TASK_PART_CHUNK: _ClassVar[TaskPart]
    TASK_PART_JOIN: _ClassVar[TaskPart]
TASK_SORT_UNSPECIFIED: TaskSort
TASK_SORT_TASK_ID: TaskSort
TASK_SORT_START_TIME: TaskSort
TASK_SORT_END_TIME: TaskSort
SORT_ORDER_UNSPECIFIED: SortOrder
SORT_ORDER_ASC: SortOrder
SORT_ORDER_DESC: SortOrder
TASK_PART_UNSPECIFIED: TaskPart
TASK_PART_WHOLE: TaskPart
TASK_PART_CHUNK: TaskPart
TASK_PART_JOIN: TaskPart

class CreateMediaConvertTaskRequest(_message.Message):
    __slots__ = ("project_name", "sources", "targets", "target_groups", "alignment_index", "tags", "user_data", "notification", "credential_config", "request_id", "priority", "parallelism")
    PROJECT_NAME_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    TARGET_GROUPS_FIELD_NUMBER: _ClassVar[int]
    ALIGNMENT_INDEX_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    USER_DATA_FIELD_NUMBER: _ClassVar[int]
    NOTIFICATION_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_CONFIG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    PARALLELISM_FIELD_NUMBER: _ClassVar[int]
    project_name: str
    sources: _containers.RepeatedCompositeFieldContainer[_source_pb2.Source]
    targets: _containers.RepeatedCompositeFieldContainer[_target_pb2.Target]
    target_groups: _containers.RepeatedCompositeFieldContainer[_target_pb2.TargetGroup]
    alignment_index: int
    tags: _struct_pb2.Struct
    user_data: str
    notification: _notification_pb2.Notification
    credential_config: _notification_pb2.CredentialConfig
    request_id: str
    priority: int
    parallelism: int
    def __init__(self, project_name: _Optional[str] = ..., sources: _Optional[_Iterable[_Union[_source_pb2.Source, _Mapping]]] = ..., targets: _Optional[_Iterable[_Union[_target_pb2.Target, _Mapping]]] = ..., target_groups: _Optional[_Iterable[_Union[_target_pb2.TargetGroup, _Mapping]]] = ..., alignment_index: _Optional[int] = ..., tags: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., user_data: _Optional[str] = ..., notification: _Optional[_Union[_notification_pb2.Notification, _Mapping]] = ..., credential_config: _Optional[_Union[_notification_pb2.CredentialConfig, _Mapping]] = ..., request_id: _Optional[str] = ..., priority: _Optional[int] = ..., parallelism: _Optional[int] = ...) -> None: ...

class CreateMediaConvertTaskResponse(_message.Message):
    __slots__ = ("request_id", "event_id", "task_id")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    event_id: str
    task_id: str
    def __init__(self, request_id: _Optional[str] = ..., event_id: _Optional[str] = ..., task_id: _Optional[str] = ...) -> None: ...

class GetTaskRequest(_message.Message):
    __slots__ = ("project_name", "task_type", "task_id", "request_definition")
    PROJECT_NAME_FIELD_NUMBER: _ClassVar[int]
    TASK_TYPE_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_DEFINITION_FIELD_NUMBER: _ClassVar[int]
    project_name: str
    task_type: _task_pb2.TaskType
    task_id: str
    request_definition: bool
    def __init__(self, project_name: _Optional[str] = ..., task_type: _Optional[_Union[_task_pb2.TaskType, str]] = ..., task_id: _Optional[str] = ..., request_definition: _Optional[bool] = ...) -> None: ...

class GetTaskResponse(_message.Message):
    __slots__ = ("request_id", "task")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    task: _task_pb2.Task
    def __init__(self, request_id: _Optional[str] = ..., task: _Optional[_Union[_task_pb2.Task, _Mapping]] = ...) -> None: ...

class ListTasksRequest(_message.Message):
    __slots__ = ("project_name", "task_types", "status", "tag_selector", "start_time_range", "end_time_range", "sort", "order", "max_results", "next_token", "request_definition")
    PROJECT_NAME_FIELD_NUMBER: _ClassVar[int]
    TASK_TYPES_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    TAG_SELECTOR_FIELD_NUMBER: _ClassVar[int]
    START_TIME_RANGE_FIELD_NUMBER: _ClassVar[int]
    END_TIME_RANGE_FIELD_NUMBER: _ClassVar[int]
    SORT_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    MAX_RESULTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    REQUEST_DEFINITION_FIELD_NUMBER: _ClassVar[int]
    project_name: str
    task_types: _containers.RepeatedScalarFieldContainer[_task_pb2.TaskType]
    status: _task_pb2.TaskStatus
    tag_selector: str
    start_time_range: TimeRange
    end_time_range: TimeRange
    sort: TaskSort
    order: SortOrder
    max_results: int
    next_token: str
    request_definition: bool
    def __init__(self, project_name: _Optional[str] = ..., task_types: _Optional[_Iterable[_Union[_task_pb2.TaskType, str]]] = ..., status: _Optional[_Union[_task_pb2.TaskStatus, str]] = ..., tag_selector: _Optional[str] = ..., start_time_range: _Optional[_Union[TimeRange, _Mapping]] = ..., end_time_range: _Optional[_Union[TimeRange, _Mapping]] = ..., sort: _Optional[_Union[TaskSort, str]] = ..., order: _Optional[_Union[SortOrder, str]] = ..., max_results: _Optional[int] = ..., next_token: _Optional[str] = ..., request_definition: _Optional[bool] = ...) -> None: ...

class TimeRange(_message.Message):
    __slots__ = ("start", "end")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    start: _timestamp_pb2.Timestamp
    end: _timestamp_pb2.Timestamp
    def __init__(self, start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListTasksResponse(_message.Message):
    __slots__ = ("request_id", "project_name", "max_results", "next_token", "tasks")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_NAME_FIELD_NUMBER: _ClassVar[int]
    MAX_RESULTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    project_name: str
    max_results: int
    next_token: str
    tasks: _containers.RepeatedCompositeFieldContainer[_task_pb2.Task]
    def __init__(self, request_id: _Optional[str] = ..., project_name: _Optional[str] = ..., max_results: _Optional[int] = ..., next_token: _Optional[str] = ..., tasks: _Optional[_Iterable[_Union[_task_pb2.Task, _Mapping]]] = ...) -> None: ...

class WatchTaskRequest(_message.Message):
    __slots__ = ("project_name", "task_id")
    PROJECT_NAME_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    project_name: str
    task_id: str
    def __init__(self, project_name: _Optional[str] = ..., task_id: _Optional[str] = ...) -> None: ...

class WatchTaskResponse(_message.Message):
    __slots__ = ("task",)
    TASK_FIELD_NUMBER: _ClassVar[int]
    task: _task_pb2.Task
    def __init__(self, task: _Optional[_Union[_task_pb2.Task, _Mapping]] = ...) -> None: ...

class WatchTasksRequest(_message.Message):
    __slots__ = ("project_name", "tag_selector", "status")
    PROJECT_NAME_FIELD_NUMBER: _ClassVar[int]
    TAG_SELECTOR_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    project_name: str
    tag_selector: str
    status: _task_pb2.TaskStatus
    def __init__(self, project_name: _Optional[str] = ..., tag_selector: _Optional[str] = ..., status: _Optional[_Union[_task_pb2.TaskStatus, str]] = ...) -> None: ...

class WatchTasksResponse(_message.Message):
    __slots__ = ("task",)
    TASK_FIELD_NUMBER: _ClassVar[int]
    task: _task_pb2.Task
    def __init__(self, task: _Optional[_Union[_task_pb2.Task, _Mapping]] = ...) -> None: ...

class CancelTaskRequest(_message.Message):
    __slots__ = ("project_name", "task_id")
    PROJECT_NAME_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    project_name: str
    task_id: str
    def __init__(self, project_name: _Optional[str] = ..., task_id: _Optional[str] = ...) -> None: ...

class CancelTaskResponse(_message.Message):
    __slots__ = ("request_id", "task")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    task: _task_pb2.Task
    def __init__(self, request_id: _Optional[str] = ..., task: _Optional[_Union[_task_pb2.Task, _Mapping]] = ...) -> None: ...

class RetryTaskRequest(_message.Message):
    __slots__ = ("project_name", "task_id", "request_id")
    PROJECT_NAME_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    project_name: str
    task_id: str
    request_id: str
    def __init__(self, project_name: _Optional[str] = ..., task_id: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class RetryTaskResponse(_message.Message):
    __slots__ = ("request_id", "event_id", "task_id")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    event_id: str
    task_id: str
    def __init__(self, request_id: _Optional[str] = ..., event_id: _Optional[str] = ..., task_id: _Optional[str] = ...) -> None: ...

class PlanMediaConvertTaskRequest(_message.Message):
    __slots__ = ("request",)
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    request: CreateMediaConvertTaskRequest
    def __init__(self, request: _Optional[_Union[CreateMediaConvertTaskRequest, _Mapping]] = ...) -> None: ...

class PlanMediaConvertTaskResponse(_message.Message):
    __slots__ = ("request_id", "valid", "problems", "plan", "media_infos")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALID_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    MEDIA_INFOS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    valid: bool
    problems: _containers.RepeatedCompositeFieldContainer[FieldProblem]
    plan: _task_pb2.Plan
    media_infos: _containers.RepeatedCompositeFieldContainer[_media_info_pb2.MediaInfo]
    def __init__(self, request_id: _Optional[str] = ..., valid: _Optional[bool] = ..., problems: _Optional[_Iterable[_Union[FieldProblem, _Mapping]]] = ..., plan: _Optional[_Union[_task_pb2.Plan, _Mapping]] = ..., media_infos: _Optional[_Iterable[_Union[_media_info_pb2.MediaInfo, _Mapping]]] = ...) -> None: ...

class FieldProblem(_message.Message):
    __slots__ = ("field", "code", "description")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    field: str
    code: str
    description: str
    def __init__(self, field: _Optional[str] = ..., code: _Optional[str] = ..., description: _Optional[str] = ...) -> None: ...

class ProbeMediaRequest(_message.Message):
    __slots__ = ("project_name", "source_uri", "credential_config")
    PROJECT_NAME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_URI_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_CONFIG_FIELD_NUMBER: _ClassVar[int]
    project_name: str
    source_uri: str
    credential_config: _notification_pb2.CredentialConfig
    def __init__(self, project_name: _Optional[str] = ..., source_uri: _Optional[str] = ..., credential_config: _Optional[_Union[_notification_pb2.CredentialConfig, _Mapping]] = ...) -> None: ...

class ProbeMediaResponse(_message.Message):
    __slots__ = ("request_id", "media_info")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    MEDIA_INFO_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    media_info: _media_info_pb2.MediaInfo
    def __init__(self, request_id: _Optional[str] = ..., media_info: _Optional[_Union[_media_info_pb2.MediaInfo, _Mapping]] = ...) -> None: ...

class GetCapabilitiesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetCapabilitiesResponse(_message.Message):
    __slots__ = ("request_id", "encoders", "decoders", "limits", "versions", "worker", "filters", "sandbox")
    class LimitsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class VersionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ENCODERS_FIELD_NUMBER: _ClassVar[int]
    DECODERS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    SANDBOX_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    encoders: _containers.RepeatedCompositeFieldContainer[CodecCapability]
    decoders: _containers.RepeatedCompositeFieldContainer[CodecCapability]
    limits: _containers.ScalarMap[str, float]
    versions: _containers.ScalarMap[str, str]
    worker: str
    filters: _containers.RepeatedCompositeFieldContainer[CodecCapability]
    sandbox: Sandbox
    def __init__(self, request_id: _Optional[str] = ..., encoders: _Optional[_Iterable[_Union[CodecCapability, _Mapping]]] = ..., decoders: _Optional[_Iterable[_Union[CodecCapability, _Mapping]]] = ..., limits: _Optional[_Mapping[str, float]] = ..., versions: _Optional[_Mapping[str, str]] = ..., worker: _Optional[str] = ..., filters: _Optional[_Iterable[_Union[CodecCapability, _Mapping]]] = ..., sandbox: _Optional[_Union[Sandbox, _Mapping]] = ...) -> None: ...

class Sandbox(_message.Message):
    __slots__ = ("mode", "walls", "lacks")
    MODE_FIELD_NUMBER: _ClassVar[int]
    WALLS_FIELD_NUMBER: _ClassVar[int]
    LACKS_FIELD_NUMBER: _ClassVar[int]
    mode: str
    walls: _containers.RepeatedScalarFieldContainer[str]
    lacks: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, mode: _Optional[str] = ..., walls: _Optional[_Iterable[str]] = ..., lacks: _Optional[_Iterable[str]] = ...) -> None: ...

class CodecCapability(_message.Message):
    __slots__ = ("name", "codec", "device", "available", "reason", "tried_time", "pixel_formats", "card", "features", "frame_sizes", "max_b_frames")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CODEC_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TRIED_TIME_FIELD_NUMBER: _ClassVar[int]
    PIXEL_FORMATS_FIELD_NUMBER: _ClassVar[int]
    CARD_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    FRAME_SIZES_FIELD_NUMBER: _ClassVar[int]
    MAX_B_FRAMES_FIELD_NUMBER: _ClassVar[int]
    name: str
    codec: str
    device: str
    available: bool
    reason: str
    tried_time: _timestamp_pb2.Timestamp
    pixel_formats: _containers.RepeatedScalarFieldContainer[str]
    card: str
    features: _containers.RepeatedCompositeFieldContainer[CodecFeature]
    frame_sizes: FrameSizes
    max_b_frames: int
    def __init__(self, name: _Optional[str] = ..., codec: _Optional[str] = ..., device: _Optional[str] = ..., available: _Optional[bool] = ..., reason: _Optional[str] = ..., tried_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., pixel_formats: _Optional[_Iterable[str]] = ..., card: _Optional[str] = ..., features: _Optional[_Iterable[_Union[CodecFeature, _Mapping]]] = ..., frame_sizes: _Optional[_Union[FrameSizes, _Mapping]] = ..., max_b_frames: _Optional[int] = ...) -> None: ...

class CodecFeature(_message.Message):
    __slots__ = ("name", "available", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    available: bool
    reason: str
    def __init__(self, name: _Optional[str] = ..., available: _Optional[bool] = ..., reason: _Optional[str] = ...) -> None: ...

class FrameSizes(_message.Message):
    __slots__ = ("min_width", "min_height", "max_width", "max_height")
    MIN_WIDTH_FIELD_NUMBER: _ClassVar[int]
    MIN_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    MAX_WIDTH_FIELD_NUMBER: _ClassVar[int]
    MAX_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    min_width: int
    min_height: int
    max_width: int
    max_height: int
    def __init__(self, min_width: _Optional[int] = ..., min_height: _Optional[int] = ..., max_width: _Optional[int] = ..., max_height: _Optional[int] = ...) -> None: ...

class ListWorkersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListWorkersResponse(_message.Message):
    __slots__ = ("request_id", "workers")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    workers: _containers.RepeatedCompositeFieldContainer[Worker]
    def __init__(self, request_id: _Optional[str] = ..., workers: _Optional[_Iterable[_Union[Worker, _Mapping]]] = ...) -> None: ...

class Worker(_message.Message):
    __slots__ = ("name", "start_time", "seen_time", "lanes", "load", "attempts", "encoders", "decoders", "filters", "limits", "versions", "sandbox", "draining")
    class LimitsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class VersionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    SEEN_TIME_FIELD_NUMBER: _ClassVar[int]
    LANES_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    ENCODERS_FIELD_NUMBER: _ClassVar[int]
    DECODERS_FIELD_NUMBER: _ClassVar[int]
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    SANDBOX_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    name: str
    start_time: _timestamp_pb2.Timestamp
    seen_time: _timestamp_pb2.Timestamp
    lanes: _containers.RepeatedCompositeFieldContainer[WorkerLane]
    load: WorkerLoad
    attempts: _containers.RepeatedCompositeFieldContainer[RunningAttempt]
    encoders: _containers.RepeatedCompositeFieldContainer[CodecCapability]
    decoders: _containers.RepeatedCompositeFieldContainer[CodecCapability]
    filters: _containers.RepeatedCompositeFieldContainer[CodecCapability]
    limits: _containers.ScalarMap[str, float]
    versions: _containers.ScalarMap[str, str]
    sandbox: Sandbox
    draining: bool
    def __init__(self, name: _Optional[str] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., seen_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., lanes: _Optional[_Iterable[_Union[WorkerLane, _Mapping]]] = ..., load: _Optional[_Union[WorkerLoad, _Mapping]] = ..., attempts: _Optional[_Iterable[_Union[RunningAttempt, _Mapping]]] = ..., encoders: _Optional[_Iterable[_Union[CodecCapability, _Mapping]]] = ..., decoders: _Optional[_Iterable[_Union[CodecCapability, _Mapping]]] = ..., filters: _Optional[_Iterable[_Union[CodecCapability, _Mapping]]] = ..., limits: _Optional[_Mapping[str, float]] = ..., versions: _Optional[_Mapping[str, str]] = ..., sandbox: _Optional[_Union[Sandbox, _Mapping]] = ..., draining: _Optional[bool] = ...) -> None: ...

class WorkerLane(_message.Message):
    __slots__ = ("name", "attempts", "available", "sessions", "max_sessions")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_SESSIONS_FIELD_NUMBER: _ClassVar[int]
    name: str
    attempts: int
    available: bool
    sessions: int
    max_sessions: int
    def __init__(self, name: _Optional[str] = ..., attempts: _Optional[int] = ..., available: _Optional[bool] = ..., sessions: _Optional[int] = ..., max_sessions: _Optional[int] = ...) -> None: ...

class WorkerLoad(_message.Message):
    __slots__ = ("slots", "max_slots", "waiting", "cores", "max_cores", "memory_bytes", "max_memory_bytes", "scratch_bytes", "max_scratch_bytes", "machine_load")
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    MAX_SLOTS_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    CORES_FIELD_NUMBER: _ClassVar[int]
    MAX_CORES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    SCRATCH_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_SCRATCH_BYTES_FIELD_NUMBER: _ClassVar[int]
    MACHINE_LOAD_FIELD_NUMBER: _ClassVar[int]
    slots: int
    max_slots: int
    waiting: int
    cores: float
    max_cores: float
    memory_bytes: int
    max_memory_bytes: int
    scratch_bytes: int
    max_scratch_bytes: int
    machine_load: float
    def __init__(self, slots: _Optional[int] = ..., max_slots: _Optional[int] = ..., waiting: _Optional[int] = ..., cores: _Optional[float] = ..., max_cores: _Optional[float] = ..., memory_bytes: _Optional[int] = ..., max_memory_bytes: _Optional[int] = ..., scratch_bytes: _Optional[int] = ..., max_scratch_bytes: _Optional[int] = ..., machine_load: _Optional[float] = ...) -> None: ...

class RunningAttempt(_message.Message):
    __slots__ = ("project_name", "task_id", "attempt", "lane", "part", "chunk", "start_time", "phase", "progress", "targets")
    PROJECT_NAME_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    LANE_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    project_name: str
    task_id: str
    attempt: int
    lane: str
    part: TaskPart
    chunk: int
    start_time: _timestamp_pb2.Timestamp
    phase: _task_pb2.TaskPhase
    progress: int
    targets: _containers.RepeatedCompositeFieldContainer[_task_pb2.TargetProgress]
    def __init__(self, project_name: _Optional[str] = ..., task_id: _Optional[str] = ..., attempt: _Optional[int] = ..., lane: _Optional[str] = ..., part: _Optional[_Union[TaskPart, str]] = ..., chunk: _Optional[int] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., phase: _Optional[_Union[_task_pb2.TaskPhase, str]] = ..., progress: _Optional[int] = ..., targets: _Optional[_Iterable[_Union[_task_pb2.TargetProgress, _Mapping]]] = ...) -> None: ...
