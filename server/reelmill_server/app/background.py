"""Background work of a role: periodic steps and polling workers."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import structlog
from temporalio.worker import Worker

from reelmill_server.errors import ReelmillError, ServiceUnavailable

# Prometheus gives up a scrape after its interval, which is 5 s where somebody looks closely. A page that waits as long for an
# engine that is away hides the alert that names it behind those of a process that does not answer.
_DEMAND_SECONDS = 2.0
_log = structlog.get_logger(__name__)


@asynccontextmanager
async def background(name: str, step: Callable[[], Awaitable[None]], pause_seconds: float) -> AsyncIterator[None]:
    """Run `step` periodically in the background of the block."""
    task = asyncio.create_task(_forever(name, step, pause_seconds))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _forever(name: str, step: Callable[[], Awaitable[None]], pause_seconds: float) -> None:
    """Run `step` forever; a failure is logged and does not end the loop."""
    while True:
        await _attempt(name, step)
        await asyncio.sleep(pause_seconds)


async def _attempt(name: str, step: Callable[[], Awaitable[None]]) -> None:
    try:
        await step()
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        _log.warning("background work failed", work=name, reason=reason, exc_info=not isinstance(error, ReelmillError))


class OnDemand:
    """Work that is done when someone asks for its result, and not again within `fresh_seconds`; nobody waits for it longer, or
    longer than two seconds.
    """

    def __init__(self, name: str, step: Callable[[], Awaitable[None]], fresh_seconds: float) -> None:
        self._name, self._step, self._fresh_seconds = name, step, fresh_seconds
        self._running: asyncio.Task[None] | None = None
        self._begun = -fresh_seconds

    async def __call__(self) -> None:
        """Do the work unless that was done lately; a failure is logged."""
        if (self._running is None or self._running.done()) and time.monotonic() - self._begun >= self._fresh_seconds:
            self._begun = time.monotonic()
            self._running = asyncio.create_task(_attempt(self._name, self._step))
        if self._running is not None:
            await asyncio.wait((self._running,), timeout=min(self._fresh_seconds, _DEMAND_SECONDS))


@asynccontextmanager
async def polling(workers: Sequence[Worker]) -> AsyncIterator[None]:
    """Let all workers poll for the duration of the block, then stop them together, as each waits for its drain time.

    Raises ServiceUnavailable and cancels the block if the engine rejects one of them, so that the process can be restarted.
    """
    block, failures = asyncio.current_task(), list[Exception]()

    async def poll(worker: Worker) -> None:
        try:
            await worker.run()
        except Exception as error:
            if block is not None and not failures:
                block.cancel()
            failures.append(error)

    polls = [asyncio.create_task(poll(worker)) for worker in workers]
    try:
        yield
    except asyncio.CancelledError:
        if not failures:
            raise
        raise ServiceUnavailable(f"the engine rejects this worker: {failures[0]}") from failures[0]
    finally:
        block = None
        await asyncio.gather(*(worker.shutdown() for worker in workers))
        await asyncio.gather(*polls)
