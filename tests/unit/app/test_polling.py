"""What a process does when the engine does not let it work."""

import asyncio

import pytest

from reelmill_server.app.background import polling
from reelmill_server.errors import ServiceUnavailable


class Worker:
    """Polls until it is told to stop, or fails at once."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure, self.stopped, self.ended = failure, asyncio.Event(), False

    async def run(self) -> None:
        """As the engine's."""
        if self.failure:
            raise self.failure
        await self.stopped.wait()
        self.ended = True

    async def shutdown(self) -> None:
        """As the engine's."""
        self.stopped.set()


async def test_workers_stop_together() -> None:
    """At the end of the block, however it ends, and its own error is what is raised."""
    workers = [Worker(), Worker()]
    with pytest.raises(OSError, match="in use"):
        async with polling(workers):  # type: ignore[arg-type]
            await asyncio.sleep(0)
            raise OSError("in use")
    assert all(worker.ended for worker in workers)


async def test_one_that_may_not_work_ends_the_process_with_the_reason() -> None:
    """As when the engine goes away right after it was reached; several fail at once."""
    workers = [Worker(), Worker(RuntimeError("no such namespace")), Worker(RuntimeError("no such namespace"))]
    with pytest.raises(ServiceUnavailable, match="rejects this worker: no such namespace"):
        async with polling(workers):  # type: ignore[arg-type]
            await asyncio.sleep(60)
    assert workers[0].ended


async def test_a_cancel_of_the_block_stays_one() -> None:
    """Nobody failed."""
    worker = Worker()

    async def block() -> None:
        async with polling([worker]):  # type: ignore[list-item]
            await asyncio.sleep(60)

    running = asyncio.create_task(block())
    await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert worker.ended
