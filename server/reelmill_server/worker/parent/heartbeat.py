"""Report that an attempt is alive, and its progress."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from reelmill_server.model.preview import Preview
from reelmill_server.model.task import Progress, TaskPhase

RECEIVE_SECONDS = 1.0
"""Interval of checks and of reports."""


class Heartbeat:
    """Reports the progress of an attempt whenever it changes, and every second."""

    def __init__(self, report: Callable[[Progress], None], show: Callable[[Preview], None]) -> None:
        self.latest = Progress(phase=TaskPhase.PROBING)
        self._report, self.show = report, show

    def __call__(self, progress: Progress) -> None:
        """Report progress."""
        self.latest = progress
        self._report(progress)

    def queued(self) -> None:
        """Report that the attempt waits for resources."""
        self(replace(self.latest, phase=TaskPhase.QUEUED))

    def started(self) -> None:
        """Report that the attempt starts."""
        self(replace(self.latest, phase=TaskPhase.PROBING))

    async def repeat(self) -> None:
        """Report every second, whatever takes long: a silent attempt is given to another worker."""
        while True:
            self._report(self.latest)
            await asyncio.sleep(RECEIVE_SECONDS)


@asynccontextmanager
async def heartbeats(
    report: Callable[[Progress], None], show: Callable[[Preview], None] = lambda preview: None
) -> AsyncIterator[Heartbeat]:
    """Send heartbeats by calling `report` during the block; the heartbeat's `show` takes previews."""
    heartbeat = Heartbeat(report, show)
    repeating = asyncio.create_task(heartbeat.repeat())
    try:
        yield heartbeat
    finally:
        repeating.cancel()
