"""What the engine knows of running tasks: asked once for all who want to know, at most so often and so many at once."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from reelmill_server.model.engine_view import EngineView

ViewEngine = Callable[[str], Awaitable[EngineView]]
_AT_ONCE = 20


class EngineViews:
    """Recent views of tasks on this replica."""

    def __init__(self, view: ViewEngine, seconds: float) -> None:
        """`view` asks the engine; a view is good for `seconds`."""
        self._view, self._seconds = view, seconds
        self._recent: OrderedDict[str, tuple[float, EngineView]] = OrderedDict()
        self._asking: dict[str, asyncio.Task[EngineView]] = {}
        self._limit = asyncio.Semaphore(_AT_ONCE)

    async def get(self, task_id: str) -> EngineView:
        """Return a view of a task. Raises ServiceUnavailable."""
        self._forget()
        found = self._recent.get(task_id)
        if found is not None:
            return found[1]
        asking = self._asking.get(task_id)
        if asking is None:
            asking = self._asking[task_id] = asyncio.create_task(self._ask(task_id))
        # Shielded: others may wait for the same answer. One that nobody waits for any more must not be reported as unhandled.
        asking.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(asking)

    def put(self, task_id: str, view: EngineView) -> None:
        """Take a view that came without being asked for."""
        self._recent.pop(task_id, None)
        self._recent[task_id] = time.monotonic(), view

    async def _ask(self, task_id: str) -> EngineView:
        try:
            async with self._limit:
                view = await self._view(task_id)
            self.put(task_id, view)
            return view
        finally:
            del self._asking[task_id]

    def _forget(self) -> None:
        """Drop what is too old; views are kept in the order of their age."""
        oldest = time.monotonic() - self._seconds
        while self._recent and next(iter(self._recent.values()))[0] < oldest:
            self._recent.popitem(last=False)
