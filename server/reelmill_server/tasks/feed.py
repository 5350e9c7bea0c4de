"""Live tasks: one poller per watched task, however many watch it."""

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


_LOOKS_AT_ONCE = 20
_ENDED = Progress(phase=TaskPhase.NONE)


@dataclass(frozen=True)
class Snapshot:
    """A task as it is now: its record, and its progress while it runs."""

    record: TaskRecord
    progress: Progress = _ENDED


class _Poller:
    """Looks at one task again and again, and wakes its watchers when something changed."""

    def __init__(self, first: Snapshot) -> None:
        self.latest = first
        self.error: ReelmillError | None = None
        self.watchers = 0
        self.changed = asyncio.Event()
        self.nudge = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def offer(self, snapshot: Snapshot) -> None:
        """Takes a newer snapshot; percentages never fall, not even when a new attempt begins."""
        before, now = self.latest.progress, snapshot.progress
        snapshot = replace(snapshot, progress=replace(now, percent=max(before.percent, now.percent)))
        if snapshot != self.latest:
            self.latest = snapshot
            self._wake()

    def fail(self, error: ReelmillError) -> None:
        """The task cannot be looked at any more: its watchers are told."""
        self.error = error
        self._wake()

    def _wake(self) -> None:
        # Each waiter holds the event it waits for: a new one is set out before the old one wakes them.
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()


class Feeds:
    """All live tasks of this replica."""

    def __init__(self, store: TaskStore, view: ViewEngine, poll_seconds: float) -> None:
        self._store, self._view, self._poll_seconds = store, view, poll_seconds
        self._pollers: dict[str, _Poller] = {}
        self._closed = asyncio.Event()

    def close(self) -> None:
        """Ends all watches, now and later, with ServiceUnavailable: watchers are to go to another replica."""
        self._closed.set()
        for poller in self._pollers.values():
            poller.fail(_gone())

    async def snapshot(self, record: TaskRecord) -> Snapshot:
        """The task as it is now. An engine that does not answer leaves the progress out."""
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
        """The tasks as they are now, some at a time."""
        places = asyncio.Semaphore(_LOOKS_AT_ONCE)

        async def look(record: TaskRecord) -> Snapshot:
            async with places:
                return await self.snapshot(record)

        return await asyncio.gather(*(look(record) for record in records))

    def nudge(self, task_id: str) -> None:
        """Says that a task's record changed, so that its watchers need not wait for the next look."""
        poller = self._pollers.get(task_id)
        if poller is not None:
            poller.nudge.set()

    async def watch(self, project_name: str, task_id: str) -> AsyncIterator[Snapshot]:
        """The task now, then after each change; ends with its final state. A slow reader misses what is outdated.

        Raises ResourceNotFound, and ServiceUnavailable once the feeds are closed.
        """
        record = await self._store.get(project_name, task_id)
        if record.status.final:
            yield Snapshot(record)
            return
        first = await self.snapshot(record)
        if self._closed.is_set():
            raise _gone()
        async with self._polled(first) as poller:
            while True:
                changed, latest = poller.changed, poller.latest
                yield latest
                if latest.record.status.final:
                    return
                if poller.latest is latest and poller.error is None:
                    await changed.wait()
                if poller.latest is latest and poller.error is not None:  # what is newer, the end above all, is told first
                    raise poller.error

    async def watch_all(self, query: TaskQuery) -> AsyncIterator[Snapshot]:
        """Every task that `query` matches now, then every change among them and every new one, without end.

        Raises ServiceUnavailable once the feeds are closed.
        """
        follower = _Follower(self, query)
        try:
            while True:
                async for snapshot in follower.changes():
                    yield snapshot
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._closed.wait(), self._poll_seconds)
                    raise _gone()
        finally:
            await follower.close()

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
        """Runs until the task is final or nobody watches."""
        while not poller.latest.record.status.final:
            nudged = poller.nudge.is_set()
            poller.nudge.clear()
            try:
                poller.offer(await self._look(poller.latest, nudged))
            except ResourceNotFound as error:  # it was deleted with its project
                poller.fail(error)
                return
            except Exception as error:  # whatever it is, watchers must not wait for a look that never comes
                _log.warning("a watched task could not be looked at", reason=f"{type(error).__name__}: {error}")
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_seconds):
                    await poller.nudge.wait()

    async def _look(self, latest: Snapshot, nudged: bool) -> Snapshot:
        """The task's next snapshot. The record is read only when it may have changed."""
        view = await self._view(latest.record.task_id)
        if view.state is EngineState.RUNNING and view.busy and not nudged:
            return Snapshot(latest.record, view.progress)
        record = await self._store.get(latest.record.project_name, latest.record.task_id)
        return Snapshot(record, Progress(phase=TaskPhase.NONE) if record.status.final else view.progress)


def _gone() -> ServiceUnavailable:
    return ServiceUnavailable("this replica is ending: watch again")


class _Follower:
    """What one watcher of a project has seen so far."""

    def __init__(self, feeds: Feeds, query: TaskQuery) -> None:
        self._feeds, self._wanted = feeds, query.statuses
        self._query = replace(query, statuses=frozenset())
        self._seen: dict[str, Snapshot] = {}
        self._following: dict[str, _Poller] = {}
        self._newest: datetime | None = None

    async def changes(self) -> AsyncIterator[Snapshot]:
        """What is new since the last call; at the first, everything that matches."""
        records = await self._candidates()
        for task_id in self._following.keys() - records.keys():
            ended = await self._feeds._store.find(task_id)
            if ended is not None:
                records[task_id] = ended
        for record in records.values():
            snapshot = self._follow(record)
            matches = not self._wanted or record.status in self._wanted or record.task_id in self._seen
            if matches and self._seen.get(record.task_id) != snapshot:
                self._seen[record.task_id] = snapshot
                yield snapshot
        self._forget(records)

    def _follow(self, record: TaskRecord) -> Snapshot:
        """The task as it is now; a running one is polled from here on, a final one no more."""
        poller = self._following.get(record.task_id)
        if record.status.final:
            if poller is not None:
                self._feeds._leave(record.task_id, self._following.pop(record.task_id))
            return Snapshot(record)
        if poller is None:
            poller = self._following[record.task_id] = self._feeds._join(Snapshot(record, Progress()))
        return poller.latest

    async def _candidates(self) -> dict[str, TaskRecord]:
        """At first all tasks, later those that run and those that began since the last look."""
        if self._newest is None:
            return await self._all(self._query)
        running = await self._all(replace(self._query, statuses=frozenset({TaskStatus.RUNNING})))
        return running | await self._all(replace(self._query, start_from=self._newest))

    def _forget(self, records: dict[str, TaskRecord]) -> None:
        """Keeps only what may come up again: a watcher may live for months."""
        for record in records.values():
            self._newest = max(self._newest or record.start_time, record.start_time)
        for task_id, snapshot in list(self._seen.items()):
            if snapshot.record.status.final and self._newest and snapshot.record.start_time < self._newest:
                del self._seen[task_id]

    async def _all(self, query: TaskQuery) -> dict[str, TaskRecord]:
        found: dict[str, TaskRecord] = {}
        while True:
            page = await self._feeds._store.list(query)
            found |= {record.task_id: record for record in page.tasks}
            if not page.next_token:
                return found
            query = replace(query, next_token=page.next_token)

    async def close(self) -> None:
        """Stops following."""
        for task_id, poller in self._following.items():
            self._feeds._leave(task_id, poller)
        self._following.clear()
