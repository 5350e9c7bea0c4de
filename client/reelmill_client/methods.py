"""The service's methods with their message types: a typed replacement for the generated stubs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message

from reelmill.v1 import key_service_pb2 as keys
from reelmill.v1 import media_convert_service_pb2 as media_convert
from reelmill.v1 import notification_service_pb2 as notifications
from reelmill.v1 import project_service_pb2 as projects

RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT", bound=Message)

_MEDIA_CONVERT = "reelmill.v1.MediaConvertService"
_PROJECTS = "reelmill.v1.ProjectService"
_NOTIFICATIONS = "reelmill.v1.NotificationService"
_KEYS = "reelmill.v1.KeyService"


@dataclass(frozen=True)
class Method(Generic[RequestT, ResponseT]):
    """One method; `retry` marks it as idempotent."""

    service: str
    name: str
    request: type[RequestT]
    response: type[ResponseT]
    retry: bool = False

    @property
    def path(self) -> str:
        """The method's HTTP/2 path."""
        return f"/{self.service}/{self.name}"

    @property
    def serializer(self) -> Callable[[RequestT], bytes]:
        return self.request.SerializeToString

    @property
    def deserializer(self) -> Callable[[bytes], ResponseT]:
        return self.response.FromString


# Safe to repeat because every request of this client carries a request_id.
CREATE_TASK = Method(
    _MEDIA_CONVERT,
    "CreateMediaConvertTask",
    media_convert.CreateMediaConvertTaskRequest,
    media_convert.CreateMediaConvertTaskResponse,
    retry=True,
)
GET_TASK = Method(_MEDIA_CONVERT, "GetTask", media_convert.GetTaskRequest, media_convert.GetTaskResponse, retry=True)
LIST_TASKS = Method(_MEDIA_CONVERT, "ListTasks", media_convert.ListTasksRequest, media_convert.ListTasksResponse, retry=True)
WATCH_TASK = Method(_MEDIA_CONVERT, "WatchTask", media_convert.WatchTaskRequest, media_convert.WatchTaskResponse)
WATCH_TASKS = Method(_MEDIA_CONVERT, "WatchTasks", media_convert.WatchTasksRequest, media_convert.WatchTasksResponse)
CANCEL_TASK = Method(_MEDIA_CONVERT, "CancelTask", media_convert.CancelTaskRequest, media_convert.CancelTaskResponse)
# Safe to repeat for the same reason as CREATE_TASK.
RETRY_TASK = Method(_MEDIA_CONVERT, "RetryTask", media_convert.RetryTaskRequest, media_convert.RetryTaskResponse, retry=True)
PLAN_TASK = Method(
    _MEDIA_CONVERT,
    "PlanMediaConvertTask",
    media_convert.PlanMediaConvertTaskRequest,
    media_convert.PlanMediaConvertTaskResponse,
    retry=True,
)
PROBE_MEDIA = Method(
    _MEDIA_CONVERT, "ProbeMedia", media_convert.ProbeMediaRequest, media_convert.ProbeMediaResponse, retry=True
)
GET_CAPABILITIES = Method(
    _MEDIA_CONVERT, "GetCapabilities", media_convert.GetCapabilitiesRequest, media_convert.GetCapabilitiesResponse, retry=True
)
LIST_WORKERS = Method(
    _MEDIA_CONVERT, "ListWorkers", media_convert.ListWorkersRequest, media_convert.ListWorkersResponse, retry=True
)
CREATE_PROJECT = Method(_PROJECTS, "CreateProject", projects.CreateProjectRequest, projects.CreateProjectResponse)
GET_PROJECT = Method(_PROJECTS, "GetProject", projects.GetProjectRequest, projects.GetProjectResponse, retry=True)
UPDATE_PROJECT = Method(_PROJECTS, "UpdateProject", projects.UpdateProjectRequest, projects.UpdateProjectResponse)
LIST_PROJECTS = Method(_PROJECTS, "ListProjects", projects.ListProjectsRequest, projects.ListProjectsResponse, retry=True)
DELETE_PROJECT = Method(_PROJECTS, "DeleteProject", projects.DeleteProjectRequest, projects.DeleteProjectResponse)
LIST_NOTIFICATIONS = Method(
    _NOTIFICATIONS,
    "ListNotifications",
    notifications.ListNotificationsRequest,
    notifications.ListNotificationsResponse,
    retry=True,
)
REDELIVER_NOTIFICATION = Method(
    _NOTIFICATIONS,
    "RedeliverNotification",
    notifications.RedeliverNotificationRequest,
    notifications.RedeliverNotificationResponse,
)
CREATE_KEY = Method(_KEYS, "CreateKey", keys.CreateKeyRequest, keys.CreateKeyResponse)
LIST_KEYS = Method(_KEYS, "ListKeys", keys.ListKeysRequest, keys.ListKeysResponse, retry=True)
REVOKE_KEY = Method(_KEYS, "RevokeKey", keys.RevokeKeyRequest, keys.RevokeKeyResponse)

RETRIED = (
    CREATE_TASK,
    GET_TASK,
    LIST_TASKS,
    RETRY_TASK,
    PLAN_TASK,
    PROBE_MEDIA,
    GET_CAPABILITIES,
    LIST_WORKERS,
    GET_PROJECT,
    LIST_PROJECTS,
    LIST_NOTIFICATIONS,
    LIST_KEYS,
)
