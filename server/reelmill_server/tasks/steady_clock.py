"""Tell when the machine's clock may be wrong: what is deleted because it is old cannot be brought back."""

import time
from collections.abc import Callable

_START_SECONDS = 300.0  # time servers set a clock within minutes of a machine's start
_JUMP_SECONDS = 3600.0  # for somebody, or something, to notice that it is wrong
_DRIFT_SECONDS = 60.0  # between two looks


def _uptime() -> float:
    """Return seconds that go on while the machine sleeps, and whatever its clock is set to."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class SteadyClock:
    """A watch over the clock, which is not relied on for some minutes after the start, and for an hour after it was set."""

    def __init__(self, now: Callable[[], float] = time.time, uptime: Callable[[], float] = _uptime) -> None:
        self._now, self._uptime = now, uptime
        self._offset = now() - uptime()
        self._steady_at = uptime() + _START_SECONDS

    def is_steady(self) -> bool:
        """Return whether the clock can be relied on. It is looked at only when this is called."""
        uptime = self._uptime()
        offset = self._now() - uptime
        if abs(offset - self._offset) > _DRIFT_SECONDS:
            self._steady_at = uptime + _JUMP_SECONDS
        self._offset = offset
        return uptime >= self._steady_at
