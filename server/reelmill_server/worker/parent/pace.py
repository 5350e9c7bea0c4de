"""How long a look at sources may wait for their storage: whoever feeds it drop by drop must not hold a place for hours."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from reelmill_server.errors import StorageUnavailable
from reelmill_server.storage.base import LEAST_RATE, PATIENCE_SECONDS, redacted


class Pace:
    """The seconds that storage was waited for, several requests at once counted once, and the bytes that came of it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._past, self._since, self._open, self._bytes = 0.0, 0.0, 0, 0
        self._uri = ""

    @contextmanager
    def waiting(self, uri: str) -> Iterator[None]:
        """Count the time of the block as waiting for `uri`."""
        if not self._open:
            self._since, self._uri = self._clock(), uri
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
            if not self._open:
                self._past += self._clock() - self._since

    def received(self, count: int) -> None:
        """Count bytes."""
        self._bytes += count

    def check(self) -> None:
        """Raise StorageUnavailable if the storage is slower than it may be during a look."""
        waited = self._past + (self._clock() - self._since if self._open else 0.0)
        if waited > PATIENCE_SECONDS + self._bytes / LEAST_RATE:
            raise StorageUnavailable(
                f"{redacted(self._uri)}: {self._bytes >> 10} KiB came in {waited:.0f} s of waiting; sources must give"
                f" {LEAST_RATE >> 10} KiB a second while they are opened and probed"
            )
