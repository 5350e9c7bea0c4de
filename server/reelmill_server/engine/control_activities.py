"""Activities of api replicas: only they reach the task records."""

from collections.abc import Awaitable, Callable, Sequence

from temporalio import activity

from reelmill_server.engine.heartbeat import heartbeating
from reelmill_server.engine.names import PRESENT, RECORD, ROOM
from reelmill_server.model.task import Outcome


class ControlActivities:
    """Record outcomes, and tell workflows what workers there are."""

    def __init__(
        self,
        record: Callable[[str, Outcome], Awaitable[None]],
        present: Callable[[Sequence[str]], Awaitable[dict[str, int]]],
        room: Callable[[Sequence[str]], Awaitable[int]],
    ) -> None:
        """`record` writes an outcome; `present` counts the workers on which each encoder family works; `room` returns the most
        memory that an attempt may take on a worker which serves one of the queues.
        """
        self._record, self._present, self._room = record, present, room

    @activity.defn(name=RECORD)
    async def record_outcome(self, task_id: str, outcome: Outcome) -> None:
        """Write a task's outcome to its row; the first one wins."""
        async with heartbeating():
            await self._record(task_id, outcome)

    @activity.defn(name=PRESENT)
    async def present(self, families: tuple[str, ...]) -> dict[str, int]:
        """Count the workers on which each of `families` works."""
        return await self._present(families)

    @activity.defn(name=ROOM)
    async def room(self, lanes: tuple[str, ...]) -> int:
        """Return the most bytes of memory that one attempt may take on a worker which serves one of `lanes`; none: any."""
        return await self._room(lanes)
