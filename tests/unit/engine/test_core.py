"""The log of the engine's client library."""

import logging
from types import SimpleNamespace

import pytest

from reelmill_server.engine.core import name_task


@pytest.mark.parametrize(("fields", "task_id"), [({"workflow_id": "MediaConvert-1"}, "MediaConvert-1"), ({}, None)])
def test_lines_of_a_workflow_name_the_task(fields: dict[str, str], task_id: str | None) -> None:
    """As our own do; the object that the library adds is not logged."""
    record = logging.LogRecord("temporalio.core", logging.WARNING, "", 0, "failing workflow task", (), None)
    record.temporal_log = SimpleNamespace(fields=fields)
    assert name_task(record)
    assert getattr(record, "task_id", None) == task_id and not hasattr(record, "temporal_log")
