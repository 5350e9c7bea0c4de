"""Why tasks wait, and their place among those of their project that do: from the records alone."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from reelmill_server.model.capability import SOFTWARE
from reelmill_server.model.needs import FAST
from reelmill_server.model.task import Progress, ReportedProgress, TaskPhase, TaskRecord
from reelmill_server.model.waiting import Wait, WaitReason
from reelmill_server.tasks.progress import ProgressStore
from reelmill_server.tasks.store import TaskStore

_MOST = 100_000  # whose places are known
_LEAST_SECONDS = 1.0
_KEPT_SECONDS = 15.0  # a line that is outdated, to tell whether the next one differs
_PER_SECOND = 1_000  # tasks of a project whose places are read anew, so that long lines cost no more than short ones


@dataclass(slots=True)
class _Line:
    """The tasks of a project that wait, in their order, good until then; `state`: another one whenever `lanes` are others."""

    places: Mapping[str, int]
    until: float = 0.0
    lanes: Mapping[str, int] | None = None
    state: object = field(default_factory=object)


class Waits:
    """Why tasks wait, for all callers of this replica."""

    def __init__(self, tasks: TaskStore, progress: ProgressStore) -> None:
        self._tasks, self._progress = tasks, progress
        self._lines: dict[str, _Line] = {}
        self._lanes: Mapping[str, int] = {}
        self._lanes_until = 0.0

    async def progress_of(self, record: TaskRecord) -> Progress:
        """Return the progress of an unfinished task, with what it waits for."""
        wait = await self.of(record.project_name, record.task_id, record.admitted, record.engine_started, record.report)
        return replace(record.report.progress, wait=wait)

    async def of(self, project_name: str, task_id: str, admitted: bool, started: bool, report: ReportedProgress) -> Wait | None:
        """Return what a task waits for; None if it does not."""
        if report.progress.phase is not TaskPhase.QUEUED:
            return None
        wait = reason(admitted, started, report, await self._served())
        if report.working:
            return wait  # it had its turn
        line = await self._line(project_name)
        return replace(wait, place=line.places.get(task_id, 0), count=len(line.places))

    async def state(self, project_name: str) -> object:
        """Return what stays the same object until what the tasks of a project wait for, or their places, may have changed."""
        lanes, line = await self._served(), await self._line(project_name)
        if line.lanes is not lanes:
            line.lanes, line.state = lanes, object()
        return line.state

    async def _served(self) -> Mapping[str, int]:
        now = time.monotonic()
        if now >= self._lanes_until:
            lanes = await self._progress.lanes()
            if lanes != self._lanes:
                self._lanes = lanes
            self._lanes_until = now + _LEAST_SECONDS
        return self._lanes

    async def _line(self, project_name: str) -> _Line:
        begin = time.monotonic()
        line = self._lines.get(project_name)
        if line is None or line.until < begin:
            names = await self._tasks.waiting(project_name, _MOST)
            now = time.monotonic()
            if line is None or list(line.places) != names:
                line = _Line({task_id: place for place, task_id in enumerate(names, 1)})
            line.until = now + max(_LEAST_SECONDS, len(names) / _PER_SECOND)
            self._lines = {name: other for name, other in self._lines.items() if other.until >= now - _KEPT_SECONDS}
            self._lines[project_name] = line
        return line


def reason(admitted: bool, started: bool, report: ReportedProgress, lanes: Mapping[str, int]) -> Wait:
    """Return what a waiting task waits for; `lanes`: how many workers serve each, empty if nobody has looked yet."""
    lane = report.lane or FAST
    if not admitted:
        return Wait(WaitReason.QUOTA)
    if not started:
        return Wait(WaitReason.ENGINE)
    if report.working:
        return Wait(WaitReason.RESOURCES)
    if lane not in (FAST, SOFTWARE):
        return Wait(WaitReason.ACCELERATOR, lane)
    if lanes and not lanes.get(lane):
        return Wait(WaitReason.NO_WORKER, lane)
    return Wait(WaitReason.BUSY, lane)
