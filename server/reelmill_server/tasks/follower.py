"""Keep what has changed in a project, read once for this replica: watchers keep their position in it, and nothing else."""

import asyncio
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from reelmill_server.errors import ReelmillError, ServiceUnavailable
from reelmill_server.model.task import UNREPORTED, Progress, ReportedProgress, TaskPhase, TaskQuery, TaskRecord, TaskStatus
from reelmill_server.tasks.changes import Change
from reelmill_server.tasks.selector import tag_digest

_NEW = Progress()
_ENDED_PROGRESS = Progress(phase=TaskPhase.NONE)
_CHARACTER_BYTES = 3  # in memory, decoded and encoded
_RECORD_BYTES = 2_000  # of the smallest


@dataclass(frozen=True)
class Snapshot:
    """The current state of a task: its record, and its progress while it is running.

    `encoded` is what it becomes on the wire, kept for all who are sent it.
    """

    record: TaskRecord
    progress: Progress = _ENDED_PROGRESS
    encoded: dict[str, bytes] = field(default_factory=dict, compare=False, repr=False)


@dataclass(slots=True)
class Entry:
    """A task in a follower. `seq`: of its last change here, progress included; 0: none since the project is followed.

    `watchers` of this one task; `report` beside its row; `started`: the engine has it; `heard`: when an attempt of this process
    reported last, by the clock of this process: it knows more than the records.
    """

    number: int
    status: TaskStatus
    admitted: bool
    seq: int = 0
    progress: Progress = _NEW
    tags: frozenset[str] = frozenset()
    watchers: int = 0
    report: ReportedProgress = UNREPORTED
    started: bool = True
    heard: float = 0.0

    @property
    def runs(self) -> bool:
        """Whether the engine has the task, or should."""
        return self.admitted and not self.status.final


class Follower:
    """The changes of a project since it is followed: a log of task ids, in which each task counts where it stands last."""

    def __init__(self, project_name: str) -> None:
        self.project_name = project_name
        self.number = 0
        """The last change that was read."""
        self.users = 0
        self.started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done once changes are noted."""
        self.entries: dict[str, Entry] = {}
        self.readers: set[Reader] = set()
        self.seq, self.floor = 0, 0
        self.log: list[tuple[int, str]] = []
        self.error: ReelmillError | None = None
        self.loading: dict[str, asyncio.Task[Mapping[str, Snapshot]]] = {}
        self.shown = _Shown()
        self.waits: object = None
        """The `Waits.state` with which the watched tasks were last read."""
        self._changed = asyncio.Event()
        self._wakers: dict[str, asyncio.Event] = {}

    @property
    def wanted(self) -> frozenset[str]:
        """The digests of tags by which readers choose."""
        return frozenset().union(*(reader.tags for reader in self.readers))

    def note(self, change: Change, tags: frozenset[str] = frozenset()) -> Entry | None:
        """Take note of a change of a task; return its entry, None if it has none as nothing changed since the start."""
        entry = self.entries.get(change.task_id)
        if entry is None:
            if change.number <= self.number:
                return None
            entry = self.entries[change.task_id] = Entry(change.number, change.status, change.admitted, tags=tags)
        elif change.number < entry.number or (
            (change.number, change.status) == (entry.number, entry.status) and tags <= entry.tags
        ):
            return entry
        entry.number, entry.status, entry.admitted = change.number, change.status, change.admitted
        entry.tags |= tags
        if entry.status.final:
            entry.report = UNREPORTED
            entry.progress = replace(_ENDED_PROGRESS, percent=entry.progress.percent)
        self.shown.drop(change.task_id)
        self._append(change.task_id, entry)
        return entry

    def keep(self, change: Change) -> Entry:
        """Return the entry of a task, made without telling anyone: nothing has changed."""
        return self.entries.setdefault(change.task_id, Entry(change.number, change.status, change.admitted))

    def advance(self, task_id: str, entry: Entry, progress: Progress) -> None:
        """Take note of a task's progress; percentages never decrease, not even when a new attempt starts."""
        if progress.percent < entry.progress.percent:
            progress = replace(progress, percent=entry.progress.percent)
        if not entry.status.final and progress != entry.progress:
            entry.progress = progress
            self.shown.advance(task_id, progress)
            self._append(task_id, entry)

    def _append(self, task_id: str, entry: Entry) -> None:
        self.seq += 1
        entry.seq = self.seq
        self.log.append((self.seq, task_id))
        # Each waiter holds the event it waits for, so the new event is set up before the old one wakes them.
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        waker = self._wakers.pop(task_id, None)
        if waker is not None:
            waker.set()

    def fail(self, error: ReelmillError) -> None:
        """Report to all watchers that the project can no longer be followed."""
        self.error = error
        self._changed.set()
        for waker in self._wakers.values():
            waker.set()

    async def change(self, task_id: str = "") -> None:
        """Wait for the next change of this task, or of any."""
        await (self._wakers.setdefault(task_id, asyncio.Event()) if task_id else self._changed).wait()

    def watched(self) -> Iterator[tuple[str, Entry]]:
        """Yield the unfinished tasks that have watchers of their own."""
        return ((task_id, entry) for task_id, entry in self.entries.items() if entry.watchers and not entry.status.final)

    def prune(self, limit: int) -> None:
        """Forget what all readers have passed, and the oldest changes beyond `limit`: who has not read them falls behind."""
        passed = min((reader.position for reader in self.readers), default=self.seq)
        self._cut(bisect_left(self.log, (passed + 1,)))
        if len(self.log) > limit:
            self.log = [item for item in self.log if self._current(*item)]
        if len(self.log) > limit:
            self.floor = self.log[-limit // 2][0] - 1
            self._cut(bisect_left(self.log, (self.floor + 1,)))

    def let_go(self, task_id: str, entry: Entry) -> None:
        """Forget a task that has lost a watcher of its own, if nobody needs it any more: it was kept when its change was."""
        if (not self.log or entry.seq < self.log[0][0]) and self.entries.get(task_id) is entry:
            self._forget(task_id, entry)

    def _forget(self, task_id: str, entry: Entry) -> None:
        if not entry.runs and not entry.watchers:
            del self.entries[task_id]

    def _cut(self, count: int) -> None:
        for seq, task_id in self.log[:count]:
            entry = self.entries.get(task_id)
            if entry is not None and entry.seq == seq:
                self._forget(task_id, entry)
        del self.log[:count]

    def _current(self, seq: int, task_id: str) -> bool:
        entry = self.entries.get(task_id)
        return entry is not None and entry.seq == seq

    def raise_error(self) -> None:
        """Raise what ended the watches."""
        if self.error is not None:
            raise self.error


class Reader:
    """The position of one watcher in a project's changes."""

    def __init__(self, follower: Follower, query: TaskQuery) -> None:
        self._follower, self._statuses = follower, query.statuses
        self.tags = frozenset(tag_digest(key, text) for key, text in query.tags)
        self.position = follower.seq
        self._listed: dict[str, int] = {}

    @property
    def sees_progress(self) -> bool:
        """Whether running tasks are told."""
        return not self._statuses or TaskStatus.RUNNING in self._statuses

    def note_listed(self, task_id: str) -> None:
        """Note that the list of all tasks has told the current state of this one."""
        entry = self._follower.entries.get(task_id)
        if entry is not None and entry.seq > self.position:
            self._listed[task_id] = entry.seq

    async def next(self) -> tuple[str, Entry, int]:
        """Return the next task that has changed, with its entry and the change's `seq`. Raises what ended the watch."""
        follower = self._follower
        while True:
            if self.position < follower.floor:
                raise ServiceUnavailable("this watch is too far behind: watch again")
            at = bisect_left(follower.log, (self.position + 1,))
            while at < len(follower.log):
                self.position, task_id = follower.log[at]
                at += 1
                entry = follower.entries.get(task_id)
                if entry is not None and entry.seq == self.position and self._matches(task_id, entry):
                    return task_id, entry, self.position
            self._listed.clear()
            follower.raise_error()
            await follower.change()

    def ahead(self, count: int) -> list[str]:
        """Return some of the tasks that come next."""
        at = bisect_left(self._follower.log, (self.position + 1,))
        return [task_id for _, task_id in self._follower.log[at : at + count]]

    def _matches(self, task_id: str, entry: Entry) -> bool:
        # A task that has left RUNNING is told once more; no other status is ever left.
        wanted = self.sees_progress or entry.status in self._statuses
        return wanted and self.tags <= entry.tags and self._listed.get(task_id) != entry.seq


class _Shown:
    """The latest states that were told, as far as they fit."""

    limit = 1 << 20

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[Snapshot, int]] = OrderedDict()
        self._bytes = 0

    def get(self, task_id: str) -> Snapshot | None:
        entry = self._kept.get(task_id)
        return entry and entry[0]

    def put(self, snapshot: Snapshot) -> None:
        self.drop(snapshot.record.task_id)
        size = _size(snapshot.record)
        self._kept[snapshot.record.task_id] = snapshot, size
        self._bytes += size
        while self._bytes > self.limit and self._kept:
            self.drop(next(iter(self._kept)))

    def advance(self, task_id: str, progress: Progress) -> None:
        """Replace the progress of a task."""
        snapshot = self.get(task_id)
        if snapshot is not None:
            self.put(Snapshot(snapshot.record, progress))

    def drop(self, task_id: str) -> None:
        _, size = self._kept.pop(task_id, (None, 0))
        self._bytes -= size


def _size(record: TaskRecord) -> int:
    """Return about how many bytes a record takes with what is made of it."""
    outcome: Any = record.outcome
    characters = len(record.user_data) + sum(len(key) + len(str(value)) for key, value in record.tags.items())
    if outcome is not None:
        characters += len(outcome.message) + sum(map(len, outcome.warnings))
        characters += sum(len(failed.message) for failed in outcome.failed_attempts)
        for artifact in outcome.artifacts:
            characters += 500 * (1 + len(artifact.streams)) + 16 * len(artifact.frame_times)
    return _RECORD_BYTES + _CHARACTER_BYTES * characters
