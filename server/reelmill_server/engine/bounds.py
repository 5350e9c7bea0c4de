"""Bound the history of a workflow that waits for long: longer pauses, and a new run when the history is long.

Deterministic code that the engine replays.
"""

import asyncio

from temporalio import workflow

_PATCH = "bounded-history"  # workflows that began before it know neither
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0


class HistoryFull(Exception):
    """Raised where the workflow should continue as a new run; nothing of it is running then."""


def history_is_full() -> bool:
    """Return whether the workflow should continue as a new run as soon as it can."""
    return workflow.info().is_continue_as_new_suggested() and workflow.patched(_PATCH)


def check_history() -> None:
    """Raise HistoryFull if the history is full; call it only while nothing of the workflow is running."""
    if history_is_full():
        raise HistoryFull


class Backoff:
    """The pauses of a task that workers hand back again and again: each is longer than the one before, up to a bound."""

    def __init__(self) -> None:
        self._seconds = _FIRST_PAUSE_SECONDS

    async def pause(self) -> None:
        """Wait before the task is offered to workers again."""
        if workflow.patched(_PATCH):
            jitter = workflow.random().uniform(0.75, 1.0)
            seconds, self._seconds = self._seconds * jitter, min(self._seconds * 2, _LONGEST_PAUSE_SECONDS)
            await asyncio.sleep(seconds)
