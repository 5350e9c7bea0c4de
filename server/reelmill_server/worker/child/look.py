"""Bounds of a look at sources, in which nothing is made yet: what a small file of a stranger may cost."""

from collections.abc import Iterator
from contextlib import contextmanager

from reelmill_server.errors import MediaLimitExceeded
from reelmill_server.worker.child.context import Attempt, every, usage

# Memory can grow by some gigabytes a second: the parent, which looks less often, would see it late.
_POLL_SECONDS = 0.02
_MARGIN_BYTES = 112 << 20  # as much as grows meanwhile, and what a child has already when a look begins


@contextmanager
def bounded_look(attempt: Attempt) -> Iterator[None]:
    """Fail the attempt with MediaLimitExceeded if the block takes too much memory or CPU time.

    libav has no such limits, and cannot be interrupted everywhere: the process ends.
    """
    most, before = attempt.assignment.look, usage()

    def check() -> None:
        used = usage()
        if used.cpu_seconds - before.cpu_seconds > most.core_seconds:
            attempt.fail(MediaLimitExceeded(f"looking at the sources takes more than {most.core_seconds:.0f} s of CPU"))
        if used.memory_bytes - before.memory_bytes > most.memory_bytes - _MARGIN_BYTES:
            attempt.fail(MediaLimitExceeded(f"looking at the sources takes more than {most.memory_bytes >> 20} MiB of memory"))

    with every(_POLL_SECONDS, check):
        yield
