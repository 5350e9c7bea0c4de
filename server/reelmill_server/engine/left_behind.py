"""Files that a task has announced, read from the engine: for a task whose workflow somebody else ended."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from temporalio.api.common.v1 import Payload
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from reelmill_server.engine.names import CONVERT, PLACING
from reelmill_server.engine.work import AttemptResult, Leftovers, Placing, Work


async def left_by(client: Client, task_id: str, rpc_timeout: timedelta) -> Leftovers:
    """Return what a workflow that was terminated would have cleaned up. Raises RPCError."""
    handle = client.get_workflow_handle(task_id)
    history = await handle.fetch_history(rpc_timeout=rpc_timeout)
    begun = history.events[0].workflow_execution_started_event_attributes
    (work,) = await client.data_converter.decode(begun.input.payloads, [Work])
    placings = list(work.earlier.placings) if work.earlier else []
    packed = [placing.packed for placing in placings]
    kinds: dict[int, str] = {}
    for event in history.events:
        if event.HasField("activity_task_scheduled_event_attributes"):
            kinds[event.event_id] = event.activity_task_scheduled_event_attributes.activity_type.name
        packed += await _announced(client, event, kinds)
    description = await handle.describe(rpc_timeout=rpc_timeout)
    for pending in description.raw_description.pending_activities:
        packed += await _in_heartbeat(client, pending.heartbeat_details.payloads)
    return Leftovers(task_id, work.request.credentials, tuple(packed))


async def _announced(client: Client, event: HistoryEvent, kinds: Mapping[int, str]) -> list[str]:
    """Return the files, packed, that an event tells of; `kinds`: the type of each activity, by the event that scheduled it."""
    decode = client.data_converter.decode
    signal, ended = event.workflow_execution_signaled_event_attributes, event.activity_task_completed_event_attributes
    if signal.signal_name == PLACING:
        return [placing.packed for placing in await decode(signal.input.payloads, [Placing])]
    if kinds.get(ended.scheduled_event_id) == CONVERT:
        return [result.announced for result in await decode(ended.result.payloads, [AttemptResult]) if result.announced]
    lost = event.activity_task_timed_out_event_attributes.failure.timeout_failure_info
    return await _in_heartbeat(client, lost.last_heartbeat_details.payloads)


async def _in_heartbeat(client: Client, details: Sequence[Payload]) -> list[str]:
    """Return the files, packed, that a heartbeat announces."""
    return await client.data_converter.decode(details[1:2], [str])
