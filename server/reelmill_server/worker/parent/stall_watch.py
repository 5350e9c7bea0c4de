"""Watches over an attempt: says that it lives, and notices when it stands still."""

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
from reelmill_server.worker.parent.range_server import Broker

HEAR_SECONDS = 1.0
"""How often an attempt is looked at, and reported."""


@dataclass(frozen=True)
class Bounds:
    """What bounds an attempt: media limits, seconds of work, seconds without movement, bytes of a source (0: any).

    What takes no more than `fast_core_seconds` is small; an attempt waits `admission_wait_seconds` for what it needs. `chunks`:
    when a task is cut in units.
    """

    limits: Limits
    timeout_seconds: float
    stall_seconds: float
    max_source_bytes: int
    encoder_order: tuple[str, ...]
    fast_core_seconds: float = 10.0
    admission_wait_seconds: float = 60.0
    chunks: SplitRule = field(default_factory=SplitRule)


class Beat:
    """Reports progress when it changes."""

    def __init__(self, report: Callable[[Progress], None]) -> None:
        self.latest = Progress(phase=TaskPhase.PROBING)
        self._report = report

    def __call__(self, progress: Progress) -> None:
        """The attempt moved on."""
        self.latest = progress
        self._report(progress)

    def waits(self) -> None:
        """The attempt waits for what it needs."""
        self(replace(self.latest, phase=TaskPhase.QUEUED))

    def begins(self) -> None:
        """The attempt begins."""
        self(replace(self.latest, phase=TaskPhase.PROBING))

    async def go_on(self) -> None:
        """Reports every second, whatever takes long: an attempt that is silent is given to another worker."""
        while True:
            self._report(self.latest)
            await asyncio.sleep(HEAR_SECONDS)


@asynccontextmanager
async def beating(report: Callable[[Progress], None]) -> AsyncIterator[Beat]:
    """What reports as long as the block lasts."""
    beat = Beat(report)
    going_on = asyncio.create_task(beat.go_on())
    try:
        yield beat
    finally:
        going_on.cancel()


class Watch:
    """Notices when an attempt takes too long or stands still: media time must move, not only the process live."""

    def __init__(self, bounds: Bounds, broker: Broker) -> None:
        self._bounds, self._broker = bounds, broker
        self._fetched = 0
        self._begun = self._moved = self._looked = time.monotonic()
        self._position = -1.0

    def moved(self, message: messages.Advanced) -> None:
        """The child said where it is."""
        if message.position != self._position:
            self._position, self._moved = message.position, time.monotonic()

    def second_passed(self) -> bool:
        """Whether a second has passed since this was true."""
        now = time.monotonic()
        if now - self._looked < HEAR_SECONDS:
            return False
        self._looked = now
        return True

    def check(self, progress: Progress) -> None:
        """Raises Timeout or Stalled."""
        now = time.monotonic()
        if self._broker.fetched_bytes != self._fetched:  # a source that comes slowly does come
            self._fetched, self._moved = self._broker.fetched_bytes, now
        if now - self._begun > self._bounds.timeout_seconds:
            raise Timeout(f"the attempt took longer than {self._bounds.timeout_seconds:.0f} s")
        if now - self._moved > self._bounds.stall_seconds:
            raise Stalled(f"nothing moved for {self._bounds.stall_seconds:.0f} s while {progress.phase.lower()}")
