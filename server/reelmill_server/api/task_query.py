"""Filters of lists and watches of tasks: messages to queries."""

from datetime import UTC, datetime

from reelmill.v1 import media_convert_service_pb2 as pb
from reelmill.v1 import task_pb2
from reelmill_server.errors import (
    InvalidArgument,
)
from reelmill_server.model.task import TaskQuery, TaskStatus
from reelmill_server.tasks.selector import parse_selector

_DEFAULT_PAGE = 100
_SORTS = {
    pb.TASK_SORT_UNSPECIFIED: "task_id",
    pb.TASK_SORT_TASK_ID: "task_id",
    pb.TASK_SORT_START_TIME: "start_time",
    pb.TASK_SORT_END_TIME: "end_time",
}
_STATUSES = {
    task_pb2.TASK_STATUS_RUNNING: TaskStatus.RUNNING,
    task_pb2.TASK_STATUS_SUCCEEDED: TaskStatus.SUCCEEDED,
    task_pb2.TASK_STATUS_FAILED: TaskStatus.FAILED,
    task_pb2.TASK_STATUS_CANCELED: TaskStatus.CANCELED,
}


def status_filter(status: int) -> frozenset[TaskStatus]:
    """Return the statuses that match a filter; empty: all."""
    return frozenset({_STATUSES[status]}) if status in _STATUSES else frozenset()  # type: ignore[index]


def list_query(request: pb.ListTasksRequest) -> TaskQuery:
    """Return the query of a ListTasks request. Raises InvalidArgument."""

    def bound(time_range: pb.TimeRange, end: str) -> datetime | None:
        try:
            return getattr(time_range, end).ToDatetime(UTC) if time_range.HasField(end) else None
        except (ValueError, OverflowError) as error:
            raise InvalidArgument(f"the {end} of a time range is not a valid time: {error}") from error

    return TaskQuery(
        project_name=request.project_name,
        statuses=status_filter(request.status),
        tags=parse_selector(request.tag_selector),
        start_from=bound(request.start_time_range, "start"),
        start_to=bound(request.start_time_range, "end"),
        end_from=bound(request.end_time_range, "start"),
        end_to=bound(request.end_time_range, "end"),
        sort=_SORTS[request.sort],
        descending=request.order == pb.SORT_ORDER_DESC,
        limit=request.max_results or _DEFAULT_PAGE,
        next_token=request.next_token,
        requests=request.request_definition,
    )
