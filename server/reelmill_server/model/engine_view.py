"""What the engine knows of a task, as plain data."""

from dataclasses import dataclass
from enum import StrEnum

from reelmill_server.model.task import Progress

QUEUED = Progress()


class EngineState(StrEnum):
    """Where the engine stands with a task: at work on it, done with it, or without any knowledge of it."""

    RUNNING = "running"
    CLOSED = "closed"
    UNKNOWN = "unknown"


class Standing(StrEnum):
    """What an attempt is to its task. `ENDED`: nothing of the task is to be published."""

    OURS = "the attempt is the task's"
    TAKEN_OVER = "another attempt has taken the task over"
    ENDED = "the task was canceled, or has failed"


@dataclass(frozen=True)
class EngineView:
    """What the engine knows of a task now. `busy`: an attempt is queued or at work, so the record cannot be final yet."""

    state: EngineState
    progress: Progress = QUEUED
    busy: bool = False
