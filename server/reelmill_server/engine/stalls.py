"""Workflows that do not go on: their code fails each time it is run, or no control worker takes them up."""

from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import PendingWorkflowTaskState
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse

# One failure may be a worker that is stopped; the engine tries again at once, then after 10 s, and less and less often.
_FAILURES = 2
UNTAKEN = timedelta(seconds=30)
"""A worker that runs takes a workflow up within milliseconds; one that is restarted, within seconds."""

CANNOT_REPLAY = "the control plane cannot carry the task on: its workflow fails when it is replayed"
"""Nothing has happened to the workflow yet, such as the end of its attempt; it will fail when something does."""

STALLED_QUERY = "TemporalReportedProblems IS NOT NULL"
"""Selects workflows whose code failed, or did not answer, several times in a row (Temporal 1.30 and later)."""


def problem_of(description: DescribeWorkflowExecutionResponse, now: datetime | None = None) -> str:
    """Return a sentence that says why a workflow does not go on at `now` (default: the time), empty if it does."""
    if not description.HasField("pending_workflow_task"):
        return ""
    pending = description.pending_workflow_task
    if pending.attempt > _FAILURES:
        return f"the control plane cannot carry the task on: its workflow failed {pending.attempt - 1} times in a row"
    waits = (now or datetime.now(UTC)) - pending.original_scheduled_time.ToDatetime(UTC)
    if pending.state == PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_SCHEDULED and waits > UNTAKEN:
        return f"no control worker has taken the task up for {waits.total_seconds():.0f} s"
    return ""
