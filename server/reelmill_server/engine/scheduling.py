"""Schedule attempts on the workers that may run them. Deterministic code that the engine replays."""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutError, TimeoutType
from temporalio.workflow import ActivityCancellationType

from reelmill_server.engine import CONTROL_QUEUE, FAST_QUEUE, encode_queue
from reelmill_server.engine.bounds import check_history
from reelmill_server.engine.names import CONVERT, PRESENT
from reelmill_server.engine.work import AttemptResult, Work
from reelmill_server.errors import HardwareUnavailable
from reelmill_server.model.capability import SOFTWARE
from reelmill_server.model.needs import Needs

ResultT = TypeVar("ResultT")
ONCE = RetryPolicy(maximum_attempts=1)
UNTIL_DONE = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30))
"""For activities on records: retry however long the database is away."""

_CANCELED_WAITS = "canceled-waits"  # workflows of before went on in the next queue
_FAIRNESS_KEY_BYTES = 64  # of the engine
_ALL = 3  # the engine's priority of tasks that had no turn yet
_GRACE_SECONDS = 300  # the worker ends an attempt by its own clock first, which begins when it has what the attempt needs
_PRESENT_SECONDS = 10
_LEAST_WAIT_SECONDS = 1.0  # a worker that is free takes a task within it


async def attempt(work: Work) -> AttemptResult:
    """Run one attempt: the first in the fast queue, later ones in a queue that the task needs, the preferred one for a while
    first.

    Raises HardwareUnavailable, as an ApplicationError, when an accelerator is required and there is none, and HistoryFull
    while it waits long for a busy one.
    """
    if work.needs is None:
        return await run_activity(CONVERT, work, work, FAST_QUEUE, AttemptResult)
    waited = False
    while True:
        lanes = [lane for lane, count in (await available_workers(work)).items() if count or lane == SOFTWARE]
        if not lanes and waited:
            raise _no_accelerator(work)
        for lane in lanes or work.needs.lanes:
            seconds = 0.0 if lane == SOFTWARE else _wait_seconds(work.needs, work.accelerator_seconds)
            queued = replace(work, lane=lane)
            try:
                return await run_activity(CONVERT, queued, queued, encode_queue(lane), AttemptResult, seconds)
            except ActivityError as error:
                if not _not_taken(error) or _is_canceled():
                    raise
            waited = True
        check_history()


def _wait_seconds(needs: Needs, most: float) -> float:
    """Return how long a task waits for an accelerator: where software will do, no longer than that pays."""
    pays = needs.saved_seconds if SOFTWARE in needs.lanes else 0.0
    return min(most, max(pays, _LEAST_WAIT_SECONDS)) if pays else most


async def available_workers(work: Work) -> Mapping[str, int]:
    """Count the workers that serve each queue of the task, the preferred one first."""
    assert work.needs
    lanes = work.needs.lanes
    if lanes == (SOFTWARE,) and work.needs.split is None:
        return {SOFTWARE: 1}  # there is always a worker for it, and their number does not matter
    counts: dict[str, int] = await workflow.execute_activity(
        PRESENT,
        args=[lanes],
        task_queue=CONTROL_QUEUE,
        result_type=dict[str, int],
        start_to_close_timeout=timedelta(seconds=_PRESENT_SECONDS),
        retry_policy=UNTIL_DONE,
    )
    return {lane: counts[lane] for lane in lanes}


async def run_activity(
    name: str, argument: Any, work: Work, queue: str, result_type: type[ResultT], wait_seconds: float = 0.0
) -> ResultT:
    """Run activity `name` of a task on a worker that polls `queue`; if `wait_seconds` is not 0, one must take it within
    them.
    """
    running: workflow.ActivityHandle[ResultT] = workflow.start_activity(
        name,
        argument,
        activity_id=_activity_id(),
        task_queue=queue,
        result_type=result_type,
        schedule_to_start_timeout=timedelta(seconds=wait_seconds) if wait_seconds else None,
        start_to_close_timeout=timedelta(seconds=work.timeout_seconds + _GRACE_SECONDS),
        heartbeat_timeout=timedelta(seconds=work.heartbeat_seconds),
        retry_policy=ONCE,
        # The child must be gone before the task is called canceled.
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        priority=turn_of(work),
    )
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        for _ in range(3):  # an end that came in the same turn as the cancel came first
            await asyncio.sleep(0)
        running.cancel()
        return await running


def _activity_id() -> str | None:
    """Return an ID that no other attempt of the task has; None: the engine's own IDs, which start over with each run."""
    return str(workflow.uuid4()) if workflow.info().continued_run_id else None


def _not_taken(error: ActivityError) -> bool:
    return isinstance(error.cause, TimeoutError) and error.cause.type is TimeoutType.SCHEDULE_TO_START


def _is_canceled() -> bool:
    """Return whether the task was canceled as the wait for its accelerator ended: no queue is tried after that."""
    return workflow.cancellation_reason() is not None and workflow.patched(_CANCELED_WAITS)


def _no_accelerator(work: Work) -> ApplicationError:
    assert work.needs
    lanes = ", ".join(work.needs.lanes) or "an accelerator"
    reason = f"; {work.needs.objection}" if work.needs.objection else ""
    words = f"no worker with {lanes} came within {work.accelerator_seconds:g} s{reason}"
    return ApplicationError(words, type=HardwareUnavailable.code, non_retryable=True)


def turn_of(work: Work) -> Priority:
    """Return when a task's turn is among those that wait.

    The engine's priorities are strict, over all projects: they are for tasks that had their turn. Tasks take turns by project
    and, within it, by priority, which divides the project's share.
    """
    return Priority(_ALL - work.ahead, fairness_key(f"{work.priority}:{work.request.project_name}"), work.weight)


def fairness_key(name: str) -> str:
    """Return the engine's fairness key of a project, hashed when the name is longer than a key may be."""
    if len(name.encode()) <= _FAIRNESS_KEY_BYTES:
        return name
    return hashlib.sha256(name.encode()).hexdigest()[:_FAIRNESS_KEY_BYTES]
