"""The engine's pollers of this process: for workflows and control activities, and for attempts and inspections."""

from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from reelmill_server.engine import CONTROL_QUEUE, ENCODE_QUEUE, INSPECT_QUEUE, NOTIFY_QUEUE
from reelmill_server.engine.activities import ControlActivities, WorkerActivities
from reelmill_server.engine.notifying import FileActivities, NotifyActivities, NotifyWorkflow, ProgressWorkflow
from reelmill_server.engine.workflow import InspectWorkflow, MediaConvertWorkflow

# A cancel reaches an attempt with a heartbeat: with the engine's default throttle that takes 3 s and more.
_HEARTBEAT_THROTTLE = timedelta(seconds=0.4)
_DELIVERIES_AT_ONCE = 64
_DELIVERY_GRACE = timedelta(seconds=5)  # one that is cut off is sent twice


def control_worker(client: Client, activities: ControlActivities, notify: NotifyActivities) -> Worker:
    """Runs workflows, and records outcomes and what became of notifications."""
    return Worker(
        client,
        task_queue=CONTROL_QUEUE,
        workflows=[MediaConvertWorkflow, InspectWorkflow, NotifyWorkflow, ProgressWorkflow],
        activities=[activities.record_outcome, notify.next, notify.note, notify.progress],
        workflow_runner=SandboxedWorkflowRunner(
            restrictions=SandboxRestrictions.default.with_passthrough_modules("reelmill_server")
        ),
    )


def notify_worker(client: Client, activities: NotifyActivities) -> Worker:
    """Delivers notifications."""
    return Worker(
        client,
        task_queue=NOTIFY_QUEUE,
        activities=[activities.deliver],
        max_concurrent_activities=_DELIVERIES_AT_ONCE,
        graceful_shutdown_timeout=_DELIVERY_GRACE,
    )


def encode_worker(client: Client, activities: WorkerActivities, slots: int, drain_seconds: float) -> Worker:
    """Runs attempts, at most `slots` at once; when stopped it takes no new ones and gives running ones `drain_seconds`."""
    return Worker(
        client,
        task_queue=ENCODE_QUEUE,
        activities=[activities.convert],
        max_concurrent_activities=slots,
        max_heartbeat_throttle_interval=_HEARTBEAT_THROTTLE,
        default_heartbeat_throttle_interval=_HEARTBEAT_THROTTLE,
        graceful_shutdown_timeout=timedelta(seconds=drain_seconds),
    )


def inspect_worker(client: Client, activities: WorkerActivities, files: FileActivities, slots: int) -> Worker:
    """Runs short looks at media, and writes small files, at most `slots` at once."""
    return Worker(
        client,
        task_queue=INSPECT_QUEUE,
        activities=[activities.inspect, files.write],
        max_concurrent_activities=slots,
    )
