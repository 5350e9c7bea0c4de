"""Which attempts run beside each other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from reelmill_server.errors import WorkerBusy
from reelmill_server.model.capability import SOFTWARE, Limits
from reelmill_server.model.cost import Cost
from reelmill_server.model.needs import FAST, Needs
from reelmill_server.worker.parent import admission
from reelmill_server.worker.parent.admission import Admission, Budget, FastQueueSlots, QueueSlots
from reelmill_server.worker.parent.capabilities import Capabilities
from reelmill_server.worker.parent.state import worker_state
from tests.waiting import eventually

BUDGET = Budget(slots=3, cores=4.0, memory_bytes=1000, scratch_bytes=500)


class Machine:
    """An admission, and what it lets run."""

    def __init__(self, budget: Budget = BUDGET, sessions: int = 0) -> None:
        self.sessions, self.free_bytes = sessions, 1 << 30
        self.admission = Admission(
            budget, lambda _, streams: self.sessions > 0 and streams <= self.sessions, lambda: self.free_bytes
        )
        self.running: list[str] = []

    @asynccontextmanager
    async def runs(self, name: str, cost: Cost, lane: str = SOFTWARE, wait: float = 5.0) -> AsyncIterator[asyncio.Event]:
        """An attempt that runs until the event is set, or the block is left."""
        over = asyncio.Event()

        async def attempt() -> None:
            async with self.admission.admitted(Needs(cost, sessions=1), lane, wait):
                self.running.append(name)
                await over.wait()
            self.running.remove(name)

        task = asyncio.create_task(attempt())
        await asyncio.sleep(0.01)
        try:
            yield over
        finally:
            over.set()
            await task


async def has_room(machine: Machine, lane: str = SOFTWARE) -> bool:
    """Whether one more may be taken now."""
    try:
        async with asyncio.timeout(0.05):
            await machine.admission.wait_for_room(lane)
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize(
    "second",
    [Cost(cores=2.5), Cost(memory_bytes=600), Cost(scratch_bytes=300)],
    ids=["cores", "memory", "scratch"],
)
async def test_what_does_not_fit_waits_for_what_runs(second: Cost) -> None:
    """Each of the three bounds alone; when the first has ended the second runs."""
    machine = Machine()
    async with machine.runs("first", Cost(2.0, 500, 250)) as over, machine.runs("second", second):
        assert machine.running == ["first"]
        over.set()
        await asyncio.sleep(0.01)
        assert machine.running == ["second"]


async def test_what_fits_runs_beside_the_others_up_to_the_slots() -> None:
    """Three small ones run, the fourth waits for a slot."""
    machine = Machine()
    small = Cost(1.0, 100, 100)
    async with machine.runs("a", small) as over, machine.runs("b", small), machine.runs("c", small), machine.runs("d", small):
        assert machine.running == ["a", "b", "c"]
        over.set()
        await asyncio.sleep(0.01)
        assert machine.running == ["b", "c", "d"]


async def test_a_large_one_is_not_overtaken() -> None:
    """While it waits nothing more is taken off the queue, and what was taken later waits behind it."""
    machine = Machine()
    async with machine.runs("small", Cost(1.0)) as over:
        assert await has_room(machine)
        async with machine.runs("large", Cost(4.0)) as large, machine.runs("later", Cost(1.0)):
            assert machine.running == ["small"] and not await has_room(machine)
            over.set()
            await asyncio.sleep(0.01)
            assert machine.running == ["large"]
            large.set()


async def test_what_is_larger_than_the_machine_runs_alone() -> None:
    """It is not refused for ever."""
    machine = Machine()
    async with machine.runs("huge", Cost(64.0, 1 << 40, 1 << 40)):
        assert machine.running == ["huge"] and not await has_room(machine)


async def test_nothing_begins_while_the_disk_is_full() -> None:
    """Not even what would be alone: nothing is taken, and what was taken waits for room, or goes to another worker."""
    machine = Machine()
    machine.free_bytes = 1 << 20
    assert not await has_room(machine)
    with pytest.raises(WorkerBusy):
        await machine.admission.wait_for_disk(0.05)
    async with machine.runs("first", Cost(1.0)):
        assert machine.running == []
        machine.free_bytes = 1 << 30
        await machine.admission.wait_for_disk(5)
        await eventually(lambda: machine.running == ["first"], "the start of what waited for the disk")


async def test_one_that_waits_too_long_goes_to_another_worker() -> None:
    """And no longer keeps the others from being taken."""
    machine = Machine()
    async with machine.runs("first", Cost(2.0)):
        with pytest.raises(WorkerBusy):
            async with machine.admission.admitted(Needs(Cost(4.0)), SOFTWARE, 0.05):
                raise AssertionError
        assert await has_room(machine)


async def test_a_cancel_while_waiting_gives_the_place_free() -> None:
    """Nothing is held by what never ran."""
    machine = Machine()
    async with machine.runs("first", Cost(4.0)):
        waiting = asyncio.create_task(machine.admission.admitted(Needs(Cost(4.0)), SOFTWARE, 5).__aenter__())
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert machine.admission.attempts == 0 and await has_room(machine)


async def test_no_second_one_is_taken_before_the_first_has_said_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slot stays closed until the task that was let in has arrived, or is known not to come; nobody has to look for it."""
    monkeypatch.setattr(admission, "_POLL_SECONDS", 60)
    monkeypatch.setattr(admission, "_IDLE_POLL_SECONDS", 60)
    machine = Machine()
    slots = QueueSlots(machine.admission, SOFTWARE)
    await slots.acquire()
    again = asyncio.create_task(slots.acquire())
    await asyncio.sleep(0.05)
    assert not again.done() and await has_room(machine)
    async with machine.runs("first", Cost(1.0)):
        await asyncio.wait_for(again, 5)
        third = asyncio.create_task(slots.acquire())
        await asyncio.sleep(0.05)
        assert not third.done()
        await asyncio.to_thread(slots.release)  # the second never came
        await asyncio.wait_for(third, 5)


async def test_the_fast_lane_has_slots_of_its_own_and_takes_nothing_while_the_disk_is_full() -> None:
    """Two at once, whatever encodes; the third when one has ended; none without room, and then at once again."""
    machine = Machine()
    slots = FastQueueSlots(machine.admission, 2)
    await slots.acquire()
    await slots.acquire()
    third = asyncio.create_task(slots.acquire())
    await asyncio.sleep(0.02)
    assert not third.done()
    await asyncio.to_thread(slots.release)
    await asyncio.wait_for(third, 5)
    machine.free_bytes = 0
    slots.release()
    fourth = asyncio.create_task(slots.acquire())
    await asyncio.sleep(0.02)
    assert not fourth.done()
    machine.free_bytes = 1 << 30
    await asyncio.wait_for(fourth, 5)


async def test_an_accelerators_lane_needs_a_free_session() -> None:
    """None is taken while it does not work; one that came all the same goes back at once."""
    machine = Machine(sessions=0)
    assert not await has_room(machine, "nvenc") and await has_room(machine)
    with pytest.raises(WorkerBusy, match="does not work"):
        async with machine.admission.admitted(Needs(Cost(1.0), sessions=1), "nvenc", 5):
            raise AssertionError
    machine.sessions = 1
    async with machine.runs("gpu", Cost(0.5), "nvenc"):
        assert machine.running == ["gpu"]


def test_a_worker_whose_disk_is_full_is_shown_to_take_nothing() -> None:
    """Else its tasks would be told that workers are busy."""
    machine, known = Machine(), Capabilities(Limits(), (), {}, 0)

    def takes() -> list[bool]:
        return [lane.available for lane in worker_state("1", 0, (FAST, SOFTWARE), (), machine.admission, known).lanes]

    assert takes() == [True, True]
    machine.free_bytes = 0
    assert takes() == [False, False]


async def test_a_ladder_begins_with_the_sessions_that_are_free() -> None:
    """What may run in software, too, waits for one, and what requires the card for all of them."""
    machine = Machine(sessions=1)
    async with machine.admission.admitted(Needs(Cost(1.0), ("nvenc", SOFTWARE), sessions=4), "nvenc", 5):
        pass
    with pytest.raises(WorkerBusy):
        async with machine.admission.admitted(Needs(Cost(1.0), ("nvenc",), sessions=4), "nvenc", 0.01):
            pass
