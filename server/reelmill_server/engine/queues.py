"""Backlogs of the engine's queues, and who takes work from them."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import get_args

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, DescribeTaskQueueResponse
from temporalio.client import Client
from temporalio.service import RPCError

from reelmill_server.engine import CONTROL_QUEUE, FAST_QUEUE, INSPECT_QUEUE, NOTIFY_QUEUE, encode_queue
from reelmill_server.errors import ServiceUnavailable
from reelmill_server.settings.fields import EncoderFamily

QUEUES: Mapping[str, str] = {
    "fast": FAST_QUEUE,
    **{family: encode_queue(family) for family in get_args(EncoderFamily)},
    "control": CONTROL_QUEUE,
    "inspect": INSPECT_QUEUE,
    "notify": NOTIFY_QUEUE,
}
"""Queues of activities, by their names in metrics."""

_RPC_SECONDS = timedelta(seconds=5)
_POLL_SECONDS = 90  # a poll lasts a minute: who did not come again since is gone
_ACTIVITIES = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY


@dataclass(frozen=True)
class Backlog:
    """Tasks that wait in a queue: how many, and for how long the oldest; the engine knows both approximately."""

    tasks: int
    age_seconds: float


async def backlogs(client: Client) -> dict[str, Backlog]:
    """Return the backlog of each of QUEUES. Raises ServiceUnavailable."""
    counts = await asyncio.gather(*(backlog_of(client, queue) for queue in QUEUES.values()))
    return dict(zip(QUEUES, counts, strict=True))


async def backlog_of(client: Client, queue: str, kind: TaskQueueType.ValueType = _ACTIVITIES) -> Backlog:
    """Return the backlog of a queue. Raises ServiceUnavailable."""
    stats = (await _describe(client, queue, kind, stats=True)).stats
    age = stats.approximate_backlog_age.ToTimedelta() if stats.approximate_backlog_count else timedelta()
    return Backlog(stats.approximate_backlog_count, max(0.0, age.total_seconds()))


async def pollers_of(client: Client, queue: str, kind: TaskQueueType.ValueType = _ACTIVITIES) -> list[str]:
    """Return the identities of the processes that take work from a queue, or did until lately. Raises ServiceUnavailable."""
    lately = time.time() - _POLL_SECONDS
    pollers = (await _describe(client, queue, kind)).pollers
    return [poller.identity for poller in pollers if poller.last_access_time.ToSeconds() > lately]


async def _describe(
    client: Client, queue: str, kind: TaskQueueType.ValueType, *, stats: bool = False
) -> DescribeTaskQueueResponse:
    request = DescribeTaskQueueRequest(
        namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind, report_stats=stats
    )
    try:
        return await client.workflow_service.describe_task_queue(request, timeout=_RPC_SECONDS)
    except RPCError as error:
        raise ServiceUnavailable(f"the engine did not answer: {error.message}") from error
