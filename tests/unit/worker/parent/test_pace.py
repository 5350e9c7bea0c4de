"""How slow a storage may be while its objects are looked at."""

from types import SimpleNamespace
from typing import Any

import pytest

from reelmill_server.errors import StorageUnavailable
from reelmill_server.model.capability import Limits
from reelmill_server.storage.base import LEAST_RATE, PATIENCE_SECONDS
from reelmill_server.worker.messages import LookBounds
from reelmill_server.worker.parent.pace import Pace
from reelmill_server.worker.parent.stall_watch import Bounds, look_bounds


class Clock:
    """A clock that stands still until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_drops_are_too_slow() -> None:
    """A request that takes long counts while it runs, and its bytes count for as long as they would take at the least rate."""
    clock = Clock()
    pace = Pace(clock)
    with pace.waiting("http://host/a?secret"):
        clock.now = PATIENCE_SECONDS
        pace.check()
        clock.now += 1
        with pytest.raises(StorageUnavailable, match=r"^http://host/a: 0 KiB came in 21 s of waiting; .* 64 KiB a second"):
            pace.check()
        pace.received(2 * LEAST_RATE)
        pace.check()
    clock.now += 1000  # nothing is waited for
    pace.check()
    for _ in range(3):
        with pace.waiting("http://host/a"):
            clock.now += 1
    with pytest.raises(StorageUnavailable):
        pace.check()


def test_requests_that_run_together_count_once() -> None:
    """From the first until the last."""
    clock = Clock()
    pace = Pace(clock)
    with pace.waiting("x"), pace.waiting("y"), pace.waiting("z"):
        clock.now = PATIENCE_SECONDS - 1
    pace.check()


def test_long_sources_may_take_longer() -> None:
    """Some are read to their end before anything is planned."""
    bounds = Bounds(Limits(), 60, 60, 0, (), look_memory_bytes=1 << 20, look_core_seconds=20)
    reading: Any = SimpleNamespace(size_bytes=500 << 20)
    assert look_bounds(bounds, reading) == LookBounds(1 << 20, 30)
