"""The control plane's client of the engine."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import get_args

from temporalio.api.enums.v1 import PendingActivityState, TaskQueueType
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import (
    AsyncActivityCancelledError,
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
)
from temporalio.common import QueryRejectCondition, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from reelmill_server.engine import CONTROL_QUEUE, FAST_QUEUE, encode_queue, presence_queue
from reelmill_server.engine.inspections import inspect
from reelmill_server.engine.left_behind import left_by
from reelmill_server.engine.names import CONVERT, ENCODE_UNIT, TRY_SAMPLES, UNITS
from reelmill_server.engine.notification import NotifyWorkflow
from reelmill_server.engine.queues import backlog_of, pollers_of
from reelmill_server.engine.stalls import CANNOT_REPLAY, STALLED_QUERY, UNTAKEN, problem_of
from reelmill_server.engine.work import Inspected, Inspection, Placing, Work
from reelmill_server.engine.workflow import CleanUpWorkflow, MediaConvertWorkflow
from reelmill_server.errors import InvalidArgument, ServiceUnavailable, TaskOver
from reelmill_server.model.engine_view import ClaimState, EngineState, EngineView
from reelmill_server.model.needs import FAST
from reelmill_server.model.notification import END
from reelmill_server.model.task import Progress, TaskStatus
from reelmill_server.model.worker_state import JOINING_FROM
from reelmill_server.settings.fields import EncoderFamily
from reelmill_server.telemetry import tracing

_RPC_SECONDS = timedelta(seconds=5)
_LISTED = 1000
_ATTEMPTS = (CONVERT, ENCODE_UNIT, TRY_SAMPLES)
_RUNNING_QUERY = "WorkflowType = 'MediaConvert' AND ExecutionStatus = 'Running'"
_ANY_QUERY = "__temporal_workflow_metadata"  # each workflow answers it, of any version
_LANES: Mapping[str, str] = {
    FAST_QUEUE: FAST,
    **{encode_queue(family): family for family in get_args(EncoderFamily)},
}
_CLAIM_STATES = {
    PendingActivityState.PENDING_ACTIVITY_STATE_STARTED: ClaimState.OURS,
    PendingActivityState.PENDING_ACTIVITY_STATE_PAUSE_REQUESTED: ClaimState.OURS,
    PendingActivityState.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED: ClaimState.ENDED,
}


class Engine:
    """The engine as the control plane sees it. The workflow's ID is the task's."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def start(self, work: Work) -> None:
        """Start a task's workflow; one that was started before goes on.

        Raises ServiceUnavailable, or InvalidArgument for a task that the engine will never accept.
        """
        try:
            with tracing.resumed(work.trace):  # whoever starts it, and however much later
                await self._client.start_workflow(
                    MediaConvertWorkflow.run,
                    work,
                    id=work.request.task_id,
                    task_queue=CONTROL_QUEUE,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                    request_eager_start=True,  # this process runs workflows, too: the first step comes with the answer
                    rpc_timeout=_RPC_SECONDS,
                )
        except WorkflowAlreadyStartedError:
            return  # it even ended: the reconciler settles the record
        except RPCError as error:
            if error.status is RPCStatusCode.INVALID_ARGUMENT:
                raise InvalidArgument(f"the engine does not take the task: {error.message}") from error
            raise ServiceUnavailable(f"the engine did not take the task: {error.message}") from error

    async def cancel(self, task_id: str) -> None:
        """Request that a task be canceled; one that ended or is unknown stays as it is. Raises ServiceUnavailable."""
        try:
            await self._client.get_workflow_handle(task_id).cancel(rpc_timeout=_RPC_SECONDS)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise ServiceUnavailable(f"the engine did not take the cancel: {error.message}") from error

    async def view(self, task_id: str) -> EngineView:
        """Return what the engine knows about a task. Raises ServiceUnavailable."""
        description = await self._describe(task_id)
        if description is None:
            return EngineView(EngineState.UNKNOWN)
        if description.status is not WorkflowExecutionStatus.RUNNING:
            return EngineView(EngineState.CLOSED)
        return EngineView(EngineState.RUNNING, problem_of(description.raw_description))

    async def waiting_in(self, task_id: str) -> str:
        """Return the lane in whose queue an attempt of a task waits; empty if none does. Raises ServiceUnavailable."""
        description = await self._describe(task_id)
        for activity in description.raw_description.pending_activities if description else ():
            queue = activity.activity_options.task_queue.name
            if activity.activity_type.name in _ATTEMPTS and queue in _LANES:
                return _LANES[queue]
        return ""

    async def chunked_percent(self, task_id: str) -> int:
        """Return how far a task that is encoded in chunks is: those that are done, and how far the others are; 0..100. Raises
        ServiceUnavailable.
        """
        description = await self._describe(task_id)
        if description is None:
            return 0
        pending = description.raw_description.pending_activities
        units = [activity for activity in pending if activity.activity_type.name == ENCODE_UNIT]
        count, finished = (await description.memo()).get(UNITS, (len(units), 0))
        share = finished + sum([await self._percent(unit) for unit in units]) / END
        return int(share / max(count, 1) * JOINING_FROM)

    async def _percent(self, unit: PendingActivityInfo) -> int:
        """Return the percentage in the last heartbeat of a chunk."""
        try:
            decoded = await self._client.data_converter.decode(unit.heartbeat_details.payloads, [Progress])
        except (ValueError, TypeError, RuntimeError):  # of a worker of another version
            return 0
        return decoded[0].percent if decoded and isinstance(decoded[0], Progress) else 0

    async def _describe(self, task_id: str) -> WorkflowExecutionDescription | None:
        """Return the description of a task's workflow; None if the engine does not know it. Raises ServiceUnavailable."""
        try:
            return await self._client.get_workflow_handle(task_id).describe(rpc_timeout=_RPC_SECONDS)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise ServiceUnavailable(f"the engine did not answer: {error.message}") from error

    async def untaken(self) -> bool:
        """Return whether workflows wait longer for a replica than a restart of one takes. Raises ServiceUnavailable."""
        backlog = await backlog_of(self._client, CONTROL_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW)
        return backlog.age_seconds > UNTAKEN.total_seconds()

    async def replicas(self) -> set[str]:
        """Return the identities of the processes that run workflows. Raises ServiceUnavailable."""
        return set(await pollers_of(self._client, CONTROL_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW))

    async def replay(self, task_id: str) -> str:
        """Have a task's workflow run again up to where it is, and return why that fails; empty if it does not, or has ended.
        Raises ServiceUnavailable when nobody answers.
        """
        handle = self._client.get_workflow_handle(task_id)
        try:
            await handle.query(_ANY_QUERY, reject_condition=QueryRejectCondition.NOT_OPEN, rpc_timeout=_RPC_SECONDS)
        except WorkflowQueryRejectedError:
            return ""
        except WorkflowQueryFailedError:  # its message, for developers, is logged by `temporalio.core`
            return CANNOT_REPLAY
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return ""
            if error.status is RPCStatusCode.FAILED_PRECONDITION:  # it fails already
                return CANNOT_REPLAY
            raise ServiceUnavailable(f"the engine did not answer: {error.message}") from error
        return ""

    async def running(self) -> set[str]:
        """Return the ids of the tasks that the engine lists as running; the list may be some seconds old. Raises
        ServiceUnavailable.
        """
        return await self._listed(_RUNNING_QUERY)

    async def stalled(self) -> set[str]:
        """Return the ids of the running tasks whose workflows fail whenever they are run; the list may be some seconds old.
        Raises ServiceUnavailable.
        """
        return await self._listed(f"{_RUNNING_QUERY} AND {STALLED_QUERY}")

    async def _listed(self, query: str) -> set[str]:
        try:
            listed = self._client.list_workflows(query, page_size=_LISTED, rpc_timeout=_RPC_SECONDS)
            return {execution.id async for execution in listed}
        except RPCError as error:
            raise ServiceUnavailable(f"the engine did not answer: {error.message}") from error

    async def abandon(self, task_id: str) -> None:
        """End a task without its workflow, and have what its attempts announced rolled back. Raises ServiceUnavailable."""
        handle = self._client.get_workflow_handle(task_id)
        try:
            try:
                await handle.terminate(reason="canceled; its workflow does not go on", rpc_timeout=_RPC_SECONDS)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:  # it ended before
                    raise
            left = await left_by(self._client, task_id, _RPC_SECONDS)
            await self._client.start_workflow(
                CleanUpWorkflow.run,
                left,
                id=f"clean-up-{task_id}",
                task_queue=CONTROL_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                rpc_timeout=_RPC_SECONDS,
            )
        except RPCError as error:
            raise ServiceUnavailable(f"the engine did not end the task: {error.message}") from error

    async def claim_state(self, task_id: str, activity_id: str) -> ClaimState:
        """Return the state of this activity's claim to its task. Raises ServiceUnavailable."""
        handle = self._client.get_workflow_handle(task_id)
        try:
            description = await handle.describe(rpc_timeout=_RPC_SECONDS)
            pending = description.raw_description.pending_activities
            attempts = (activity for activity in pending if activity.activity_type.name in _ATTEMPTS)
            states = [activity.state for activity in attempts if activity.activity_id == activity_id]
            if states:
                return _CLAIM_STATES.get(states[0], ClaimState.TAKEN_OVER)
            if description.status is WorkflowExecutionStatus.RUNNING:
                return ClaimState.TAKEN_OVER
            if description.status is not WorkflowExecutionStatus.COMPLETED:
                return ClaimState.ENDED
            succeeded = await handle.result(rpc_timeout=_RPC_SECONDS) == TaskStatus.SUCCEEDED
        except RPCError as error:
            raise ServiceUnavailable(f"the engine did not answer: {error.message}") from error
        return ClaimState.TAKEN_OVER if succeeded else ClaimState.ENDED

    async def announce(self, task_id: str, activity_id: str, packed_files: Iterable[str]) -> None:
        """Have a task remember what an attempt is about to publish, packed. Raises TaskOver, or
        ServiceUnavailable.
        """
        handle = self._client.get_workflow_handle(task_id)
        for packed in packed_files:
            try:
                placing = Placing(activity_id, packed)
                await handle.signal(MediaConvertWorkflow.placing, placing, rpc_timeout=_RPC_SECONDS)
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    raise TaskOver(ClaimState.ENDED) from error
                raise ServiceUnavailable(f"the engine did not record the files to be published: {error.message}") from error

    async def heartbeat(self, token: bytes, progress: Progress, packed: str) -> bool:
        """Have an activity, named by its token, send a heartbeat with the files that its attempt is about to publish, packed;
        return whether it still runs, and is not to end. Raises ServiceUnavailable.
        """
        try:
            await self._client.get_async_activity_handle(task_token=token).heartbeat(progress, packed, rpc_timeout=_RPC_SECONDS)
        except AsyncActivityCancelledError:
            return False
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise ServiceUnavailable(f"the engine did not record the files to be published: {error.message}") from error
        return True

    async def present(self, families: Sequence[str]) -> dict[str, int]:
        """Count the workers on which each of `families` (of encoders) works, or did minutes ago. Raises ServiceUnavailable."""
        polling = await asyncio.gather(*(pollers_of(self._client, presence_queue(family)) for family in families))
        return {family: len(identities) for family, identities in zip(families, polling, strict=True)}

    async def wake(self, task_id: str, channel: str) -> None:
        """Have the due notifications of a task's channel delivered now. Raises ServiceUnavailable."""
        try:
            await self._client.start_workflow(
                NotifyWorkflow.run,
                args=[task_id, channel],
                id=f"notify-{task_id}-{channel}",
                task_queue=CONTROL_QUEUE,
                start_signal="wake",
                rpc_timeout=_RPC_SECONDS,
            )
        except RPCError as error:
            raise ServiceUnavailable(f"the engine did not take a notification: {error.message}") from error

    async def report_progress(self, task_id: str, percent: int) -> None:
        """Have a task's progress notified, unless as much was notified already or the task has ended. Raises
        ServiceUnavailable.
        """
        handle = self._client.get_workflow_handle(task_id)
        try:
            await handle.signal(MediaConvertWorkflow.progress, percent, rpc_timeout=_RPC_SECONDS)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise ServiceUnavailable(f"the engine did not take progress: {error.message}") from error

    async def inspect(self, inspection: Inspection) -> Inspected:
        """Inspect media on some worker. Raises what the inspection raised, or ServiceUnavailable when no worker answers."""
        return await inspect(self._client, inspection)
