import datetime

from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreateProjectRequest(_message.Message):
    __slots__ = ("project_name", "description", "service_role", "template_id", "project_max_dataset_count", "dataset_max_bind_count", "dataset_max_file_count", "dataset_max_entity_count", "dataset_max_relation_count", "dataset_max_total_file_size", "tag", "engine_concurrency", "max_queued_tasks", "fairness_weight")
    PROJECT_NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    SERVICE_ROLE_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_MAX_DATASET_COUNT_FIELD_NUMBER: _ClassVar[int]
    DATASET_MAX_BIND_COUNT_FIELD_NUMBER: _ClassVar[int]
    DATASET_MAX_FILE_COUNT_FIELD_NUMBER: _ClassVar[int]
    DATASET_MAX_ENTITY_COUNT_FIELD_NUMBER: _ClassVar[int]
    DATASET_MAX_RELATION_COUNT_FIELD_NUMBER: _ClassVar[int]
    DATASET_MAX_TOTAL_FILE_SIZE_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    ENGINE_CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    MAX_QUEUED_TASKS_FIELD_NUMBER: _ClassVar[int]
    FAIRNESS_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    project_name: str
    description: str
    service_role: str
    template_id: str
    project_max_dataset_count: int
    dataset_max_bind_count: int
    dataset_max_file_count: int
    dataset_max_entity_count: int
    dataset_max_relation_count: int
    dataset_max_total_file_size: int
    tag: _containers.RepeatedCompositeFieldContainer[TagInput]
    engine_concurrency: int
    max_queued_tasks: int
    fairness_weight: float
    def __init__(self, project_name: _Optional[str] = ..., description: _Optional[str] = ..., service_role: _Optional[str] = ..., template_id: _Optional[str] = ..., project_max_dataset_count: _Optional[int] = ..., dataset_max_bind_count: _Optional[int] = ..., dataset_max_file_count: _Optional[int] = ..., dataset_max_entity_count: _Optional[int] = ..., dataset_max_relation_count: _Optional[int] = ..., dataset_max_total_file_size: _Optional[int] = ..., tag: _Optional[_Iterable[_Union[TagInput, _Mapping]]] = ..., engine_concurrency: _Optional[int] = ..., max_queued_tasks: _Optional[int] = ..., fairness_weight: _Optional[float] = ...) -> None: ...

class CreateProjectResponse(_message.Message):
    __slots__ = ("request_id", "project")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    project: Project
    def __init__(self, request_id: _Optional[str] = ..., project: _Optional[_Union[Project, _Mapping]] = ...) -> None: ...

class GetProjectRequest(_message.Message):
    __slots__ = ("project_name", "with_statistics")
    PROJECT_NAME_FIELD_NUMBER: _ClassVar[int]
    WITH_STATISTICS_FIELD_NUMBER: _ClassVar[int]
    project_name: str
    with_statistics: bool
    def __init__(self, project_name: _Optional[str] = ..., with_statistics: _Optional[bool] = ...) -> None: ...

class GetProjectResponse(_message.Message):
    __slots__ = ("request_id", "project")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    project: Project
    def __init__(self, request_id: _Optional[str] = ..., project: _Optional[_Union[Project, _Mapping]] = ...) -> None: ...

class UpdateProjectRequest(_message.Message):
    __slots__ = ("project_name", "description", "service_role", "template_id", "project_max_dataset_count", "dataset_max_bind_count", "dataset_max_file_count", "dataset_max_entity_count", "dataset_max_relation_count", "dataset_max_total_file_size", "tag", "engine_concurrency", "max_queued_tasks", "fairness_weight")
    PROJECT_NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    SERVICE_ROLE_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_MAX_DATASET_COUNT_FIELD_NUMBER: _ClassVar[int]
    DATASET_MAX_BIND_COUNT_FIELD_NUMBER: _ClassVar[int]
    DATASET_MAX_FILE_COUNT_FIELD_NUMBER: _ClassVar[int]
    DATASET_MAX_ENTITY_COUNT_FIELD_NUMBER: _ClassVar[int]
    DATASET_MAX_RELATION_COUNT_FIELD_NUMBER: _ClassVar[int]
    DATASET_MAX_TOTAL_FILE_SIZE_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    ENGINE_CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    MAX_QUEUED_TASKS_FIELD_NUMBER: _ClassVar[int]
    FAIRNESS_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    project_name: str
    description: str
    service_role: str
    template_id: str
    project_max_dataset_count: int
    dataset_max_bind_count: int
    dataset_max_file_count: int
    dataset_max_entity_count: int
    dataset_max_relation_count: int
    dataset_max_total_file_size: int
    tag: _containers.RepeatedCompositeFieldContainer[TagInput]
    engine_concurrency: int
    max_queued_tasks: int
    fairness_weight: float
    def __init__(self, project_name: _Optional[str] = ..., description: _Optional[str] = ..., service_role: _Optional[str] = ..., template_id: _Optional[str] = ..., project_max_dataset_count: _Optional[int] = ..., dataset_max_bind_count: _Optional[int] = ..., dataset_max_file_count: _Optional[int] = ..., dataset_max_entity_count: _Optional[int] = ..., dataset_max_relation_count: _Optional[int] = ..., dataset_max_total_file_size: _Optional[int] = ..., tag: _Optional[_Iterable[_Union[TagInput, _Mapping]]] = ..., engine_concurrency: _Optional[int] = ..., max_queued_tasks: _Optional[int] = ..., fairness_weight: _Optional[float] = ...) -> None: ...

class UpdateProjectResponse(_message.Message):
    __slots__ = ("request_id", "project")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    project: Project
    def __init__(self, request_id: _Optional[str] = ..., project: _Optional[_Union[Project, _Mapping]] = ...) -> None: ...

class ListProjectsRequest(_message.Message):
    __slots__ = ("prefix", "tag", "max_results", "next_token")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    MAX_RESULTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    tag: _containers.RepeatedCompositeFieldContainer[TagInput]
    max_results: int
    next_token: str
    def __init__(self, prefix: _Optional[str] = ..., tag: _Optional[_Iterable[_Union[TagInput, _Mapping]]] = ..., max_results: _Optional[int] = ..., next_token: _Optional[str] = ...) -> None: ...

class ListProjectsResponse(_message.Message):
    __slots__ = ("request_id", "next_token", "projects")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    NEXT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PROJECTS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    next_token: str
    projects: _containers.RepeatedCompositeFieldContainer[Project]
    def __init__(self, request_id: _Optional[str] = ..., next_token: _Optional[str] = ..., projects: _Optional[_Iterable[_Union[Project, _Mapping]]] = ...) -> None: ...

class DeleteProjectRequest(_message.Message):
    __slots__ = ("project_name",)
    PROJECT_NAME_FIELD_NUMBER: _ClassVar[int]
    project_name: str
    def __init__(self, project_name: _Optional[str] = ...) -> None: ...

class DeleteProjectResponse(_message.Message):
    __slots__ = ("request_id",)
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    def __init__(self, request_id: _Optional[str] = ...) -> None: ...

class TagInput(_message.Message):
    __slots__ = ("key", "value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: str
    def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class Tag(_message.Message):
    __slots__ = ("tag_key", "tag_value")
    TAG_KEY_FIELD_NUMBER: _ClassVar[int]
    TAG_VALUE_FIELD_NUMBER: _ClassVar[int]
    tag_key: str
    tag_value: str
    def __init__(self, tag_key: _Optional[str] = ..., tag_value: _Optional[str] = ...) -> None: ...

class Project(_message.Message):
    __slots__ = ("project_name", "service_role", "template_id", "description", "create_time", "update_time", "project_queries_per_second", "engine_concurrency", "project_max_dataset_count", "dataset_max_bind_count", "dataset_max_file_count", "dataset_max_entity_count", "dataset_max_relation_count", "dataset_max_total_file_size", "dataset_count", "file_count", "total_file_size", "tags", "max_queued_tasks", "fairness_weight", "running_tasks", "queued_tasks")
    PROJECT_NAME_FIELD_NUMBER: _ClassVar[int]
    SERVICE_ROLE_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_ID_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    PROJECT_QUERIES_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    ENGINE_CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_MAX_DATASET_COUNT_FIELD_NUMBER: _ClassVar[int]
    DATASET_MAX_BIND_COUNT_FIELD_NUMBER: _ClassVar[int]
    DATASET_MAX_FILE_COUNT_FIELD_NUMBER: _ClassVar[int]
    DATASET_MAX_ENTITY_COUNT_FIELD_NUMBER: _ClassVar[int]
    DATASET_MAX_RELATION_COUNT_FIELD_NUMBER: _ClassVar[int]
    DATASET_MAX_TOTAL_FILE_SIZE_FIELD_NUMBER: _ClassVar[int]
    DATASET_COUNT_FIELD_NUMBER: _ClassVar[int]
    FILE_COUNT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FILE_SIZE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    MAX_QUEUED_TASKS_FIELD_NUMBER: _ClassVar[int]
    FAIRNESS_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    RUNNING_TASKS_FIELD_NUMBER: _ClassVar[int]
    QUEUED_TASKS_FIELD_NUMBER: _ClassVar[int]
    project_name: str
    service_role: str
    template_id: str
    description: str
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    project_queries_per_second: int
    engine_concurrency: int
    project_max_dataset_count: int
    dataset_max_bind_count: int
    dataset_max_file_count: int
    dataset_max_entity_count: int
    dataset_max_relation_count: int
    dataset_max_total_file_size: int
    dataset_count: int
    file_count: int
    total_file_size: int
    tags: _containers.RepeatedCompositeFieldContainer[Tag]
    max_queued_tasks: int
    fairness_weight: float
    running_tasks: int
    queued_tasks: int
    def __init__(self, project_name: _Optional[str] = ..., service_role: _Optional[str] = ..., template_id: _Optional[str] = ..., description: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., project_queries_per_second: _Optional[int] = ..., engine_concurrency: _Optional[int] = ..., project_max_dataset_count: _Optional[int] = ..., dataset_max_bind_count: _Optional[int] = ..., dataset_max_file_count: _Optional[int] = ..., dataset_max_entity_count: _Optional[int] = ..., dataset_max_relation_count: _Optional[int] = ..., dataset_max_total_file_size: _Optional[int] = ..., dataset_count: _Optional[int] = ..., file_count: _Optional[int] = ..., total_file_size: _Optional[int] = ..., tags: _Optional[_Iterable[_Union[Tag, _Mapping]]] = ..., max_queued_tasks: _Optional[int] = ..., fairness_weight: _Optional[float] = ..., running_tasks: _Optional[int] = ..., queued_tasks: _Optional[int] = ...) -> None: ...
