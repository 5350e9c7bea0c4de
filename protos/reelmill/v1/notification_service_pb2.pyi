import datetime

from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class NotificationState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NOTIFICATION_STATE_UNSPECIFIED: _ClassVar[NotificationState]
    NOTIFICATION_STATE_WAITING: _ClassVar[NotificationState]
    NOTIFICATION_STATE_PENDING: _ClassVar[NotificationState]
    NOTIFICATION_STATE_DELIVERED: _ClassVar[NotificationState]
    NOTIFICATION_STATE_FAILED: _ClassVar[NotificationState]
    NOTIFICATION_STATE_SUPERSEDED: _ClassVar[NotificationState]
NOTIFICATION_STATE_UNSPECIFIED: NotificationState
NOTIFICATION_STATE_WAITING: NotificationState
NOTIFICATION_STATE_PENDING: NotificationState
NOTIFICATION_STATE_DELIVERED: NotificationState
NOTIFICATION_STATE_FAILED: NotificationState
NOTIFICATION_STATE_SUPERSEDED: NotificationState

class ListNotificationsRequest(_message.Message):
    __slots__ = ("project_name", "task_id", "state", "max_results", "next_token")
    PROJECT_NAME_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    MAX_RESULTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    project_name: str
    task_id: str
    state: NotificationState
    max_results: int
    next_token: str
    def __init__(self, project_name: _Optional[str] = ..., task_id: _Optional[str] = ..., state: _Optional[_Union[NotificationState, str]] = ..., max_results: _Optional[int] = ..., next_token: _Optional[str] = ...) -> None: ...

class ListNotificationsResponse(_message.Message):
    __slots__ = ("request_id", "notifications", "next_token")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    NOTIFICATIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    notifications: _containers.RepeatedCompositeFieldContainer[NotificationStatus]
    next_token: str
    def __init__(self, request_id: _Optional[str] = ..., notifications: _Optional[_Iterable[_Union[NotificationStatus, _Mapping]]] = ..., next_token: _Optional[str] = ...) -> None: ...

class RedeliverNotificationRequest(_message.Message):
    __slots__ = ("project_name", "notification_id")
    PROJECT_NAME_FIELD_NUMBER: _ClassVar[int]
    NOTIFICATION_ID_FIELD_NUMBER: _ClassVar[int]
    project_name: str
    notification_id: str
    def __init__(self, project_name: _Optional[str] = ..., notification_id: _Optional[str] = ...) -> None: ...

class RedeliverNotificationResponse(_message.Message):
    __slots__ = ("request_id", "notification")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    NOTIFICATION_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    notification: NotificationStatus
    def __init__(self, request_id: _Optional[str] = ..., notification: _Optional[_Union[NotificationStatus, _Mapping]] = ...) -> None: ...

class NotificationStatus(_message.Message):
    __slots__ = ("notification_id", "task_id", "channel", "destination", "progress", "state", "attempts", "last_error", "create_time", "last_attempt_time", "next_attempt_time")
    NOTIFICATION_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_ATTEMPT_TIME_FIELD_NUMBER: _ClassVar[int]
    NEXT_ATTEMPT_TIME_FIELD_NUMBER: _ClassVar[int]
    notification_id: str
    task_id: str
    channel: str
    destination: str
    progress: int
    state: NotificationState
    attempts: int
    last_error: str
    create_time: _timestamp_pb2.Timestamp
    last_attempt_time: _timestamp_pb2.Timestamp
    next_attempt_time: _timestamp_pb2.Timestamp
    def __init__(self, notification_id: _Optional[str] = ..., task_id: _Optional[str] = ..., channel: _Optional[str] = ..., destination: _Optional[str] = ..., progress: _Optional[int] = ..., state: _Optional[_Union[NotificationState, str]] = ..., attempts: _Optional[int] = ..., last_error: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_attempt_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., next_attempt_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
