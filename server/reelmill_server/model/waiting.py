"""Why a task waits, and its place among those that do."""

from dataclasses import dataclass
from enum import StrEnum


class WaitReason(StrEnum):
    """The reasons for which a task waits."""

    QUOTA = "quota"
    """For others of its project to end."""
    ENGINE = "engine"
    """For the engine to take it."""
    NO_WORKER = "no_worker"
    """For a worker that serves its queue: there is none."""
    ACCELERATOR = "accelerator"
    """For an encoder session of an accelerator."""
    BUSY = "busy"
    """For its turn on the workers, all of which are busy."""
    RESOURCES = "resources"
    """For cores, memory or scratch of the worker that has it."""


@dataclass(frozen=True)
class Wait:
    """Why a task waits, in which queue (empty: none, or unknown), and its `place` of `count` waiting tasks of its project, in
    the order in which they have their turn; 0: unknown.
    """

    reason: WaitReason
    lane: str = ""
    place: int = 0
    count: int = 0
