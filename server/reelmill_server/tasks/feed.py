"""Live tasks: what watchers of a task, or of a project, are sent."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

from reelmill_server.model.task import Progress, TaskQuery, TaskRecord
from reelmill_server.tasks.changes import BATCH, ChangeStore
from reelmill_server.tasks.follower import Entry, Follower, Reader, Snapshot
from reelmill_server.tasks.following import AHEAD, Following
from reelmill_server.tasks.progress import ProgressStore
from reelmill_server.tasks.snapshots import Snapshots, heard
from reelmill_server.tasks.store import TaskStore, no_such_task
from reelmill_server.tasks.turns import Turns
from reelmill_server.tasks.waits import Waits

_LISTED = 100


class Feeds:
    """Feeds of all watched tasks on this replica."""

    def __init__(
        self,
        store: TaskStore,
        changes: ChangeStore,
        progress: ProgressStore,
        waits: Waits,
        poll_seconds: float,
        states_per_second: float = 2_000,
    ) -> None:
        """Follow `changes` and `progress` every `poll_seconds`; send watchers at most so many states per second altogether."""
        self._store, self._changes, self._waits = store, changes, waits
        self._snapshots = Snapshots(changes, waits)
        self._following = Following(changes, progress, waits=waits, snapshots=self._snapshots, poll_seconds=poll_seconds)
        self._turns = Turns(states_per_second)

    def close(self) -> None:
        """End all watches, present and future, with ServiceUnavailable, so that watchers connect to another replica."""
        self._following.close()

    async def wait_closed(self) -> None:
        """Wait, once the feeds are closed, until they use the database no more."""
        await self._following.wait_closed()

    def poll_now(self, task_id: str = "") -> None:
        """Look for changes immediately because a record has changed, if its task is watched; "": because progress was told."""
        self._following.poll_now(task_id)

    def advanced(self, task_id: str, progress: Progress) -> None:
        """Take the progress of an attempt in this process, which the records have later."""
        self._following.advanced(task_id, progress)

    async def snapshot(self, record: TaskRecord) -> Snapshot:
        """Return the current state of a task."""
        if record.status.final:
            return Snapshot(record)
        follower = self._following.followers.get(record.project_name)
        entry = follower.entries.get(record.task_id) if follower else None
        if entry is not None and heard(entry):
            return Snapshot(record, entry.progress)
        return Snapshot(record, await self._waits.progress_of(record))

    async def snapshots(self, records: Sequence[TaskRecord]) -> list[Snapshot]:
        """Return the current states of tasks."""
        return [await self.snapshot(record) for record in records]

    async def watch(self, project_name: str, task_id: str) -> AsyncGenerator[Snapshot, None]:
        """Yield the current state of a task, then each change, up to its final state. Slow readers skip outdated states.

        Raises ResourceNotFound, and ServiceUnavailable once the feeds are closed.
        """
        record = await self._store.get(project_name, task_id, request=False, work=False)
        if record.status.final:
            yield Snapshot(record)
            return
        async with self._following.project(project_name) as follower, self._kept(follower, task_id) as entry:
            last: Snapshot | None = None
            while True:
                seq = entry.seq
                snapshot = await self._snapshots.of(follower, task_id)
                if snapshot is None:
                    raise no_such_task(project_name, task_id)
                if snapshot != last:
                    if last is not None:
                        await self._turns.take()
                    last = snapshot
                    yield snapshot
                if snapshot.record.status.final:
                    return
                while entry.seq == seq:  # newer states come first, above all the final one
                    follower.raise_error()
                    await follower.change(task_id)

    async def watch_all(self, query: TaskQuery) -> AsyncGenerator[Snapshot, None]:
        """Yield every task that matches `query`, then every change among them and every new task, without end.

        Raises ServiceUnavailable once the feeds are closed.
        """
        async with self._following.project(query.project_name) as follower, self._reading(follower, query) as reader:
            async with aclosing(self._present(follower, query, reader)) as present:
                async for snapshot in present:
                    yield snapshot
            while True:
                task_id, entry, seq = await reader.next()
                await self._turns.take()
                if entry.seq != seq:
                    continue  # it changed meanwhile, and comes again
                latest = await self._snapshots.of(follower, task_id, reader.ahead(AHEAD))
                if latest is not None and entry.seq == seq:
                    yield latest

    async def _present(self, follower: Follower, query: TaskQuery, reader: Reader) -> AsyncGenerator[Snapshot, None]:
        """Yield the tasks that match a query now."""
        last = ""
        while True:
            async with self._snapshots.loads:
                page = await self._changes.matching(query, last, _LISTED)
            for at, task_id in enumerate(page):
                await self._turns.take()
                follower.raise_error()
                snapshot = await self._snapshots.of(follower, task_id, page[at + 1 : at + 1 + AHEAD])
                if snapshot is not None and (not query.statuses or snapshot.record.status in query.statuses):
                    reader.note_listed(task_id)
                    yield snapshot
            if len(page) < _LISTED:
                return
            last = page[-1]

    @asynccontextmanager
    async def _reading(self, follower: Follower, query: TaskQuery) -> AsyncIterator[Reader]:
        """Read the changes of a project during the block."""
        reader = Reader(follower, query)
        new = reader.tags - follower.wanted
        follower.readers.add(reader)
        try:
            if new:  # until now nobody had to know which tasks have them
                await self._find_tags(follower, list(follower.entries), new)
            yield reader
        finally:
            follower.readers.discard(reader)

    async def _find_tags(self, follower: Follower, task_ids: Sequence[str], digests: frozenset[str]) -> None:
        for begin in range(0, len(task_ids), BATCH):
            digests_of = await self._changes.tagged(task_ids[begin : begin + BATCH], digests)
            for task_id, its in digests_of.items():
                if task_id in follower.entries:
                    follower.entries[task_id].tags |= its

    @asynccontextmanager
    async def _kept(self, follower: Follower, task_id: str) -> AsyncIterator[Entry]:
        """Keep an entry of a task during the block. Raises ResourceNotFound."""
        for change in await self._changes.of([task_id]):
            entry = follower.note(change) or follower.keep(change)
            entry.watchers += 1
            try:
                yield entry
            finally:
                entry.watchers -= 1
                follower.let_go(task_id, entry)
            return
        raise no_such_task(follower.project_name, task_id)
