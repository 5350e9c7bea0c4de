"""Places for looks at sources."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from reelmill_server.errors import WorkerBusy
from reelmill_server.model.capability import SOFTWARE
from reelmill_server.model.cost import Cost
from reelmill_server.model.needs import Needs
from reelmill_server.worker.parent.admission import Admission, Budget
from reelmill_server.worker.parent.looks import Looks

GIB = 1 << 30


def admission(memory_gib: int = 0) -> Admission:
    """Of a worker with so much memory; 0: any."""
    return Admission(Budget(4, 4.0, memory_gib * GIB), lambda *_: True)


@asynccontextmanager
async def looking(looks: Looks, *projects: str) -> AsyncIterator[AsyncExitStack]:
    """Looks of these projects, one after the other, during the block."""
    async with AsyncExitStack() as stack:
        for project in projects:
            await stack.enter_async_context(looks.place(project, 0.05))
        yield stack


async def test_a_project_leaves_a_place_to_others() -> None:
    """Its third look waits, and is handed back; another project's is not delayed, and neither has more than there is."""
    looks = Looks(admission(), 3)
    async with looking(looks, "many", "many"):
        with pytest.raises(WorkerBusy, match="no room for a look"):
            async with looking(looks, "many"):
                pass
        async with looking(looks, "few"):
            with pytest.raises(WorkerBusy):
                async with looking(looks, "other"):
                    pass


async def test_who_waits_comes_before_who_comes() -> None:
    """Else one of many is handed back again and again, after longer and longer pauses; and the next one follows at once."""
    looks, order = Looks(admission(), 3), list[str]()

    async def one(name: str) -> None:
        async with looks.place("many", 1):
            order.append(name)
            await over.wait()

    over = asyncio.Event()
    async with looking(looks, "many", "many"):
        first = asyncio.create_task(one("first"))
        await asyncio.sleep(0)
        second = asyncio.create_task(one("second"))  # it comes in the moment in which both places are free
    for _ in range(20):
        await asyncio.sleep(0)
    assert order == ["first", "second"]
    over.set()
    await asyncio.gather(first, second)


async def test_one_that_waits_for_its_project_stands_in_nobodys_way() -> None:
    """It came first, but the other's turn is before it; and it follows as soon as its project has a place."""
    looks, order = Looks(admission(), 3), list[str]()

    async def one(project: str, over: asyncio.Event) -> None:
        async with looks.place(project, 5):
            order.append(project)
            await over.wait()

    over = asyncio.Event()
    async with looking(looks, "many", "many"):
        waits = asyncio.create_task(one("many", over))
        await asyncio.sleep(0)
        other = asyncio.create_task(one("few", over))
        await asyncio.sleep(0.01)
        assert order == ["few"]
    await asyncio.sleep(0.01)
    assert order == ["few", "many"]
    over.set()
    await asyncio.gather(waits, other)
    async with looking(looks, "many", "many"):  # all places are free again
        pass


async def test_one_place_is_for_everyone() -> None:
    """A worker with one can keep none for others."""
    looks = Looks(admission(), 1)
    async with looking(looks, "one"):
        with pytest.raises(WorkerBusy):
            async with looking(looks, "other"):
                pass
    async with looking(looks, "other"):
        pass


async def test_looks_hold_memory_as_attempts_do() -> None:
    """Beside an attempt of 2 of 4 GiB there is room for two; one is always possible."""
    shared = admission(4)
    looks = Looks(shared, 9)
    async with shared.admitted(Needs(Cost(1.0, 2 * GIB)), SOFTWARE, 1), looking(looks, "a", "b"):
        assert shared.used.memory_bytes == 4 * GIB
        with pytest.raises(WorkerBusy):
            async with looking(looks, "c"):
                pass
    async with shared.admitted(Needs(Cost(1.0, 9 * GIB)), SOFTWARE, 1), looking(looks, "a"):
        pass
    assert shared.used.memory_bytes == 0


async def test_looks_do_not_starve_an_attempt() -> None:
    """While one waits for memory no further look takes it; it starts when there is enough, beside one look at most."""
    shared = admission(4)
    looks, started = Looks(shared, 9), asyncio.Event()

    async def large() -> None:
        async with shared.admitted(Needs(Cost(1.0, 4 * GIB)), SOFTWARE, 5):
            started.set()

    async with looking(looks, "a"):
        async with looking(looks, "b"):
            waiting = asyncio.create_task(large())
            await asyncio.sleep(0.01)
            assert not started.is_set()
            with pytest.raises(WorkerBusy):
                async with looking(looks, "c"):
                    pass
        await asyncio.wait_for(waiting, 5)
    assert started.is_set() and shared.used.memory_bytes == 0
