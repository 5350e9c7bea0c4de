"""Places for looks at sources: probes, plans, and the first look at each task, which may turn out to be anything.

One project never has all places, so that its slow or hostile sources delay nobody else's looks for long; and each look holds
memory of the worker, as attempts do.
"""

import asyncio
from collections import Counter
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
        self._waiting: dict[object, str] = {}  # the project of each, the first first

    @asynccontextmanager
    async def place(self, project_name: str, wait_seconds: float) -> AsyncIterator[None]:
        """Hold a place and memory during the block. Raises WorkerBusy if there are none within `wait_seconds`."""
        turn = object()
        self._waiting[turn] = project_name
        try:
            async with asyncio.timeout(wait_seconds):
                while not self._takes(turn):
                    await self._admission.change()
        except TimeoutError:
            raise WorkerBusy(f"the worker had no room for a look at the sources in {wait_seconds:.0f} s") from None
        finally:
            del self._waiting[turn]
            self._admission.notify()  # whoever is next may have been told no while this one was before it
        try:
            yield
        finally:
            self._used[project_name] -= 1
            self._used += Counter()  # forget projects without any
            self._admission.release_look()

    def _takes(self, turn: object) -> bool:
        """Take a place if there is one, and it is the turn of this look: the first of those whose projects may have another."""
        first = next((waits for waits, name in self._waiting.items() if self._used[name] < self._most), None)
        if self._used.total() >= self._places or first is not turn or not self._admission.hold_look():
            return False
        self._used[self._waiting[turn]] += 1
        return True
