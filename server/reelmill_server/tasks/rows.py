"""Conversion of rows to records and back: times as microseconds, tags and outcomes as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Select, select

from reelmill_server.model.plain import adapter, plain, to_json
from reelmill_server.model.project import Project, Quotas
from reelmill_server.model.task import UNREPORTED, Outcome, Progress, ReportedProgress, TaskRecord, TaskStatus
from reelmill_server.tasks.tables import NOT_ENDED, task_progress, tasks

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_microseconds(time: datetime) -> int:
    """Return the exact microseconds from 1970 UTC to an aware time; raises ValueError for a time without a zone."""
    if time.tzinfo is None:
        raise ValueError("expected a time with a zone")
    return (time - _EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """Return the UTC time that many microseconds after 1970."""
    return _EPOCH + microseconds * _MICROSECOND


def encode_outcome(outcome: Outcome) -> str:
    """Return an outcome as JSON."""
    return json.dumps(plain(outcome))


def decode_outcome(text: str) -> Outcome:
    """Parse the JSON of an outcome, of this version or another: unknown fields are ignored, missing ones get their defaults."""
    outcome: Outcome = adapter(Outcome).validate_json(text)
    return outcome


def task_row(record: TaskRecord) -> dict[str, Any]:
    """Return a task as a row of the tasks table."""
    return {
        "task_id": record.task_id,
        "project_name": record.project_name,
        "request_id": record.request_id,
        "request_key": record.request_id or None,
        "event_id": record.event_id,
        "status": record.status.value,
        "priority": record.priority,
        "start_time": to_microseconds(record.start_time),
        "end_time": NOT_ENDED if record.end_time is None else to_microseconds(record.end_time),
        "admitted": record.admitted,
        "engine_started": record.engine_started,
        "cancel_requested": record.cancel_requested,
        "user_data": record.user_data,
        "tags": json.dumps(dict(record.tags)),
        "request_json": record.request_json,
        "work_json": record.work_json,
        "outcome": None if record.outcome is None else encode_outcome(record.outcome),
        "created_by": record.created_by,
        "retry_of": record.retry_of,
    }


def record_bytes(values: Mapping[str, Any]) -> int:
    """Return about how many bytes the values of a row take, with its indexes."""
    return sum(len(value.encode()) for value in values.values() if isinstance(value, str))


def encode_progress(progress: Progress) -> str:
    """Return progress as JSON."""
    return to_json(progress).decode()


@cache
def report_columns() -> Sequence[ColumnElement[Any]]:
    """Return the columns of `report_of`, under names that no column of a task has."""
    names = ("percent", "progress", "working", "lane", "problem")
    return [task_progress.c[name].label(f"told_{name}") for name in names]


def report_of(row: RowMapping) -> ReportedProgress:
    """Return what is known of a task from a row with `report_columns`, or without any."""
    text = row.get("told_progress")
    if text is None:
        return UNREPORTED
    progress = adapter(Progress).validate_json(text)  # of any version, like outcomes
    return ReportedProgress(
        replace(progress, percent=row["told_percent"], problem=row["told_problem"]), row["told_working"], row["told_lane"]
    )


@cache
def shown_tasks(request: bool = False, work: bool = False) -> Select[Any]:
    """Return the statement that selects tasks as `task_record` needs them: request and work, the largest, only where wanted."""
    left_out = ({"request_json"} if not request else set()) | ({"work_json"} if not work else set())
    columns = [column for column in tasks.c if column.name not in left_out]
    return select(*columns, *report_columns()).select_from(tasks.outerjoin(task_progress))


def task_record(row: RowMapping) -> TaskRecord:
    """Return the task of a row of the tasks table; texts that were not selected are empty."""
    return TaskRecord(
        task_id=row["task_id"],
        project_name=row["project_name"],
        request_id=row["request_id"],
        event_id=row["event_id"],
        status=TaskStatus(row["status"]),
        start_time=from_microseconds(row["start_time"]),
        request_json=row.get("request_json", ""),
        work_json=row.get("work_json", ""),
        user_data=row["user_data"],
        tags=json.loads(row["tags"]),
        priority=row["priority"],
        end_time=None if row["end_time"] == NOT_ENDED else from_microseconds(row["end_time"]),
        admitted=row["admitted"],
        engine_started=row["engine_started"],
        cancel_requested=row["cancel_requested"],
        outcome=None if row["outcome"] is None else decode_outcome(row["outcome"]),
        created_by=row["created_by"],
        retry_of=row["retry_of"],
        report=report_of(row),
    )


def project_record(row: RowMapping, tags: Mapping[str, str]) -> Project:
    """Return the project of a row of the projects table and the project's tags."""
    return Project(
        project_name=row["project_name"],
        create_time=from_microseconds(row["create_time"]),
        update_time=from_microseconds(row["update_time"]),
        description=row["description"],
        service_role=row["service_role"],
        quotas=Quotas(row["engine_concurrency"], row["max_queued_tasks"], row["fairness_weight"]),
        tags=tags,
        dataset_limits=json.loads(row["dataset_limits"]),
    )
