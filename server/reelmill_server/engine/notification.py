"""Notifications in the engine: a workflow for each channel of a task delivers what is due, one message after the other.

What is due, how long to wait and when to give up is decided by the records (tasks.delivery), so that a change of these rules
breaks no running workflow. A lost wake-up is made up for by the records' own search for overdue messages.
"""

import asyncio
import tempfile
from collections.abc import Awaitable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from reelmill_server.engine import CONTROL_QUEUE, INSPECT_QUEUE, NOTIFY_QUEUE
    from reelmill_server.engine.heartbeat import SILENCE_SECONDS, heartbeating
    from reelmill_server.errors import ReelmillError
    from reelmill_server.model.notification import Failure, Step
    from reelmill_server.model.request import Credentials
    from reelmill_server.storage.base import Storage, Upload

NEXT, DELIVER, NOTE, NOTE_PROGRESS, WRITE = "next_notification", "deliver", "note_delivery", "note_progress", "write_message"
_ONCE = RetryPolicy(maximum_attempts=1)
_UNTIL_DONE = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30))
_RECORD_SECONDS = 30
_DELIVER_SECONDS = 60  # the channels' own timeout comes first
_WORKER_SECONDS = 60  # until some worker takes a file to write
_NO_ANSWER = Failure("the attempt did not end: no one knows whether it was delivered")


@workflow.defn(name="Notify")
class NotifyWorkflow:
    """Deliver what is due on one channel of one task, then end; a signal starts it again."""

    def __init__(self) -> None:
        self._woken = False

    @workflow.signal
    def wake(self) -> None:
        """Note that there is a new message, or that one is to be retried at once."""
        self._woken = True

    @workflow.run
    async def run(self, task_id: str, channel: str) -> None:
        """Deliver until nothing is due any more."""
        while True:
            self._woken = False
            step: Step | None = await _recorded(NEXT, Step | None, task_id, channel)
            if step is None:
                if self._woken:
                    continue
                return
            if step.pause_seconds > 0:
                with suppress(TimeoutError):
                    await workflow.wait_condition(lambda: self._woken, timeout=timedelta(seconds=step.pause_seconds))
            else:
                await _recorded(NOTE, None, step.notification_id, await _attempt(task_id, step))


async def _attempt(task_id: str, step: Step) -> Failure | None:
    """Deliver once; a lost activity is a failure, after which the message is sent again."""
    if step.uri:
        work, arguments, queue = WRITE, [step.uri, step.text, task_id, step.credentials], INSPECT_QUEUE
    else:
        work, arguments, queue = DELIVER, [step.notification_id], NOTIFY_QUEUE
    try:
        failure: Failure | None = await workflow.execute_activity(
            work,
            args=arguments,
            task_queue=queue,
            result_type=Failure | None,  # type: ignore[arg-type]
            schedule_to_start_timeout=timedelta(seconds=_WORKER_SECONDS) if step.uri else None,
            start_to_close_timeout=timedelta(seconds=_DELIVER_SECONDS),
            heartbeat_timeout=timedelta(seconds=SILENCE_SECONDS),
            retry_policy=_ONCE,
        )
    except ActivityError:
        return _NO_ANSWER
    return failure


async def _recorded(work: str, result_type: Any, *arguments: Any) -> Any:
    """Run an activity on the records, however long the database is away."""
    return await workflow.execute_activity(
        work,
        args=arguments,
        task_queue=CONTROL_QUEUE,
        result_type=result_type,
        start_to_close_timeout=timedelta(seconds=_RECORD_SECONDS),
        retry_policy=_UNTIL_DONE,
    )


class ProgressNotes:
    """Write a task's progress to the records, from which its recipients are notified.

    One note is written at a time; of the progress made meanwhile only the latest counts.
    """

    def __init__(self) -> None:
        self._reached, self._noted, self._busy = 0, 0, False

    async def reached(self, percent: int) -> None:
        """Note that the task has reached `percent`, unless it was noted already."""
        self._reached = max(self._reached, percent)
        if self._busy:
            return
        self._busy = True
        while self._noted < self._reached:
            noting = self._reached
            await _recorded(NOTE_PROGRESS, None, workflow.info().workflow_id, noting)
            self._noted = noting
        self._busy = False


@workflow.defn(name="Progress")
class ProgressWorkflow:
    """Record one step of progress. Only workers of an earlier version start it; to be removed when none is left."""

    @workflow.run
    async def run(self, task_id: str, percent: int) -> None:
        """Record the step."""
        await _recorded(NOTE_PROGRESS, None, task_id, percent)


class Deliveries(Protocol):
    """Interface of an api replica to notifications."""

    def next(self, task_id: str, channel: str) -> Awaitable[Step | None]:
        """Return what to do next on a task's channel; None: nothing."""

    def deliver(self, notification: str) -> Awaitable[Failure | None]:
        """Send a notification once; return why it was not accepted."""

    def note(self, notification: str, failure: Failure | None) -> Awaitable[None]:
        """Record how a delivery ended."""

    def progress(self, task_id: str, percent: int) -> Awaitable[None]:
        """Record the progress of a running task."""


class NotifyActivities:
    """The activities that api replicas run for the workflows above."""

    def __init__(self, deliveries: Deliveries) -> None:
        self._deliveries = deliveries

    @activity.defn(name=NEXT)
    async def next(self, task_id: str, channel: str) -> Step | None:
        """Return what to do next on a task's channel."""
        return await self._deliveries.next(task_id, channel)

    @activity.defn(name=DELIVER)
    async def deliver(self, notification: str) -> Failure | None:
        """Send a notification once."""
        async with heartbeating():
            return await self._deliveries.deliver(notification)

    @activity.defn(name=NOTE)
    async def note(self, notification: str, failure: Failure | None) -> None:
        """Record how a delivery ended."""
        await self._deliveries.note(notification, failure)

    @activity.defn(name=NOTE_PROGRESS)
    async def progress(self, task_id: str, percent: int) -> None:
        """Record a task's progress."""
        await self._deliveries.progress(task_id, percent)


class FileActivities:
    """The activity that workers run for the workflows above: only they reach the storage."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    @activity.defn(name=WRITE)
    async def write(self, uri: str, text: str, task_id: str, credentials: Credentials) -> Failure | None:
        """Write the detailed result of a task to its URI, in the task's role; return why it could not be written."""
        with tempfile.TemporaryDirectory(prefix="reelmill-message-") as folder:
            file = Path(folder, "message.json")
            await asyncio.to_thread(file.write_text, text, encoding="utf-8")
            try:
                async with heartbeating():
                    await self._storage.acting_as(credentials).publish([Upload(file, uri)], f"{task_id}.message")
            except ReelmillError as error:
                return Failure(f"{error.code}: {error.message}", retryable=error.retryable)
        return None
