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
        if not self._rate:
            return
        now = self._clock()
        left, since = self._buckets.pop(name, (float(self._burst), now))
        left = min(self._burst, left + (now - since) * self._rate)
        enough = left >= 1
        self._buckets[name] = (left - 1 if enough else left, now)
        if len(self._buckets) > _MOST_CALLERS:
            self._buckets.popitem(last=False)  # whoever called least recently
        if not enough:
            seconds = max(0.001, math.ceil((1 - left) / self._rate * 1000) / 1000)
            raise Throttled(f"{name} makes more than {self._rate:g} calls a second", retry_seconds=seconds)
