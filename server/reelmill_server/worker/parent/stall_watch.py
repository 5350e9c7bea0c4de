"""Report that an attempt is alive, and notice when it stalls."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from reelmill_server.errors import Stalled, Timeout
from reelmill_server.model.capability import Limits
from reelmill_server.model.task import Progress, TaskPhase
from reelmill_server.model.units import SplitRule
from reelmill_server.worker import messages
from reelmill_server.worker.parent.range_server import RangeServer

RECEIVE_SECONDS = 1.0
"""Interval of checks and of reports."""


@dataclass(frozen=True)
class Bounds:
    """Limits of an attempt: of media, seconds of work, seconds without progress, bytes of a source (0: any).

    A task of at most `fast_core_seconds` is small; an attempt waits `admission_wait_seconds` for resources. `chunks`: when a
    task is split.
    """

    limits: Limits
    timeout_seconds: float
    stall_seconds: float
    max_source_bytes: int
    encoder_order: tuple[str, ...]
    fast_core_seconds: float = 10.0
    admission_wait_seconds: float = 60.0
    chunks: SplitRule = field(default_factory=SplitRule)


class Heartbeat:
    """Reports the progress of an attempt whenever it changes, and every second."""

    def __init__(self, report: Callable[[Progress], None]) -> None:
        self.latest = Progress(phase=TaskPhase.PROBING)
        self._report = report

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
async def heartbeats(report: Callable[[Progress], None]) -> AsyncIterator[Heartbeat]:
    """Send heartbeats by calling `report` during the block."""
    heartbeat = Heartbeat(report)
    repeating = asyncio.create_task(heartbeat.repeat())
    try:
        yield heartbeat
    finally:
        repeating.cancel()


class StallWatch:
    """Notices when an attempt takes too long or stalls: media time must advance, it is not enough that the process lives."""

    def __init__(self, bounds: Bounds, range_server: RangeServer) -> None:
        self._bounds, self._range_server = bounds, range_server
        self._fetched = 0
        self._begun = self._moved = self._looked = time.monotonic()
        self._position = -1.0

    def moved(self, message: messages.Advanced) -> None:
        """Note the position that the child reports."""
        if message.position != self._position:
            self._position, self._moved = message.position, time.monotonic()

    def second_passed(self) -> bool:
        """Return whether a second has passed since this last returned true."""
        now = time.monotonic()
        if now - self._looked < RECEIVE_SECONDS:
            return False
        self._looked = now
        return True

    def check(self, progress: Progress) -> None:
        """Raise Timeout or Stalled if the attempt has exceeded its limits."""
        now = time.monotonic()
        if self._range_server.fetched_bytes != self._fetched:  # a slow source is not a stall
            self._fetched, self._moved = self._range_server.fetched_bytes, now
        if now - self._begun > self._bounds.timeout_seconds:
            raise Timeout(f"the attempt took longer than {self._bounds.timeout_seconds:.0f} s")
        if now - self._moved > self._bounds.stall_seconds:
            raise Stalled(f"nothing moved for {self._bounds.stall_seconds:.0f} s while {progress.phase.lower()}")
