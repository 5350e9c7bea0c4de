"""Admission in the background: waiting tasks are started as soon as the quotas of their projects allow, by one replica."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from reelmill_server.model.task import TaskRecord
from reelmill_server.tasks.leases import Lease
from reelmill_server.tasks.store import TaskStore

_BATCH = 50  # admitted in one transaction, started before the next
_AT_ONCE = 8
_PAUSE_SECONDS = 2.0  # another replica may have been told of a quota
_ALONE_SECONDS = 10.0


class Admission:
    """Admits waiting tasks while it holds the lease."""

    def __init__(self, store: TaskStore, lease: Lease, start: Callable[[TaskRecord], Awaitable[None]]) -> None:
        """`start` starts an admitted task, and leaves it to the reconciler if it cannot."""
        self._store, self._lease, self._start = store, lease, start
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look at once: a quota has changed."""
        self._wake.set()

    async def once(self) -> None:
        """Admit what may be admitted, then wait until there may be more. Raises ServiceUnavailable."""
        self._wake.clear()
        try:
            if self._lease.held:
                for project_name in await self._store.projects_with_waiting_tasks():
                    while self._lease.held and (admitted := await self._store.admit(project_name, _BATCH)):
                        await self._start_all(admitted)
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(_ALONE_SECONDS if self._lease.alone else _PAUSE_SECONDS):
                    await self._wake.wait()

    async def next(self, project_name: str) -> None:
        """Start the task that follows one of its project that has ended, on whichever replica."""
        await self._start_all(await self._store.admit(project_name, 1))

    async def _start_all(self, admitted: Sequence[TaskRecord]) -> None:
        limit = asyncio.Semaphore(_AT_ONCE)

        async def start(record: TaskRecord) -> None:
            async with limit:
                await self._start(record)

        await asyncio.gather(*(start(record) for record in admitted))
