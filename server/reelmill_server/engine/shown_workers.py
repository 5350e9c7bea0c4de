"""Workers show what they can do and what they do now, and replicas read it: neither reaches the other but by the engine.

Each worker runs one activity on a queue of its own for as long as it works. What it can do and what it does now is in the
activity's heartbeats, which are no history: a worker that runs for long and is asked often costs no more.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ActivityError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from reelmill_server.engine import BUILD_ID, CONTROL_QUEUE, worker_queue
    from reelmill_server.engine.names import SHOW_WORKER
    from reelmill_server.engine.scheduling import ONCE
    from reelmill_server.errors import ServiceUnavailable
    from reelmill_server.model.capability import Report
    from reelmill_server.model.worker_state import ShownWorker, WorkerState

_WORKFLOW = "ShowWorker"
_QUEUED_SECONDS = 30
_SILENCE_SECONDS = 30  # a worker that says nothing for so long is gone
_LONGEST_DAYS = 7
_STEP_SECONDS = 1.0
_QUIET_SECONDS = 10.0  # a worker that does nothing says so no more often: the engine writes each time
_FRESH_SECONDS = 1.0
_LISTED_SECONDS = 3.0  # who is there changes less often than what they do
_AT_ONCE = 16
_RPC_SECONDS = timedelta(seconds=5)


@workflow.defn(name=_WORKFLOW)
class ShowWorkerWorkflow:
    """A worker that works."""

    @workflow.run
    async def run(self, name: str) -> None:
        """Last as long as the worker."""
        with suppress(ActivityError):
            await workflow.execute_activity(
                SHOW_WORKER,
                task_queue=worker_queue(name),
                schedule_to_start_timeout=timedelta(seconds=_QUEUED_SECONDS),
                start_to_close_timeout=timedelta(days=_LONGEST_DAYS),
                heartbeat_timeout=timedelta(seconds=_SILENCE_SECONDS),
                retry_policy=ONCE,
            )


class ShowWorker:
    """Shows one worker."""

    def __init__(self, client: Client, name: str, state: Callable[[], tuple[Report, WorkerState]]) -> None:
        """`state` returns what the worker can do, and what it does now."""
        self._client, self._name, self._state = client, name, state

    async def once(self) -> None:
        """Show the worker until the engine forgets it. Raises ServiceUnavailable."""
        try:
            handle = await self._client.start_workflow(
                ShowWorkerWorkflow.run,
                self._name,
                id=f"worker-{self._name}",
                task_queue=CONTROL_QUEUE,
                # One of the same name is gone: processes of containers often have the same number.
                id_conflict_policy=WorkflowIDConflictPolicy.TERMINATE_EXISTING,
                rpc_timeout=_RPC_SECONDS,
            )
            with suppress(WorkflowFailureError):
                await handle.result()
        except RPCError as error:
            raise ServiceUnavailable(f"the engine did not answer: {error.message}") from error

    @activity.defn(name=SHOW_WORKER)
    async def show(self) -> None:
        """Say what the worker does, whenever that changes, until it stops."""
        last_state, last_at = None, 0.0
        with suppress(asyncio.CancelledError):
            while True:
                state = self._state()
                if state != last_state or time.monotonic() - last_at >= _QUIET_SECONDS:
                    activity.heartbeat(*state)
                    last_state, last_at = state, time.monotonic()
                await asyncio.sleep(_STEP_SECONDS)

    def worker(self) -> Worker:
        """Return the engine's worker that runs the activity."""
        throttle = timedelta(seconds=_STEP_SECONDS)
        return Worker(
            self._client,
            build_id=BUILD_ID,
            task_queue=worker_queue(self._name),
            activities=[self.show],
            max_concurrent_activities=2,  # the last one may not have ended yet
            max_concurrent_activity_task_polls=1,
            max_heartbeat_throttle_interval=throttle,
            default_heartbeat_throttle_interval=throttle,
        )


class ShownWorkers:
    """The workers that show themselves; an answer is reused for a second, however many ask."""

    def __init__(self, client: Client) -> None:
        self._client, self._reading = client, asyncio.Lock()
        self._known: Sequence[ShownWorker] = ()
        self._read_at, self._listed_at = -_FRESH_SECONDS, -_LISTED_SECONDS
        self._ids: Sequence[str] = ()

    async def list(self) -> Sequence[ShownWorker]:
        """Return the workers, by name. Raises ServiceUnavailable."""
        async with self._reading:
            if time.monotonic() - self._read_at >= _FRESH_SECONDS:
                self._known = await self._read()
                self._read_at = time.monotonic()
            return self._known

    async def room(self, lanes: Sequence[str]) -> int:
        """Return the most bytes of memory that one attempt may take on a worker that serves one of `lanes` (none: any) now.

        0: there is no such worker. Raises ServiceUnavailable.
        """
        return max((_room(shown) for shown in await self.list() if _serves(shown.state, lanes)), default=0)

    async def _read(self) -> Sequence[ShownWorker]:
        limit = asyncio.Semaphore(_AT_ONCE)
        query = f"WorkflowType = '{_WORKFLOW}' AND ExecutionStatus = 'Running'"

        async def read_worker(workflow_id: str) -> ShownWorker | None:
            async with limit:
                return await self._worker(workflow_id)

        try:
            if time.monotonic() - self._listed_at >= _LISTED_SECONDS:
                self._listed_at = time.monotonic()
                listed = self._client.list_workflows(query, rpc_timeout=_RPC_SECONDS)
                self._ids = [execution.id async for execution in listed]
            answers = await asyncio.gather(*map(read_worker, self._ids))
        except RPCError as error:
            raise ServiceUnavailable(f"the engine did not answer: {error.message}") from error
        return sorted((shown for shown in answers if shown is not None), key=lambda shown: shown.report.worker)

    async def _worker(self, workflow_id: str) -> ShownWorker | None:
        """Return one worker; None if it is gone, has only just come, or is of a version that tells something else."""
        try:
            description = await self._client.get_workflow_handle(workflow_id).describe(rpc_timeout=_RPC_SECONDS)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        for pending in description.raw_description.pending_activities:
            if pending.HasField("heartbeat_details"):
                with suppress(ValueError, TypeError, RuntimeError):
                    payloads = pending.heartbeat_details.payloads
                    report, state = await self._client.data_converter.decode(payloads, [Report, WorkerState])
                    return ShownWorker(report, state, pending.last_heartbeat_time.ToMicroseconds())
        return None


def _serves(state: WorkerState, lanes: Sequence[str]) -> bool:
    return not state.draining and (not lanes or any(lane.name in lanes for lane in state.lanes))


def _room(shown: ShownWorker) -> int:
    budget = shown.state.most.memory_bytes
    return min(shown.report.limits.max_memory_bytes, budget or shown.report.limits.max_memory_bytes)
