"""Tasks as messages."""

from datetime import UTC, datetime

import pytest

from reelmill_server.api import responses
from reelmill_server.model.task import Outcome, Progress, TaskRecord, TaskStatus
from reelmill_server.tasks.follower import Snapshot

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(("status", "progress"), [(TaskStatus.SUCCEEDED, 100), (TaskStatus.FAILED, 42)])
def test_a_task_that_has_ended_says_how_far_it_came(status: TaskStatus, progress: int) -> None:
    """Nobody watched: the record knows."""
    record = TaskRecord("task", "p", "", "", status, NOW, "{}", "{}", end_time=NOW, outcome=Outcome(status, percent=42))
    assert responses.task(Snapshot(record)).progress == progress


def test_a_task_that_does_not_go_on_says_why() -> None:
    """While it runs; what has ended has a message."""
    record = TaskRecord("task", "p", "", "", TaskStatus.RUNNING, NOW, "{}", "{}")
    assert responses.task(Snapshot(record, Progress(problem="no worker"))).problem == "no worker"
    assert responses.task(Snapshot(record)).problem == ""
