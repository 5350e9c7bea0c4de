"""Bounds of a look at sources, in which nothing is made yet: what a small file of a stranger may cost."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from reelmill_server.errors import MediaLimitExceeded
from reelmill_server.worker.child.context import Attempt, every, usage

_MOST_BYTES = 1 << 30  # of memory
_CPU_SECONDS = 20.0
_BYTES_PER_SECOND = 50 << 20  # of sources: some are read to their end, which costs time of its own
# Memory can grow by some gigabytes a second.
_POLL_SECONDS = 0.02
_MARGIN_BYTES = 64 << 20


@contextmanager
def bounded_look(attempt: Attempt) -> Iterator[None]:
    """Fail the attempt with MediaLimitExceeded if the block takes too much memory or CPU time.

    libav has no such limits, and cannot be interrupted everywhere: the process ends.
    """
    sources = sum(ref.size_bytes for ref in attempt.assignment.sources)
    most_seconds = time.process_time() + _CPU_SECONDS + sources / _BYTES_PER_SECOND

    def check() -> None:
        used = usage()
        if used.cpu_seconds > most_seconds:
            attempt.fail(MediaLimitExceeded(f"looking at the sources takes more than {_CPU_SECONDS:.0f} s of CPU time"))
        if used.memory_bytes > _MOST_BYTES - _MARGIN_BYTES:
            attempt.fail(MediaLimitExceeded(f"looking at the sources takes more than {_MOST_BYTES >> 20} MiB of memory"))

    with every(_POLL_SECONDS, check):
        yield
