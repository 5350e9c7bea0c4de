"""Create the engine's workers of this process: for workflows, control activities, attempts, inspections, notifications."""

from datetime import timedelta
from typing import Any, Protocol

from temporalio import activity
from temporalio.client import Client
from temporalio.worker import (
    CustomSlotSupplier,
    FixedSizeSlotSupplier,
    SlotPermit,
    UnsandboxedWorkflowRunner,
    Worker,
    WorkerTuner,
)

from reelmill_server.engine import (
    BUILD_ID,
    CONTROL_QUEUE,
    FAST_QUEUE,
    INSPECT_QUEUE,
    NOTIFY_QUEUE,
    encode_queue,
    presence_queue,
)
from reelmill_server.engine.activities import WorkerActivities
from reelmill_server.engine.control_activities import ControlActivities
from reelmill_server.engine.notification import FileActivities, NotifyActivities, NotifyWorkflow, ProgressWorkflow
from reelmill_server.engine.shown_workers import ShowWorkerWorkflow
from reelmill_server.engine.workflow import CleanUpWorkflow, InspectWorkflow, MediaConvertWorkflow
from reelmill_server.model.plain import learn

# A cancel reaches an attempt with a heartbeat: with the engine's default throttle that takes 3 s and more.
_HEARTBEAT_THROTTLE = timedelta(seconds=0.4)
_WORKFLOWS = (
    MediaConvertWorkflow,
    CleanUpWorkflow,
    InspectWorkflow,
    ShowWorkerWorkflow,
    NotifyWorkflow,
    ProgressWorkflow,
)
_DELIVERIES_AT_ONCE = 64
# Each poll is made anew every minute, and wakes both sides: five, as by default, are for nothing where tasks are rare.
_FEW_POLLS = 2
_DELIVERY_GRACE = timedelta(seconds=5)  # one that is cut off is sent twice


def control_worker(client: Client, activities: ControlActivities, notify: NotifyActivities) -> Worker:
    """Return the worker for workflows and for recording outcomes of tasks and notifications."""
    control = (activities.record_outcome, activities.present, activities.room, notify.next, notify.note, notify.progress)
    # Before the first workflow runs: on a busy machine it would take longer than the two seconds that a step may.
    learn(*(workflow.run for workflow in _WORKFLOWS), *control)
    learn(WorkerActivities.convert, WorkerActivities.encode_unit, WorkerActivities.try_samples, WorkerActivities.inspect)
    return Worker(
        client,
        build_id=BUILD_ID,
        task_queue=CONTROL_QUEUE,
        workflows=_WORKFLOWS,
        activities=control,
        # All of our modules would be shared with the library's sandbox, which leaves it little to watch. That workflows are
        # deterministic is tested: recorded histories are replayed.
        workflow_runner=UnsandboxedWorkflowRunner(),
    )


def notify_worker(client: Client, activities: NotifyActivities) -> Worker:
    """Return the worker that delivers notifications."""
    return Worker(
        client,
        build_id=BUILD_ID,
        task_queue=NOTIFY_QUEUE,
        activities=[activities.deliver],
        max_concurrent_activities=_DELIVERIES_AT_ONCE,
        max_concurrent_activity_task_polls=_FEW_POLLS,
        graceful_shutdown_timeout=_DELIVERY_GRACE,
    )


class QueueSlots(Protocol):
    """Limits when a task may be taken off a queue."""

    async def acquire(self) -> None:
        """Wait until a task may be taken."""

    def release(self) -> None:
        """Note that a task has left, whether it was started or not."""


class _QueueSlotSupplier(CustomSlotSupplier):
    """Lets a worker poll only while it has a slot."""

    def __init__(self, slots: QueueSlots) -> None:
        self._slots = slots

    async def reserve_slot(self, ctx: Any) -> SlotPermit:
        """Wait for a slot."""
        await self._slots.acquire()
        return SlotPermit()

    def try_reserve_slot(self, ctx: Any) -> SlotPermit | None:
        """Return None: no task is taken out of turn."""
        return None

    def mark_slot_used(self, ctx: Any) -> None:
        """Do nothing: admission counts what is in use."""

    def release_slot(self, ctx: Any) -> None:
        """Note that the task has ended, or was never delivered."""
        self._slots.release()


def _tuner(slots: QueueSlots) -> WorkerTuner:
    unused = FixedSizeSlotSupplier(1)
    return WorkerTuner.create_composite(
        workflow_supplier=unused,
        activity_supplier=_QueueSlotSupplier(slots),
        local_activity_supplier=unused,
        nexus_supplier=unused,
    )


def fast_worker(client: Client, activities: WorkerActivities, slots: QueueSlots, drain_seconds: float) -> Worker:
    """Return the worker for first looks at tasks and for small ones, limited by `slots`; it stops like an encode worker."""
    return Worker(
        client,
        build_id=BUILD_ID,
        task_queue=FAST_QUEUE,
        activities=[activities.convert],
        tuner=_tuner(slots),
        max_heartbeat_throttle_interval=_HEARTBEAT_THROTTLE,
        default_heartbeat_throttle_interval=_HEARTBEAT_THROTTLE,
        graceful_shutdown_timeout=timedelta(seconds=drain_seconds),
    )


def encode_worker(client: Client, activities: WorkerActivities, family: str, slots: QueueSlots, drain_seconds: float) -> Worker:
    """Return the worker for attempts that need encoders of `family`, limited by `slots`.

    When stopped it takes no new attempts and gives running ones `drain_seconds`.
    """
    return Worker(
        client,
        build_id=BUILD_ID,
        task_queue=encode_queue(family),
        activities=[activities.convert, activities.encode_unit, activities.try_samples],
        tuner=_tuner(slots),
        max_concurrent_activity_task_polls=1,  # each poll may bring a task, and room was asked for one
        max_heartbeat_throttle_interval=_HEARTBEAT_THROTTLE,
        default_heartbeat_throttle_interval=_HEARTBEAT_THROTTLE,
        graceful_shutdown_timeout=timedelta(seconds=drain_seconds),
    )


@activity.defn(name="stand_by")
async def _stand_by() -> None:
    """Do nothing; never called."""


def presence_worker(client: Client, family: str) -> Worker:
    """Return a worker that shows, as long as it runs, that encoders of `family` work here."""
    return Worker(
        client,
        build_id=BUILD_ID,
        task_queue=presence_queue(family),
        activities=[_stand_by],
        max_concurrent_activities=1,
        max_concurrent_activity_task_polls=1,
    )


def inspect_worker(client: Client, activities: WorkerActivities, files: FileActivities, slots: int) -> Worker:
    """Return the worker for inspections, small files and removals, at most `slots` at once."""
    return Worker(
        client,
        build_id=BUILD_ID,
        task_queue=INSPECT_QUEUE,
        activities=[activities.inspect, activities.erase, activities.withdraw, files.write],
        max_concurrent_activities=slots,
        max_concurrent_activity_task_polls=_FEW_POLLS,
    )
