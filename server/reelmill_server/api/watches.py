"""How many streams of states are open: a limited number for each caller, and for all."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from reelmill_server.api.caller import address_of
from reelmill_server.errors import LimitExceeded
from reelmill_server.telemetry.metrics import Metrics


class Watches:
    """The open WatchTask and WatchTasks streams of this replica."""

    def __init__(self, most: int, most_of_caller: int, metrics: Metrics) -> None:
        self._most, self._most_of_caller, self._metrics = most, most_of_caller, metrics
        self._open: Counter[str] = Counter()

    @contextmanager
    def counted(self, peer: str) -> Iterator[None]:
        """Count a stream of the caller with this address during the block. Raises LimitExceeded."""
        caller = address_of(peer)
        if self._open[caller] >= self._most_of_caller:
            raise LimitExceeded(
                f"this caller watches {self._most_of_caller} times already, the most that one may (watch_caller_limit)"
            )
        if self._open.total() >= self._most:
            raise LimitExceeded(f"{self._most} watches are open already, the most that this server serves (watch_limit)")
        self._open[caller] += 1
        try:
            with self._metrics.watchers.track_inprogress():
                yield
        finally:
            self._open[caller] -= 1
            if not self._open[caller]:
                del self._open[caller]
