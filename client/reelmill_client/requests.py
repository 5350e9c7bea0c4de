"""Requests built from a message, a dictionary in the vendor's form, or keyword arguments."""

import re
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypedDict, TypeVar, cast

from google.protobuf.message import Message

from reelmill import vendor_json
from reelmill.v1 import media_convert_service_pb2 as media_convert
from reelmill.v1 import notification_service_pb2 as notifications
from reelmill.v1 import project_service_pb2 as projects
from reelmill_client.conversion import Conversion, conversion_request, to_uri
from reelmill_client.errors import InvalidArgument, Violation

MessageT = TypeVar("MessageT", bound=Message)
CreateRequest = media_convert.CreateMediaConvertTaskRequest | Mapping[str, object]


class TaskFilter(TypedDict, total=False):
    """Filter and order of `list`.

    Enum values are the vendor's: `status` Running, Succeeded, Failed or Canceled; `sort` TaskId (default), StartTime or
    EndTime; `order` asc (default) or desc. Times are datetimes with a time zone or RFC 3339 strings, both ends inclusive. All
    `tags` must match. `with_definition` fills `task_request_definition`.
    """

    status: str | int
    tags: Mapping[str, str]
    start_from: datetime | str
    start_to: datetime | str
    end_from: datetime | str
    end_to: datetime | str
    sort: str | int
    order: str | int
    with_definition: bool


class ProjectSettings(TypedDict, total=False):
    """Settings of a project; project_service.proto states their ranges."""

    description: str
    service_role: str
    template_id: str
    tags: Mapping[str, str]
    project_max_dataset_count: int
    dataset_max_bind_count: int
    dataset_max_file_count: int
    dataset_max_entity_count: int
    dataset_max_relation_count: int
    dataset_max_total_file_size: int
    engine_concurrency: int
    max_queued_tasks: int
    fairness_weight: float


def build_request(
    request: CreateRequest | None, project: str, conversion: Conversion
) -> media_convert.CreateMediaConvertTaskRequest:
    """Return the request to create a task, from `request` or else from the keyword arguments of a conversion.

    A request that names no project gets `project`; a given message is not changed. Raises InvalidArgument.
    """
    if (request is None) == (not conversion):
        raise TypeError("give either a request or the keyword arguments of a conversion")
    built = media_convert.CreateMediaConvertTaskRequest()
    if isinstance(request, media_convert.CreateMediaConvertTaskRequest):
        built.CopyFrom(request)
    else:
        built = read(conversion_request(conversion) if request is None else request, type(built))
    built.project_name = built.project_name or project
    return built


def retry_request(project: str, task_id: str) -> media_convert.RetryTaskRequest:
    """Return a request to retry a task, with a random request_id, so that sending it twice creates one task."""
    return media_convert.RetryTaskRequest(project_name=project, task_id=task_id, request_id=str(uuid.uuid4()))


def with_request_id(request: media_convert.CreateMediaConvertTaskRequest) -> media_convert.CreateMediaConvertTaskRequest:
    """Set a random `request_id` unless the request has one, so that sending it twice creates one task."""
    request.request_id = request.request_id or str(uuid.uuid4())
    return request


def list_request(
    project: str, task_filter: TaskFilter, page_size: int = 0, page_token: str = ""
) -> media_convert.ListTasksRequest:
    """Return a request for one page of tasks; `page_size` is 1 to 100, 0 for the maximum."""
    data = {
        "project_name": project,
        "status": task_filter.get("status"),
        "tag_selector": tag_selector(task_filter.get("tags", {})),
        "start_time_range": _range(task_filter.get("start_from"), task_filter.get("start_to")),
        "end_time_range": _range(task_filter.get("end_from"), task_filter.get("end_to")),
        "sort": task_filter.get("sort"),
        "order": task_filter.get("order"),
        "max_results": page_size,
        "next_token": page_token,
        "request_definition": task_filter.get("with_definition", False),
    }
    return read(data, media_convert.ListTasksRequest)


def watch_all_request(
    project: str, tags: Mapping[str, str] | None, status: str | int | None
) -> media_convert.WatchTasksRequest:
    data = {"project_name": project, "tag_selector": tag_selector(tags or {}), "status": status}
    return read(data, media_convert.WatchTasksRequest)


def probe_request(project: str, source: str) -> media_convert.ProbeMediaRequest:
    """Return a request to probe a file, given by URI or by its path on the server's machine."""
    return media_convert.ProbeMediaRequest(project_name=project, source_uri=to_uri(source))


def list_notifications_request(
    project: str, task_id: str = "", state: str | int | None = None, page_token: str = ""
) -> notifications.ListNotificationsRequest:
    """Return a request for one page of notifications, of all tasks if `task_id` is empty."""
    data = {"project_name": project, "task_id": task_id, "state": state, "next_token": page_token}
    return read(data, notifications.ListNotificationsRequest)


def create_project_request(name: str, settings: ProjectSettings) -> projects.CreateProjectRequest:
    return read(_project(name, settings), projects.CreateProjectRequest)


def update_project_request(name: str, settings: ProjectSettings) -> projects.UpdateProjectRequest:
    return read(_project(name, settings), projects.UpdateProjectRequest)


def list_projects_request(
    prefix: str, tags: Mapping[str, str] | None, page_size: int = 0, page_token: str = ""
) -> projects.ListProjectsRequest:
    """Return a request for one page of projects; `page_size` is 1 to 200, 0 for 100."""
    data = {"prefix": prefix, "tag": _tags(tags or {}), "max_results": page_size, "next_token": page_token}
    return read(data, projects.ListProjectsRequest)


def tag_selector(tags: Mapping[str, str]) -> str:
    """Return a tag selector, `key=value,…`; raises InvalidArgument for tags that its grammar cannot express."""
    invalid = [key for key, value in tags.items() if "," in f"{key}{value}" or "=" in key or not key]
    if invalid:
        raise InvalidArgument(violations=[Violation(f"tags[{key!r}]", "a selector cannot contain a comma") for key in invalid])
    return ",".join(f"{key}={value}" for key, value in tags.items())


def pairs(texts: Iterable[str]) -> dict[str, str]:
    """Parse `key=value` strings; raises InvalidArgument for others."""
    texts = list(texts)
    invalid = [text for text in texts if not re.match(r"[^=]+=", text)]
    if invalid:
        raise InvalidArgument(violations=[Violation("tag", f"must be key=value, not {text!r}") for text in invalid])
    return {key: value for key, _, value in (text.partition("=") for text in texts)}


def read(data: Mapping[str, object], message_type: type[MessageT]) -> MessageT:
    """Parse vendor JSON into a message; raises InvalidArgument listing every problem."""
    try:
        return vendor_json.parse(data, message_type)
    except vendor_json.VendorJsonError as error:
        violations = [Violation(path, text) for path, text in error.problems]
        raise InvalidArgument(code="InvalidArgument", violations=violations) from error


def _project(name: str, settings: ProjectSettings) -> dict[str, object]:
    fields = cast(dict[str, Any], dict(settings))
    tags = fields.pop("tags", None) or {}
    return {"project_name": name, **fields, "tag": _tags(tags)}


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _range(first: datetime | str | None, last: datetime | str | None) -> dict[str, str | None] | None:
    if first is None and last is None:
        return None
    return {"start": _timestamp(first), "end": _timestamp(last)}


def _timestamp(time: datetime | str | None) -> str | None:
    """Return RFC 3339 text; a datetime without a zone is local time, as everywhere in Python."""
    return time.astimezone().isoformat() if isinstance(time, datetime) else time
