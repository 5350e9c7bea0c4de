"""Load the states of watched tasks, each once for all of its watchers."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from reelmill_server.model.task import Progress, TaskPhase
from reelmill_server.tasks.changes import ChangeStore
from reelmill_server.tasks.follower import Entry, Follower, Snapshot
from reelmill_server.tasks.waits import Waits

_LOADS = 4  # from the database at once; its other connections are for other calls
_SILENCE_SECONDS = 2.0  # an attempt reports its progress every second


class Snapshots:
    """States of watched tasks. `loads` bounds how much is read from the database at once."""

    def __init__(self, changes: ChangeStore, waits: Waits) -> None:
        self._changes, self._waits = changes, waits
        self.loads = asyncio.Semaphore(_LOADS)

    async def of(self, follower: Follower, task_id: str, ahead: Sequence[str] = ()) -> Snapshot | None:
        """Return the state of a task, None if it is deleted; those `ahead` are loaded with it if it has to be."""
        snapshot = follower.shown.get(task_id)
        if snapshot is not None:
            return snapshot
        loading = follower.loading.get(task_id)
        if loading is None:
            others = [other for other in ahead if other not in follower.loading and follower.shown.get(other) is None]
            task_ids = [task_id, *dict.fromkeys(others)]
            loading = asyncio.create_task(self._load(follower, task_ids))
            follower.loading.update(dict.fromkeys(task_ids, loading))
        return (await asyncio.shield(loading)).get(task_id)

    async def _load(self, follower: Follower, task_ids: Sequence[str]) -> Mapping[str, Snapshot]:
        try:
            async with self.loads:
                rows = await self._changes.shown(task_ids)
        finally:
            for task_id in task_ids:
                follower.loading.pop(task_id, None)
        loaded: dict[str, Snapshot] = {}
        for change, record in rows:
            entry = follower.note(change)
            if entry is not None and not change.status.final:
                entry.started, entry.report = record.engine_started, record.report
                follower.advance(change.task_id, entry, await self.progress_of(follower, change.task_id, entry))
                progress = entry.progress
            elif not change.status.final:
                progress = await self._waits.progress_of(record)
            else:
                progress = entry.progress if entry else Progress(TaskPhase.NONE)
            loaded[change.task_id] = snapshot = Snapshot(record, progress)
            if entry is None or entry.number == change.number:
                follower.shown.put(snapshot)
        return loaded

    async def progress_of(self, follower: Follower, task_id: str, entry: Entry) -> Progress:
        """Return the progress of an unfinished task; percentages never decrease."""
        if heard(entry):
            return entry.progress
        report = entry.report
        wait = await self._waits.of(follower.project_name, task_id, entry.admitted, entry.started, report)
        return replace(report.progress, percent=max(entry.progress.percent, report.progress.percent), wait=wait)


def heard(entry: Entry) -> bool:
    """Return whether an attempt in this process reported lately."""
    return entry.heard > 0 and time.monotonic() - entry.heard < _SILENCE_SECONDS
