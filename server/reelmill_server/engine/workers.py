"""The engine's pollers of this process: for workflows and control activities, and for attempts and inspections."""

from datetime import timedelta
from typing import Any, Protocol

from temporalio import activity
from temporalio.client import Client
from temporalio.worker import CustomSlotSupplier, FixedSizeSlotSupplier, SlotPermit, Worker, WorkerTuner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from reelmill_server.engine import (
    CONTROL_QUEUE,
    FAST_QUEUE,
    INSPECT_QUEUE,
    NOTIFY_QUEUE,
    encode_queue,
    presence_queue,
)
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
        activities=[activities.record_outcome, activities.present, notify.next, notify.note, notify.progress],
        workflow_runner=SandboxedWorkflowRunner(
            restrictions=SandboxRestrictions.default.with_passthrough_modules("reelmill_server", "opentelemetry")
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


class Door(Protocol):
    """Says when a task may be taken off a queue."""

    async def open(self) -> None:
        """Waits until one may be taken."""

    def close(self) -> None:
        """A task that was let in is gone, whether it came or not."""


class _Gate(CustomSlotSupplier):
    """Lets a worker poll only while a door is open."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def reserve_slot(self, ctx: Any) -> SlotPermit:
        """As the library asks: waits for room."""
        await self._door.open()
        return SlotPermit()

    def try_reserve_slot(self, ctx: Any) -> SlotPermit | None:
        """Nothing is taken out of turn."""
        return None

    def mark_slot_used(self, ctx: Any) -> None:
        """What is in use is known elsewhere."""

    def release_slot(self, ctx: Any) -> None:
        """The task has ended, or never came."""
        self._door.close()


def _gated(door: Door) -> WorkerTuner:
    unused = FixedSizeSlotSupplier(1)
    return WorkerTuner.create_composite(
        workflow_supplier=unused,
        activity_supplier=_Gate(door),
        local_activity_supplier=unused,
        nexus_supplier=unused,
    )


def fast_worker(client: Client, activities: WorkerActivities, door: Door, drain_seconds: float) -> Worker:
    """Looks at tasks, and does what is small, each taken when `door` is open; stops as an encode worker does."""
    return Worker(
        client,
        task_queue=FAST_QUEUE,
        activities=[activities.convert],
        tuner=_gated(door),
        max_heartbeat_throttle_interval=_HEARTBEAT_THROTTLE,
        default_heartbeat_throttle_interval=_HEARTBEAT_THROTTLE,
        graceful_shutdown_timeout=timedelta(seconds=drain_seconds),
    )


def encode_worker(client: Client, activities: WorkerActivities, family: str, door: Door, drain_seconds: float) -> Worker:
    """Runs attempts that want encoders of `family`, each taken when `door` is open.

    When stopped it takes no new ones and gives running ones `drain_seconds`.
    """
    return Worker(
        client,
        task_queue=encode_queue(family),
        activities=[activities.convert, activities.encode_unit],
        tuner=_gated(door),
        max_concurrent_activity_task_polls=1,  # each poll may bring a task, and room was asked for one
        max_heartbeat_throttle_interval=_HEARTBEAT_THROTTLE,
        default_heartbeat_throttle_interval=_HEARTBEAT_THROTTLE,
        graceful_shutdown_timeout=timedelta(seconds=drain_seconds),
    )


@activity.defn(name="stand_by")
async def _stand_by() -> None:
    """Never called."""


def presence_worker(client: Client, family: str) -> Worker:
    """Shows that encoders of `family` work here, as long as it runs."""
    return Worker(client, task_queue=presence_queue(family), activities=[_stand_by], max_concurrent_activities=1)


def inspect_worker(client: Client, activities: WorkerActivities, files: FileActivities, slots: int) -> Worker:
    """Runs short looks at media, writes small files and takes away what is left, at most `slots` at once."""
    return Worker(
        client,
        task_queue=INSPECT_QUEUE,
        activities=[activities.inspect, activities.erase, activities.withdraw, files.write],
        max_concurrent_activities=slots,
    )
