"""Have some worker inspect media, and wait for the result."""

import asyncio
import uuid
from datetime import timedelta

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.service import RPCError

from reelmill_server.engine import CONTROL_QUEUE
from reelmill_server.engine.work import Inspected, Inspection
from reelmill_server.engine.workflow import InspectWorkflow
from reelmill_server.errors import ReelmillError, ServiceUnavailable, Violation, from_code

_RPC_SECONDS = timedelta(seconds=5)
_INSPECT_SECONDS = 90.0


async def inspect(client: Client, inspection: Inspection) -> Inspected:
    """Return the result of an inspection. Raises its error, or ServiceUnavailable when no worker answers."""
    try:
        handle: WorkflowHandle[InspectWorkflow, Inspected] = await client.start_workflow(
            InspectWorkflow.run,
            inspection,
            id=f"inspect-{uuid.uuid4()}",
            task_queue=CONTROL_QUEUE,
            rpc_timeout=_RPC_SECONDS,
        )
        async with asyncio.timeout(_INSPECT_SECONDS):
            return await handle.result()
    except WorkflowFailureError as error:
        raise _error_of(error) from error
    except (RPCError, TimeoutError) as error:
        raise ServiceUnavailable(f"the engine did not answer: {error}") from error


def _error_of(error: WorkflowFailureError) -> ReelmillError:
    cause: BaseException | None = error.cause
    if isinstance(cause, ActivityError):
        cause = cause.cause
    if isinstance(cause, ApplicationError):
        known = from_code(cause.type or "", cause.message)
        fields = cause.details[0] if cause.details else []
        return type(known)(cause.message, [Violation(field, description) for field, description in fields])
    return ServiceUnavailable("no worker answered in time")
