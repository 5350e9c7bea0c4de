"""What is measured when Prometheus asks for it."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from reelmill_server.app.background import OnDemand

SHORTEST_SCRAPE_SECONDS = 5


class Engine:
    """Answers when it may; `asked` counts how often it was asked."""

    def __init__(self) -> None:
        self.answers, self.asked = asyncio.Event(), 0

    async def measure(self) -> None:
        """As the queues are measured."""
        self.asked += 1
        await self.answers.wait()


def waits_recorded(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was allowed to be waited, without waiting that long."""
    allowed, wait = list[float](), asyncio.wait

    async def record(tasks: tuple[asyncio.Task[None]], timeout: float) -> object:
        allowed.append(timeout)
        return await wait(tasks, timeout=0.01)

    monkeypatch.setattr(asyncio, "wait", record)
    return allowed


async def test_an_engine_that_is_away_does_not_keep_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked once for all that look meanwhile, and a scrape, which begins with other things, has most of its time left."""
    allowed, engine = waits_recorded(monkeypatch), Engine()
    demand: Callable[[], Awaitable[None]] = OnDemand("queues", engine.measure, fresh_seconds=60)
    for _ in range(3):
        await demand()
    assert engine.asked == 1 and len(allowed) == 3 and max(allowed) < SHORTEST_SCRAPE_SECONDS / 2
    engine.answers.set()
    await demand()
    assert engine.asked == 1, "what is fresh is not measured again"


async def test_what_is_quickly_stale_is_waited_for_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is it begun again before it has ended."""
    allowed, engine = waits_recorded(monkeypatch), Engine()
    demand = OnDemand("queues", engine.measure, fresh_seconds=0.5)
    await demand()
    assert allowed == [0.5]
    engine.answers.set()
