"""Messages about tasks: the contract's body and envelope, and the same as a CloudEvent."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from reelmill_server.model.notification import END
from reelmill_server.model.task import TaskRecord

SOURCE = "acs.imm"
TYPE = "imm:Task:MediaConvert"
_MILLISECONDS = 1000


@dataclass(frozen=True)
class Origin:
    """Sender of messages, in the terms of the contract's resource names."""

    region: str
    account: str


@dataclass(frozen=True)
class Message:
    """A message about a task; `message_id` is the same in every attempt to send it."""

    message_id: str
    task_id: str
    subject: str
    time: datetime
    body: Mapping[str, Any]

    def envelope(self) -> str:
        """Return the vendor's form of the message: JSON that contains the body as a JSON string."""
        return compact(
            {
                "id": self.message_id,
                "source": SOURCE,
                "type": TYPE,
                "subject": self.subject,
                "time": str(round(self.time.timestamp() * _MILLISECONDS)),
                "content": compact(self.body),
            }
        )

    def cloud_event(self) -> str:
        """Return the message as a CloudEvent 1.0 in structured JSON."""
        return compact(
            {
                "specversion": "1.0",
                "id": self.message_id,
                "source": SOURCE,
                "type": TYPE,
                "subject": self.subject,
                "time": rfc3339(self.time),
                "datacontenttype": "application/json",
                "data": self.body,
            }
        )


def message(record: TaskRecord, percent: int, time: datetime, origin: Origin) -> Message:
    """Return the message that reports a task's end, or its progress if `percent` is below END."""
    return Message(
        message_id=record.event_id if percent == END else f"{record.event_id}-{percent}",
        task_id=record.task_id,
        subject=f"acs:imm:{origin.region}:{origin.account}:{record.project_name}/{TYPE}",
        time=time,
        body=body(record) if percent == END else body(record, percent),
    )


def body(record: TaskRecord, percent: int | None = None) -> dict[str, Any]:
    """Return the contract's body; with `percent` that of a running task, extended by Progress."""
    running, outcome = percent is not None, record.outcome
    request = json.loads(record.request_json)
    fields: dict[str, Any] = {
        "ProjectName": record.project_name,
        "DatasetName": "",
        "RequestId": record.request_id,
        "StartTime": rfc3339(record.start_time),
        "EndTime": rfc3339(record.end_time) if record.end_time and not running else "",
        "UserData": record.user_data,
        "TaskType": "MediaConvert",
        "TaskId": record.task_id,
        "Status": "Running" if running else record.status.value,
        "Code": outcome.code if outcome and not running else "",
        "Message": outcome.message if outcome and not running else "",
        "EventSourceId": "",
        "Sources": [_source(source) for source in request.get("Sources", ())],
        "Targets": [_target(target) for target in request.get("Targets", ())],
    }
    if request.get("TargetGroups"):
        fields["TargetGroups"] = [
            {"URI": group.get("URI", ""), "Targets": _uris(group.get("Targets", ()))} for group in request["TargetGroups"]
        ]
    if running:
        fields["Progress"] = percent
    return fields


def extended(record: TaskRecord, detail: Mapping[str, Any]) -> str:
    """Return the content of the extended message: the body, and `detail`, the task as the API returns it."""
    return compact({**body(record), "Task": dict(detail)})


def compact(value: Any) -> str:
    """Return JSON without spaces and without escapes for Unicode."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def rfc3339(time: datetime) -> str:
    """Return a time as RFC 3339 text in UTC, to the microsecond."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _source(source: Mapping[str, Any]) -> dict[str, Any]:
    return {"URI": source.get("URI", ""), "SubtitleSources": _uris(source.get("Subtitles", ())) or None}


def _target(target: Mapping[str, Any]) -> dict[str, Any]:
    extract = target.get("Subtitle", {}).get("ExtractSubtitle", {})
    image = target.get("Image", {})
    return {
        "URI": target.get("URI", ""),
        "Subtitle": {"Extract": {"URI": extract.get("URI", "")}},
        "Image": {kind: _uris(image.get(kind, ())) or None for kind in ("Sprites", "Snapshots", "Animations")},
    }


def _uris(entries: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    return [{"URI": entry.get("URI", "")} for entry in entries]
