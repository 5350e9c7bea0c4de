"""Limits of an attempt, and how a stall is noticed."""

import time
from dataclasses import dataclass, field

from reelmill_server.errors import MediaLimitExceeded, Stalled, Timeout
from reelmill_server.model.capability import Limits
from reelmill_server.model.task import Progress
from reelmill_server.model.units import SplitRule
from reelmill_server.worker import messages
from reelmill_server.worker.parent.child_usage import usage_of
from reelmill_server.worker.parent.heartbeat import RECEIVE_SECONDS
from reelmill_server.worker.parent.range_server import RangeServer

_BYTES_PER_CORE_SECOND = 50 << 20
_LOOK_INTERVAL = 0.2  # a frame of a bomb is decoded in as long


@dataclass(frozen=True)
class Bounds:
    """Limits of an attempt: of media, seconds of work, seconds without progress, bytes of a source (0: any).

    A task of at most `fast_core_seconds` is small; an attempt waits `admission_wait_seconds` for resources. `chunks`: when a
    task is split. `look_seconds`: opening the sources may take as long, and probing and planning, which may use
    `look_memory_bytes` and `look_core_seconds` of CPU. `previews`: whether frames that are encoded are shown.
    """

    limits: Limits
    timeout_seconds: float
    stall_seconds: float
    max_source_bytes: int
    encoder_order: tuple[str, ...]
    fast_core_seconds: float = 10.0
    admission_wait_seconds: float = 60.0
    chunks: SplitRule = field(default_factory=SplitRule)
    look_seconds: float = 600.0
    look_memory_bytes: int = 1 << 30
    look_core_seconds: float = 20.0
    previews: bool = False


def look_bounds(bounds: Bounds, range_server: RangeServer) -> messages.LookBounds:
    """Return what a look may use. Some sources are read to their end, which costs CPU time of its own."""
    for_size = range_server.size_bytes / _BYTES_PER_CORE_SECOND
    return messages.LookBounds(bounds.look_memory_bytes, bounds.look_core_seconds + for_size)


class StallWatch:
    """Notices when an attempt takes too long or stalls: media time must advance, it is not enough that the process lives.

    While it looks at its sources, their storage must keep a least rate, and memory and CPU are limited.
    """

    def __init__(self, bounds: Bounds, range_server: RangeServer, pid: int, *, looks: bool = True) -> None:
        """Watch the child `pid`; `looks`: it begins with a look at its sources."""
        self._pid = pid
        self._bounds, self._range_server = bounds, range_server
        self._fetched, self._looks = 0, looks
        self._begun = self._moved = self._looked = time.monotonic()
        self._position = -1.0

    def moved(self, message: messages.Advanced) -> None:
        """Note the position that the child reports."""
        if message.position != self._position:
            self._position, self._moved = message.position, time.monotonic()

    @property
    def interval(self) -> float:
        """Seconds until the next check."""
        return _LOOK_INTERVAL if self._looks else RECEIVE_SECONDS

    def planned(self) -> None:
        """Note that the look at the sources is over."""
        self._looks = False

    def waited(self) -> None:
        """Note that the attempt waited for what others hold: that was no stall."""
        self._moved = time.monotonic()

    def second_passed(self) -> bool:
        """Return whether a second has passed since this last returned true."""
        now = time.monotonic()
        if now - self._looked < RECEIVE_SECONDS:
            return False
        self._looked = now
        return True

    def check(self, progress: Progress) -> None:
        """Raise Timeout, Stalled or, for a look, MediaLimitExceeded if the attempt has exceeded its limits."""
        now = time.monotonic()
        if self._range_server.fetched_bytes != self._fetched:  # a slow source is not a stall
            self._fetched, self._moved = self._range_server.fetched_bytes, now
        if self._looks:
            self._range_server.pace.check()
            self._check_look(now)
        if now - self._begun > self._bounds.timeout_seconds:
            raise Timeout(f"the attempt took longer than {self._bounds.timeout_seconds:.0f} s")
        if now - self._moved > self._bounds.stall_seconds:
            raise Stalled(f"nothing moved for {self._bounds.stall_seconds:.0f} s while {progress.phase.lower()}")

    def _check_look(self, now: float) -> None:
        most, usage = look_bounds(self._bounds, self._range_server), usage_of(self._pid)
        if now - self._begun > self._bounds.look_seconds:
            raise Timeout(f"looking at the sources took longer than {self._bounds.look_seconds:.0f} s")
        if usage.memory_bytes > most.memory_bytes:
            raise MediaLimitExceeded(f"looking at the sources takes more than {most.memory_bytes >> 20} MiB of memory")
        if usage.core_seconds > most.core_seconds:
            raise MediaLimitExceeded(f"looking at the sources takes more than {most.core_seconds:.0f} s of CPU")
