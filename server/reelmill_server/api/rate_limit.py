"""How many calls one caller may make."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from reelmill_server.errors import Throttled

_MOST_CALLERS = 10_000


class RateLimit:
    """A bucket of `burst` calls for each caller, filled at `rate` calls a second; rate 0: no limit. Per replica."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> None:
        """Count a call of this caller. Raises Throttled, which says when the next one is allowed."""
        left = self.count(name)
        if left < 1:
            raise self._throttled(name, left)

    def check(self, name: str) -> None:
        """Raise Throttled if no call of this caller is allowed now; count none."""
        left = self._left(name)
        if self._rate and left < 1:
            raise self._throttled(name, left)

    def count(self, name: str) -> float:
        """Count a call of this caller, if one is allowed, and return how many were before it."""
        if not self._rate:
            return math.inf
        left = self._left(name)
        self._buckets[name] = (left - 1 if left >= 1 else left, self._clock())
        self._buckets.move_to_end(name)
        if len(self._buckets) > _MOST_CALLERS:
            self._buckets.popitem(last=False)  # whoever called least recently
        return left

    def _left(self, name: str) -> float:
        now = self._clock()
        left, since = self._buckets.get(name, (float(self._burst), now))
        return min(self._burst, left + (now - since) * self._rate)

    def _throttled(self, name: str, left: float) -> Throttled:
        seconds = max(0.001, math.ceil((1 - left) / self._rate * 1000) / 1000)
        return Throttled(f"{name} makes more than {self._rate:g} calls a second", retry_seconds=seconds)
