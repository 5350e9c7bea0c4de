"""Backlogs of the engine's queues."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import get_args

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
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


@dataclass(frozen=True)
class Backlog:
    """Tasks that wait in a queue: how many, and for how long the oldest; the engine knows both approximately."""

    tasks: int
    age_seconds: float


async def backlogs(client: Client) -> dict[str, Backlog]:
    """Return the backlog of each of QUEUES. Raises ServiceUnavailable."""
    counts = await asyncio.gather(*(_backlog(client, queue) for queue in QUEUES.values()))
    return dict(zip(QUEUES, counts, strict=True))


async def _backlog(client: Client, queue: str) -> Backlog:
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        report_stats=True,
    )
    try:
        stats = (await client.workflow_service.describe_task_queue(request, timeout=_RPC_SECONDS)).stats
    except RPCError as error:
        raise ServiceUnavailable(f"the engine did not answer: {error.message}") from error
    age = stats.approximate_backlog_age.ToTimedelta() if stats.approximate_backlog_count else timedelta()
    return Backlog(stats.approximate_backlog_count, max(0.0, age.total_seconds()))
