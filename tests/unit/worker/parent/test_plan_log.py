"""The plan of an attempt in the log."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import InputPlan, PartPlan, Plan, StreamPlan, StreamType, TargetPlan
from reelmill_server.model.request import ConvertRequest, SourceSpec
from reelmill_server.telemetry.logging import configure_logging
from reelmill_server.worker import messages
from reelmill_server.worker.parent.plan_log import log_plan

COPIED = StreamPlan(StreamType.VIDEO, (PartPlan(0),), "h264", "copy", "stream copy")
PLAN = Plan((TargetPlan(0, "s3://out/x.mp4", "mp4", "mp4", 0, (COPIED,)),), inputs=(InputPlan(0, 0, 0, 0, 0),))
SIGNED = "https://key:password@host/a.mp4?X-Amz-Credential=key&X-Amz-Signature=abc123&id=7"


def assignment(uri: str) -> messages.Assignment:
    """A conversion of one source."""
    request = ConvertRequest("task", "project", (SourceSpec(uri),), ())
    return messages.Assignment(action="convert", limits=Limits(), request=request)


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What is written as JSON; afterwards, what configure_logging changes for the whole process is put back."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    root.handlers = []  # else the handlers of pytest would be closed
    configure_logging("json", "info", stream)
    yield stream
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def test_credentials_and_signatures_are_not_in_it(logged: io.StringIO) -> None:
    """The link stays, as far as it names the file."""
    log_plan(assignment(SIGNED), PLAN)
    event = json.loads(logged.getvalue())
    assert event["event"] == "attempt planned" and event["level"] == "info"
    assert "-i https://host/a.mp4 " in event["ffmpeg"] and event["notes"]
    assert not any(secret in logged.getvalue() for secret in ("password", "abc123", "X-Amz", "id=7"))


def test_an_attempt_does_not_fail_for_want_of_it(logged: io.StringIO) -> None:
    """What cannot be written is logged as the fault that it is."""
    log_plan(assignment(SIGNED), Plan(PLAN.targets))
    event = json.loads(logged.getvalue())
    assert event["level"] == "error" and "abc123" not in logged.getvalue()
