"""Tell failures that come of this machine's limits from those of a task."""

from collections.abc import Iterator
from contextlib import contextmanager

from reelmill_server import descriptors, process_limit
from reelmill_server.errors import ReelmillError, ServiceUnavailable, WorkerBusy


@contextmanager
def blaming_limits() -> Iterator[None]:
    """Raise another error for what fails because of a limit of this machine: that is no fault of the task.

    WorkerBusy where this process has no more descriptors. ServiceUnavailable, which another attempt may not meet, where a
    process or thread was refused meanwhile: libraries say of that only that an encoder does not open, or that nothing decodes.
    """
    refused = process_limit.refused()
    try:
        yield
    except Exception as error:
        if descriptors.lacking(error):
            raise WorkerBusy("the worker has no more file descriptors") from error
        final = not error.retryable if isinstance(error, ReelmillError) else isinstance(error, (OSError, RuntimeError))
        if final and process_limit.refused() > refused:
            reason = error.message if isinstance(error, ReelmillError) else str(error)
            raise ServiceUnavailable(f"the worker may start no more processes and threads: {reason}") from error
        raise
