"""Live tasks: one poller per watched task, shared by all its watchers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from reelmill_server.errors import ReelmillError, ResourceNotFound, ServiceUnavailable
from reelmill_server.model.engine_view import EngineState, EngineView
from reelmill_server.model.task import Progress, TaskPhase, TaskQuery, TaskRecord, TaskStatus
from reelmill_server.tasks.store import TaskStore

_log = structlog.get_logger(__name__)
ViewEngine = Callable[[str], Awaitable[EngineView]]


_CONCURRENT_SNAPSHOTS = 20
_NO_PROGRESS = Progress(phase=TaskPhase.NONE)


@dataclass(frozen=True)
class Snapshot:
    """The current state of a task: its record, and its progress while it is running."""

    record: TaskRecord
    progress: Progress = _NO_PROGRESS


class _Poller:
    """Poller of one task, which wakes its watchers on every change."""

    def __init__(self, first: Snapshot) -> None:
        self.latest = first
        self.error: ReelmillError | None = None
        self.watchers = 0
        self.changed = asyncio.Event()
        self.poll_now = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def offer(self, snapshot: Snapshot) -> None:
        """Accept a newer snapshot; percentages never decrease, not even when a new attempt starts."""
        before, now = self.latest.progress, snapshot.progress
        snapshot = replace(snapshot, progress=replace(now, percent=max(before.percent, now.percent)))
        if snapshot != self.latest:
            self.latest = snapshot
            self._wake()

    def fail(self, error: ReelmillError) -> None:
        """Report to the watchers that the task can no longer be polled."""
        self.error = error
        self._wake()

    def _wake(self) -> None:
        # Each waiter holds the event it waits for, so the new event is set up before the old one wakes them.
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()


class Feeds:
    """Feeds of all watched tasks on this replica."""

    def __init__(self, store: TaskStore, view: ViewEngine, poll_seconds: float) -> None:
        self._store, self._view, self._poll_seconds = store, view, poll_seconds
        self._pollers: dict[str, _Poller] = {}
        self._closed = asyncio.Event()

    def close(self) -> None:
        """End all watches, present and future, with ServiceUnavailable, so that watchers connect to another replica."""
        self._closed.set()
        for poller in self._pollers.values():
            poller.fail(_shutting_down())

    async def snapshot(self, record: TaskRecord) -> Snapshot:
        """Return the current state of a task; progress is missing if the engine does not respond."""
        if record.status.final:
            return Snapshot(record)
        poller = self._pollers.get(record.task_id)
        if poller is not None:
            return Snapshot(record, poller.latest.progress)
        with suppress(ServiceUnavailable):
            view = await self._view(record.task_id)
            return Snapshot(record, view.progress if view.busy else Progress())
        return Snapshot(record, Progress())

    async def snapshots(self, records: Sequence[TaskRecord]) -> list[Snapshot]:
        """Return the current states of tasks, a limited number concurrently."""
        limit = asyncio.Semaphore(_CONCURRENT_SNAPSHOTS)

        async def limited_snapshot(record: TaskRecord) -> Snapshot:
            async with limit:
                return await self.snapshot(record)

        return await asyncio.gather(*(limited_snapshot(record) for record in records))

    def poll_now(self, task_id: str) -> None:
        """Poll a watched task immediately because its record has changed."""
        poller = self._pollers.get(task_id)
        if poller is not None:
            poller.poll_now.set()

    async def watch(self, project_name: str, task_id: str) -> AsyncIterator[Snapshot]:
        """Yield the current state of a task, then each change, up to its final state. Slow readers skip outdated states.

        Raises ResourceNotFound, and ServiceUnavailable once the feeds are closed.
        """
        record = await self._store.get(project_name, task_id)
        if record.status.final:
            yield Snapshot(record)
            return
        first = await self.snapshot(record)
        if self._closed.is_set():
            raise _shutting_down()
        async with self._polled(first) as poller:
            while True:
                changed, latest = poller.changed, poller.latest
                yield latest
                if latest.record.status.final:
                    return
                if poller.latest is latest and poller.error is None:
                    await changed.wait()
                if poller.latest is latest and poller.error is not None:  # newer states come first, above all the final one
                    raise poller.error

    async def watch_all(self, query: TaskQuery) -> AsyncIterator[Snapshot]:
        """Yield every task that matches `query`, then every change among them and every new task, without end.

        Raises ServiceUnavailable once the feeds are closed.
        """
        project_watch = _ProjectWatch(self, query)
        try:
            while True:
                async for snapshot in project_watch.changes():
                    yield snapshot
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._closed.wait(), self._poll_seconds)
                    raise _shutting_down()
        finally:
            await project_watch.close()

    @asynccontextmanager
    async def _polled(self, first: Snapshot) -> AsyncIterator[_Poller]:
        poller = self._join(first)
        try:
            yield poller
        finally:
            self._leave(first.record.task_id, poller)

    def _join(self, first: Snapshot) -> _Poller:
        task_id = first.record.task_id
        poller = self._pollers.get(task_id)
        if poller is None:
            poller = self._pollers[task_id] = _Poller(first)
            poller.task = asyncio.create_task(self._poll(poller))
        poller.watchers += 1
        return poller

    def _leave(self, task_id: str, poller: _Poller) -> None:
        poller.watchers -= 1
        if poller.watchers == 0:
            self._pollers.pop(task_id, None)
            if poller.task is not None:
                poller.task.cancel()

    async def _poll(self, poller: _Poller) -> None:
        """Poll until the task is final or has no watchers."""
        while not poller.latest.record.status.final:
            record_changed = poller.poll_now.is_set()
            poller.poll_now.clear()
            try:
                poller.offer(await self._next_snapshot(poller.latest, record_changed))
            except ResourceNotFound as error:  # deleted with its project
                poller.fail(error)
                return
            except Exception as error:  # whatever it is, the watchers still need the next poll
                _log.warning("polling a watched task failed", reason=f"{type(error).__name__}: {error}")
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_seconds):
                    await poller.poll_now.wait()

    async def _next_snapshot(self, latest: Snapshot, record_changed: bool) -> Snapshot:
        """Return the next snapshot of a task. The record is read only if it may have changed."""
        view = await self._view(latest.record.task_id)
        if view.state is EngineState.RUNNING and view.busy and not record_changed:
            return Snapshot(latest.record, view.progress)
        record = await self._store.get(latest.record.project_name, latest.record.task_id)
        return Snapshot(record, Progress(phase=TaskPhase.NONE) if record.status.final else view.progress)


def _shutting_down() -> ServiceUnavailable:
    return ServiceUnavailable("this replica is shutting down: watch again")


class _ProjectWatch:
    """State of one watcher of a project."""

    def __init__(self, feeds: Feeds, query: TaskQuery) -> None:
        self._feeds, self._statuses = feeds, query.statuses
        self._query = replace(query, statuses=frozenset())
        self._seen: dict[str, Snapshot] = {}
        self._following: dict[str, _Poller] = {}
        self._newest: datetime | None = None

    async def changes(self) -> AsyncIterator[Snapshot]:
        """Yield the changes since the last call; at the first call, everything that matches."""
        records = await self._candidates()
        for task_id in self._following.keys() - records.keys():
            ended = await self._feeds._store.find(task_id)
            if ended is not None:
                records[task_id] = ended
        for record in records.values():
            snapshot = self._follow(record)
            matches = not self._statuses or record.status in self._statuses or record.task_id in self._seen
            if matches and self._seen.get(record.task_id) != snapshot:
                self._seen[record.task_id] = snapshot
                yield snapshot
        self._forget(records)

    def _follow(self, record: TaskRecord) -> Snapshot:
        """Return the current state of a task, polling it while it is running."""
        poller = self._following.get(record.task_id)
        if record.status.final:
            if poller is not None:
                self._feeds._leave(record.task_id, self._following.pop(record.task_id))
            return Snapshot(record)
        if poller is None:
            poller = self._following[record.task_id] = self._feeds._join(Snapshot(record, Progress()))
        return poller.latest

    async def _candidates(self) -> dict[str, TaskRecord]:
        """Return all tasks at first, later those running and those created since the last call."""
        if self._newest is None:
            return await self._all(self._query)
        running = await self._all(replace(self._query, statuses=frozenset({TaskStatus.RUNNING})))
        return running | await self._all(replace(self._query, start_from=self._newest))

    def _forget(self, records: dict[str, TaskRecord]) -> None:
        """Keep only what may be needed again: a watch may last for months."""
        for record in records.values():
            self._newest = max(self._newest or record.start_time, record.start_time)
        for task_id, snapshot in list(self._seen.items()):
            if snapshot.record.status.final and self._newest and snapshot.record.start_time < self._newest:
                del self._seen[task_id]

    async def _all(self, query: TaskQuery) -> dict[str, TaskRecord]:
        records: dict[str, TaskRecord] = {}
        while True:
            page = await self._feeds._store.list(query)
            records |= {record.task_id: record for record in page.tasks}
            if not page.next_token:
                return records
            query = replace(query, next_token=page.next_token)

    async def close(self) -> None:
        """Stop polling."""
        for task_id, poller in self._following.items():
            self._feeds._leave(task_id, poller)
        self._following.clear()
