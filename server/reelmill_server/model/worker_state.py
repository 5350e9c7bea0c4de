"""Describe what workers do now."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from reelmill_server.model.capability import Report
from reelmill_server.model.preview import Preview
from reelmill_server.model.task import Progress

JOINING_FROM = 95
"""Percent of a task that is encoded in chunks when all chunks are encoded."""


class TaskPart(StrEnum):
    """A part of a task that one worker does."""

    WHOLE = "whole"
    CHUNK = "unit"
    JOIN = "join"


@dataclass(frozen=True)
class AttemptState:
    """A running attempt; `chunk` is the number of the chunk, if it is one; `started_us`: microseconds since the epoch.

    `preview`: the latest, while it is new.
    """

    project_name: str
    task_id: str
    attempt: int
    lane: str
    part: TaskPart
    started_us: int
    progress: Progress
    chunk: int = 0
    preview: Preview | None = None

    @property
    def whole_percent(self) -> int:
        """How far its task is, 0 to 100; of a chunk, how far that is."""
        percent = self.progress.percent
        return JOINING_FROM + percent * (100 - JOINING_FROM) // 100 if self.part is TaskPart.JOIN else percent


def with_few_previews(attempts: Sequence[AttemptState], since_us: int, most: int) -> tuple[AttemptState, ...]:
    """Return attempts without the previews that were taken before `since_us`, and with the `most` latest only."""
    times = sorted((attempt.preview.taken_us for attempt in attempts if attempt.preview), reverse=True)
    since_us = max([since_us, *times[most - 1 : most]])
    return tuple(
        replace(attempt, preview=None) if attempt.preview and attempt.preview.taken_us < since_us else attempt
        for attempt in attempts
    )


@dataclass(frozen=True)
class LaneState:
    """A queue that a worker serves: whether its encoders work and the worker's disk has room, and how many streams they encode,
    and may (0: any number).
    """

    name: str
    available: bool = True
    sessions: int = 0
    max_sessions: int = 0


@dataclass(frozen=True)
class Load:
    """Resources that a worker's attempts hold together, or may hold (0: any): slots, cores, bytes of memory and scratch."""

    slots: int = 0
    cores: float = 0.0
    memory_bytes: int = 0
    scratch_bytes: int = 0


@dataclass(frozen=True)
class WorkerState:
    """A worker now: of which version, since when (microseconds since the epoch), what it serves, holds, may hold and runs.

    `waiting`: attempts that wait for resources; `machine_load`: processes that want a core, on average over a minute.
    """

    version: str
    started_us: int
    lanes: tuple[LaneState, ...] = ()
    held: Load = Load()
    most: Load = Load()
    waiting: int = 0
    machine_load: float = 0.0
    attempts: tuple[AttemptState, ...] = ()
    draining: bool = False


@dataclass(frozen=True)
class ShownWorker:
    """A worker as the engine knows it: what it can do and did when it was last heard of (microseconds since the epoch)."""

    report: Report
    state: WorkerState
    seen_us: int
