"""Places for looks at sources: probes, plans, and the first look at each task, which may turn out to be anything.

One project never has all places, so that its slow or hostile sources delay nobody else's looks for long; and each look holds
memory of the worker, as attempts do.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from reelmill_server.errors import WorkerBusy
from reelmill_server.worker.parent.admission import Admission


class Looks:
    """A limited number of places."""

    def __init__(self, admission: Admission, places: int) -> None:
        """With more than one place, a project may have all but one of them."""
        self._admission, self._places, self._most = admission, places, max(1, places - 1)
        self._used: Counter[str] = Counter()
        self._waiting: deque[str] = deque()

    @asynccontextmanager
    async def place(self, project_name: str, wait_seconds: float) -> AsyncIterator[None]:
        """Hold a place and memory during the block. Raises WorkerBusy if there are none within `wait_seconds`."""
        self._waiting.append(project_name)
        try:
            async with asyncio.timeout(wait_seconds):
                while not self._takes(project_name):
                    await self._admission.change()
        except TimeoutError:
            raise WorkerBusy(f"the worker had no room for a look at the sources in {wait_seconds:.0f} s") from None
        finally:
            self._waiting.remove(project_name)
        try:
            yield
        finally:
            self._used[project_name] -= 1
            self._used += Counter()  # forget projects without any
            self._admission.release_look()

    def _takes(self, project_name: str) -> bool:
        """Take a place if it is the turn of this project, and there is one."""
        turns = [name for name in self._waiting if self._used[name] < self._most]
        if self._used.total() >= self._places or not turns or turns[0] != project_name:
            return False
        if not self._admission.hold_look():
            return False
        self._used[project_name] += 1
        return True
