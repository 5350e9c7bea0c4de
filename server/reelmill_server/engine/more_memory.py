"""Give a task whose attempt ran out of memory one more, with a raised estimate, where a worker has the room.

Deterministic code that the engine replays.
"""

from dataclasses import replace
from datetime import timedelta

from temporalio import workflow

from reelmill_server.engine import CONTROL_QUEUE
from reelmill_server.engine.history import Failure
from reelmill_server.engine.names import ROOM
from reelmill_server.engine.scheduling import UNTIL_DONE
from reelmill_server.engine.work import Work
from reelmill_server.errors import OutOfMemory

_PATCH = "more-memory"  # workflows of before retried it like any error
_RAISED = 2  # times what an attempt took before it was stopped: it did not say how much more it wanted
_ROOM_SECONDS = 10


def ran_out(failure: Failure) -> bool:
    """Return whether a failure is a lack of memory, with a retry of its own."""
    return failure.code == OutOfMemory.code and workflow.patched(_PATCH)


async def with_more_memory(work: Work, failure: Failure) -> Work | None:
    """Return the work for one more attempt; None: it had one, or no worker has more memory than was taken."""
    used = max(failure.memory_bytes, work.needs.cost.memory_bytes if work.needs else 0)
    room = 0 if work.memory_bytes else await _room(work)
    if room <= failure.memory_bytes:
        return None
    return replace(work, memory_bytes=min(_RAISED * used, room) if used else room)


async def has_room(work: Work) -> bool:
    """Return whether a worker has the memory that the work needs at least."""
    return not work.memory_bytes or await _room(work) >= work.memory_bytes


async def _room(work: Work) -> int:
    room: int = await workflow.execute_activity(
        ROOM,
        args=[work.needs.lanes if work.needs else ()],
        task_queue=CONTROL_QUEUE,
        result_type=int,
        start_to_close_timeout=timedelta(seconds=_ROOM_SECONDS),
        retry_policy=UNTIL_DONE,
    )
    return room
