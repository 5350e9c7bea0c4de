"""The state of a task in the engine."""

from dataclasses import dataclass
from enum import StrEnum


class EngineState(StrEnum):
    """Whether the engine runs a task's workflow, has closed it, or does not know it."""

    RUNNING = "running"
    CLOSED = "closed"
    UNKNOWN = "unknown"


class ClaimState(StrEnum):
    """Relation of an attempt to its task. `ENDED`: nothing of the task may be published."""

    OURS = "the attempt is the task's"
    TAKEN_OVER = "another attempt has taken the task over"
    ENDED = "the task was canceled, or has failed"


@dataclass(frozen=True)
class EngineView:
    """State of a task in the engine; `problem`: why the engine does not carry the task on, empty if it does."""

    state: EngineState
    problem: str = ""
