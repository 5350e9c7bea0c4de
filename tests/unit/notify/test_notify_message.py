"""What is said of tasks, against the contract's sample."""

import json
from dataclasses import replace
from datetime import UTC, datetime

from reelmill_server.model.notification import END
from reelmill_server.model.task import Outcome, TaskRecord, TaskStatus
from reelmill_server.notify.message import Origin, body, extended, message

START = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
FINISH = datetime(2026, 1, 2, 3, 5, 0, tzinfo=UTC)
REQUEST = {
    "ProjectName": "demo",
    "Sources": [
        {"URI": "oss://in/a.mkv"},
        {"URI": "oss://in/b.mkv", "Subtitles": [{"URI": "oss://in/b.srt", "Language": "eng"}]},
    ],
    "Targets": [
        {
            "URI": "oss://out/a.mp4",
            "Container": "mp4",
            "Subtitle": {"ExtractSubtitle": {"URI": "oss://out/a", "Format": "srt"}},
            "Image": {"Snapshots": [{"URI": "oss://out/{autoindex}.jpg", "Format": "jpg"}]},
        },
        {"Image": {"Sprites": [{"URI": "oss://out/s.jpg"}]}},
    ],
}
RECORD = TaskRecord(
    task_id="MediaConvert-1",
    project_name="demo",
    request_id="0b9e2ad4-46b0-4d0c-8e0e-0f1f3a1f6f3a",
    event_id="2F6-1Bz99Xi93EnRpNEyLudILJm",
    status=TaskStatus.SUCCEEDED,
    start_time=START,
    end_time=FINISH,
    request_json=json.dumps(REQUEST),
    work_json="{}",
    user_data='{"id": "ü"}',
    outcome=Outcome(TaskStatus.SUCCEEDED),
)
ORIGIN = Origin("cn-shanghai", "1023210024677934")

# Section 5.2 of the contract: names, order, empty values.
SUCCESS = {
    "ProjectName": "demo",
    "DatasetName": "",
    "RequestId": "0b9e2ad4-46b0-4d0c-8e0e-0f1f3a1f6f3a",
    "StartTime": "2026-01-02T03:04:05.678901Z",
    "EndTime": "2026-01-02T03:05:00.000000Z",
    "UserData": '{"id": "ü"}',
    "TaskType": "MediaConvert",
    "TaskId": "MediaConvert-1",
    "Status": "Succeeded",
    "Code": "",
    "Message": "",
    "EventSourceId": "",
    "Sources": [
        {"URI": "oss://in/a.mkv", "SubtitleSources": None},
        {"URI": "oss://in/b.mkv", "SubtitleSources": [{"URI": "oss://in/b.srt"}]},
    ],
    "Targets": [
        {
            "URI": "oss://out/a.mp4",
            "Subtitle": {"Extract": {"URI": "oss://out/a"}},
            "Image": {"Sprites": None, "Snapshots": [{"URI": "oss://out/{autoindex}.jpg"}], "Animations": None},
        },
        {
            "URI": "",
            "Subtitle": {"Extract": {"URI": ""}},
            "Image": {"Sprites": [{"URI": "oss://out/s.jpg"}], "Snapshots": None, "Animations": None},
        },
    ],
}


def test_the_body_is_that_of_the_sample() -> None:
    """Every name in the documented order, and nothing more."""
    assert json.dumps(body(RECORD)) == json.dumps(SUCCESS)


def test_the_envelope_holds_the_body_as_a_text() -> None:
    """Section 5.1."""
    envelope = json.loads(message(RECORD, END, FINISH, ORIGIN).envelope())
    content = envelope.pop("content")
    assert envelope == {
        "id": "2F6-1Bz99Xi93EnRpNEyLudILJm",
        "source": "acs.imm",
        "type": "imm:Task:MediaConvert",
        "subject": "acs:imm:cn-shanghai:1023210024677934:demo/imm:Task:MediaConvert",
        "time": "1767323100000",
    }
    assert isinstance(content, str) and json.loads(content) == SUCCESS


def test_a_failure_and_a_cancel_say_why() -> None:
    """The same shape."""
    for status, code in ((TaskStatus.FAILED, "InvalidMedia"), (TaskStatus.CANCELED, "Canceled")):
        ended = replace(RECORD, status=status, outcome=Outcome(status, code, "why"))
        assert body(ended) == SUCCESS | {"Status": status.value, "Code": code, "Message": "why"}


def test_progress_has_an_id_of_its_own_and_no_end() -> None:
    """Also when it is sent after the end."""
    said = message(RECORD, 25, START, ORIGIN)
    assert said.message_id == "2F6-1Bz99Xi93EnRpNEyLudILJm-25"
    assert said.body == SUCCESS | {"Status": "Running", "EndTime": "", "Progress": 25}


def test_groups_are_told_when_there_are_any() -> None:
    """Ours: the vendor's message has no place for them."""
    groups = [{"URI": "oss://out/m.m3u8", "Targets": [{"URI": "oss://out/720.m3u8", "Container": "ts"}]}]
    record = replace(RECORD, request_json=json.dumps({"Sources": [], "TargetGroups": groups}))
    assert body(record)["TargetGroups"] == [{"URI": "oss://out/m.m3u8", "Targets": [{"URI": "oss://out/720.m3u8"}]}]


def test_a_cloud_event_has_what_the_standard_demands() -> None:
    """CloudEvents 1.0 in structured mode, the body as it is."""
    assert json.loads(message(RECORD, END, FINISH, ORIGIN).cloud_event()) == {
        "specversion": "1.0",
        "id": "2F6-1Bz99Xi93EnRpNEyLudILJm",
        "source": "acs.imm",
        "type": "imm:Task:MediaConvert",
        "subject": "acs:imm:cn-shanghai:1023210024677934:demo/imm:Task:MediaConvert",
        "time": "2026-01-02T03:05:00.000000Z",
        "datacontenttype": "application/json",
        "data": SUCCESS,
    }


def test_the_file_holds_the_body_and_the_whole_task() -> None:
    """Artifacts and all."""
    assert json.loads(extended(RECORD, {"Artifacts": [{"URI": "x"}]})) == SUCCESS | {"Task": {"Artifacts": [{"URI": "x"}]}}
