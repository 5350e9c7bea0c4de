"""Collect what workers tell of their attempts, and write it beside the rows of their tasks: one replica does so for all.

Workers reach no database. They show what they do by heartbeats in the engine, all of their attempts at once, so that what is
asked of the engine grows with workers, and with neither tasks nor watchers. What has not changed is not written.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import structlog

from reelmill_server.model.preview import Preview
from reelmill_server.model.task import Progress, ReportedProgress, TaskPhase
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.model.worker_state import AttemptState, TaskPart, WorkerState
from reelmill_server.tasks.leases import Lease
from reelmill_server.tasks.progress import ProgressStore

_STEP_SECONDS = 1.0
_LOOK_SECONDS = 1.0  # workers show themselves as often
_IDLE_SECONDS = 2.0
_PREVIEW_SECONDS = 2  # at least, between those of a task
_log = structlog.get_logger(__name__)


class Collector:
    """Collects progress while it holds the lease."""

    def __init__(
        self,
        store: ProgressStore,
        lease: Lease,
        *,
        workers: Callable[[], Awaitable[Sequence[WorkerState]]] | None,
        any_started: Callable[[], Awaitable[bool]],
        chunked_percent: Callable[[str], Awaitable[int]],
        waiting_in: Callable[[str], Awaitable[str]],
        announce: Callable[[], object],
        show: Callable[[Mapping[str, Preview]], Awaitable[None]],
    ) -> None:
        """`workers` returns the states of those of other processes, None if there are none; `any_started` whether any task may
        be theirs. `chunked_percent` returns how far a task in chunks is, `waiting_in` the lane that a task waits in. After each
        write `announce` is called; `show` keeps new previews of tasks.
        """
        self._store, self._lease, self._workers, self._any_started = store, lease, workers, any_started
        self._chunked_percent, self._waiting_in, self._announce, self._show = chunked_percent, waiting_in, announce, show
        self.local: Callable[[], WorkerState] | None = None
        """Returns the state of the worker in this process, if there is one."""
        self._wake = asyncio.Event()
        self._last: dict[str, ReportedProgress] | None = None
        self._missing: set[str] = set()
        self._chunked: dict[str, tuple[float, int]] = {}
        self._shown: dict[str, int] = {}
        self._looked, self._seen = 0.0, tuple[WorkerState, ...]()

    def wake(self) -> None:
        """Look at once: an attempt has begun here, or a task was started."""
        self._wake.set()

    async def once(self) -> None:
        """Collect once, then wait until there may be something to collect. Raises ServiceUnavailable."""
        self._wake.clear()
        busy = False
        try:
            if self._lease.held:
                busy = await self._collect()
            else:
                self._last = None  # another collects meanwhile
        finally:
            with suppress(TimeoutError):
                if busy:
                    await asyncio.sleep(_STEP_SECONDS)
                else:
                    async with asyncio.timeout(_IDLE_SECONDS):
                        await self._wake.wait()

    async def _collect(self) -> bool:
        """Write what has changed; return whether anything may change soon."""
        if self._last is None:
            self._last = dict(await self._store.working())
        states = await self._states()
        attempts = [attempt for state in states for attempt in state.attempts]
        now = {task_id: await self._progress_of(task_id, its) for task_id, its in by_task(attempts).items()}
        changed = {task_id: report for task_id, report in now.items() if report != self._last.get(task_id)}
        changed |= await self._returned(now)
        await self._store.tell_lanes(lanes_of(states))
        if changed:
            await self._store.tell(changed)
            self._announce()
        await self._keep_previews(attempts)
        self._last = {**{task_id: report for task_id, report in self._last.items() if task_id in self._missing}, **now}
        self._chunked = {task_id: entry for task_id, entry in self._chunked.items() if task_id in now}
        return bool(attempts or self._missing)

    async def _keep_previews(self, attempts: Sequence[AttemptState]) -> None:
        """Have the previews kept that are new, of each task one at a time, however many chunks of it are encoded."""
        previews = {attempt.task_id: attempt.preview for attempt in attempts if attempt.preview}
        new = {
            task_id: preview
            for task_id, preview in previews.items()
            if preview.taken_us >= self._shown.get(task_id, 0) + _PREVIEW_SECONDS * MICROSECONDS
        }
        if new:
            await self._show(new)
        running = {attempt.task_id for attempt in attempts}
        self._shown |= {task_id: preview.taken_us for task_id, preview in new.items()}
        self._shown = {task_id: last for task_id, last in self._shown.items() if task_id in running}

    async def _states(self) -> Sequence[WorkerState]:
        """Return the states of all workers, as far as they may have tasks."""
        local = [self.local()] if self.local is not None else []
        if self._workers is not None and time.monotonic() - self._looked >= _LOOK_SECONDS:
            self._looked = time.monotonic()
            busy = any(state.attempts for state in self._seen) or await self._any_started()
            self._seen = tuple(await self._workers()) if busy else ()
        return [*local, *self._seen]

    async def _progress_of(self, task_id: str, attempts: Sequence[AttemptState]) -> ReportedProgress:
        """Return what the attempts of a task tell of it."""
        last = attempts[-1]
        if last.part is not TaskPart.CHUNK:
            return ReportedProgress(replace(last.progress, percent=last.whole_percent, attempt=last.attempt), working=True)
        asked_at, percent = self._chunked.get(task_id, (0.0, 0))
        if time.monotonic() - asked_at >= _LOOK_SECONDS:
            percent = await self._chunked_percent(task_id)
            self._chunked[task_id] = time.monotonic(), percent
        begun = percent or any(attempt.progress.phase is not TaskPhase.QUEUED for attempt in attempts)
        return ReportedProgress(Progress(TaskPhase.CONVERTING if begun else TaskPhase.QUEUED, percent, attempt=1), working=True)

    async def _returned(self, now: Mapping[str, ReportedProgress]) -> Mapping[str, ReportedProgress]:
        """Return what is to be told of unfinished tasks that no worker has any more: they wait again.

        Most that workers do not have any more have ended, and are recorded so before the next look.
        """
        assert self._last is not None
        missing = {task_id for task_id, report in self._last.items() if report.working and task_id not in now}
        known = await self._store.of(missing & self._missing) if missing & self._missing else {}
        self._missing = missing - self._missing
        return {
            task_id: ReportedProgress(
                Progress(percent=report.progress.percent, attempt=report.progress.attempt),
                lane=await self._waiting_in(task_id),
            )
            for task_id, report in known.items()
        }


def by_task(attempts: Sequence[AttemptState]) -> Mapping[str, Sequence[AttemptState]]:
    """Return the attempts of each task, the latest last: of a worker that was killed, its last word stands for a while."""
    states: defaultdict[str, list[AttemptState]] = defaultdict(list)
    for attempt in sorted(attempts, key=lambda attempt: (attempt.started_us, attempt.chunk)):
        states[attempt.task_id].append(attempt)
    return states


def lanes_of(states: Sequence[WorkerState]) -> Mapping[str, int]:
    """Return how many of the workers serve each lane."""
    counts: defaultdict[str, int] = defaultdict(int)
    for state in states:
        for lane in state.lanes:
            counts[lane.name] += lane.available and not state.draining
    return counts
