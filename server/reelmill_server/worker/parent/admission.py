"""Admit attempts to this machine: none starts for which resources are missing.

A worker waits for room before it takes a task off a queue, and a task that was taken waits for its resources. Waiting
attempts go in order, and while one waits no task is taken, so that small ones cannot starve a large one. Nothing starts
while the disk is full or descriptors are short: it would fail here again and again while other workers have room.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from reelmill_server.errors import WorkerBusy
from reelmill_server.model.capability import SOFTWARE
from reelmill_server.model.cost import Cost
from reelmill_server.model.needs import Needs

_POLL_SECONDS = 0.5
_IDLE_POLL_SECONDS = 5.0  # where nothing runs or waits: encoders that do not work here are tried again as often
_LEAST_CORES = 0.5  # with less than this free, no task is worth taking
_LEAST_DISK_BYTES = 16 * 1024**2  # with less than this, hardly any output has room
_LEAST_DESCRIPTORS = 100  # an attempt takes a dozen, and some for each source and connection
_LEAST_PROCESSES = 32  # and threads: decoders, filters and encoders have some each


@dataclass(frozen=True)
class Budget:
    """Limits of all attempts together: their number, cores, bytes of memory and of scratch (0: unlimited)."""

    slots: int
    cores: float
    memory_bytes: int = 0
    scratch_bytes: int = 0

    def clipped(self, cost: Cost) -> Cost:
        """Return `cost` limited to this machine: an attempt that needs more than all of it runs alone."""
        return Cost(
            min(cost.cores, self.cores),
            min(cost.memory_bytes, self.memory_bytes) if self.memory_bytes else 0,
            min(cost.scratch_bytes, self.scratch_bytes) if self.scratch_bytes else 0,
        )


@dataclass
class _Usage:
    attempts: int = 0
    cores: float = 0.0
    memory_bytes: int = 0
    scratch_bytes: int = 0

    def add(self, cost: Cost, sign: int = 1) -> None:
        self.attempts += sign
        self.cores += sign * cost.cores
        self.memory_bytes += sign * cost.memory_bytes
        self.scratch_bytes += sign * cost.scratch_bytes


@dataclass(eq=False)
class _QueuedAttempt:
    cost: Cost
    lane: str
    sessions: int


class QueueSlots:
    """Slots of a queue: one task at a time, until it has asked for admission or was not delivered.

    Otherwise a worker would take a second task before it knows what the first needs.
    """

    def __init__(self, admission: "Admission", lane: str) -> None:
        self._admission, self._lane, self._allowed = admission, lane, 0
        self._loop = asyncio.get_running_loop()

    async def acquire(self) -> None:
        """Wait until one more task may be taken off the queue."""
        await self._admission.wait_for_room(self._lane, lambda: self._admission.arrivals(self._lane) >= self._allowed)
        self._allowed = self._admission.arrivals(self._lane) + 1

    def release(self) -> None:
        """Note that a task has left, whether it was started or not. May be called from any thread."""
        self._loop.call_soon_threadsafe(self._released)

    def _released(self) -> None:
        self._allowed = min(self._allowed, self._admission.arrivals(self._lane))
        self._admission.notify()


class FastQueueSlots:
    """Slots of the fast queue: a fixed number, and none while the disk is full or descriptors are short."""

    def __init__(self, admission: "Admission", slots: int) -> None:
        self._admission, self._free = admission, asyncio.Semaphore(slots)
        self._loop = asyncio.get_running_loop()

    async def acquire(self) -> None:
        """Wait until one more task may be taken off the queue."""
        await self._free.acquire()
        try:
            await self._admission.wait_for_disk()
        except BaseException:
            self._free.release()
            raise

    def release(self) -> None:
        """Note that a task has left, whether it was started or not. May be called from any thread."""
        self._loop.call_soon_threadsafe(self._free.release)


class Admission:
    """The resources that attempts use on this machine. All calls come from one event loop."""

    def __init__(
        self,
        budget: Budget,
        has_sessions: Callable[[str, int], bool],
        free_bytes: Callable[[], int] = lambda: _LEAST_DISK_BYTES,
        free_descriptors: Callable[[], int] = lambda: _LEAST_DESCRIPTORS,
        look_bytes: int = 1 << 30,
        free_processes: Callable[[], int] = lambda: _LEAST_PROCESSES,
    ) -> None:
        """`has_sessions`: whether an encoder family works here and can take so many more streams now; `free_bytes`: free space
        on the scratch disk; `free_descriptors`: how many more files and connections this process may open; `look_bytes`: memory
        that a look at sources holds; `free_processes`: how many more processes and threads may start.
        """
        self.budget, self.free_bytes, self._has_sessions = budget, free_bytes, has_sessions
        self._free_descriptors, self._free_processes = free_descriptors, free_processes
        self._look_bytes = min(look_bytes, budget.memory_bytes)  # 0: memory is not limited
        self._looks = 0
        self._used = _Usage()
        self._waiting: deque[_QueuedAttempt] = deque()
        self._changed = asyncio.Event()
        self._arrivals: Counter[str] = Counter()

    @property
    def used(self) -> Budget:
        """The resources that running attempts hold."""
        return Budget(self._used.attempts, self._used.cores, self._used.memory_bytes, self._used.scratch_bytes)

    @property
    def waiting(self) -> int:
        """Number of attempts that wait for resources."""
        return len(self._waiting)

    @property
    def attempts(self) -> int:
        """Number of attempts that run or wait."""
        return self._used.attempts + len(self._waiting)

    def arrivals(self, lane: str) -> int:
        """Return how many tasks of queue `lane` have asked for admission so far."""
        return self._arrivals[lane]

    async def wait_for_room(self, lane: str, ready: Callable[[], bool] = lambda: True) -> None:
        """Wait until one more task of queue `lane` may be taken, and `ready` returns true."""
        while not ready() or not self._has_room(lane):
            await self.change()

    def _has_room(self, lane: str) -> bool:
        used, budget = self._used, self.budget
        if self._waiting or used.attempts >= budget.slots or (lane != SOFTWARE and not self._has_sessions(lane, 1)):
            return False
        if not self.has_disk():  # last: a family that does not work here is looked at as often as one that does
            return False
        cores = lane != SOFTWARE or budget.cores - used.cores >= _LEAST_CORES
        return used.attempts == 0 or (cores and (not budget.memory_bytes or used.memory_bytes < budget.memory_bytes))

    def hold_look(self) -> bool:
        """Hold the memory of a look at sources if it is free, and no attempt waits for it; one look is always possible."""
        head = self._waiting[0].cost.memory_bytes if self._waiting else 0
        if self._looks and self._used.memory_bytes + self._look_bytes + head > self.budget.memory_bytes > 0:
            return False
        self._looks += 1
        self._used.memory_bytes += self._look_bytes
        return True

    def release_look(self) -> None:
        """Release the memory of a look."""
        self._looks -= 1
        self._used.memory_bytes -= self._look_bytes
        self.notify()

    def has_disk(self) -> bool:
        """Return whether the disk has room, and there are descriptors and processes: else this worker takes nothing."""
        return (
            self.free_bytes() >= _LEAST_DISK_BYTES
            and self._free_descriptors() >= _LEAST_DESCRIPTORS
            and self._free_processes() >= _LEAST_PROCESSES
        )

    async def wait_for_disk(self, wait_seconds: float | None = None) -> None:
        """Wait until the disk has room, and there are descriptors. Raises WorkerBusy if that takes longer than `wait_seconds`
        (None: wait forever).
        """
        try:
            async with asyncio.timeout(wait_seconds):
                while not self.has_disk():
                    await self.change()
        except TimeoutError:
            used_up = "disk was full, or its descriptors or processes used up,"
            raise WorkerBusy(f"the worker's {used_up} for {wait_seconds:.0f} s") from None

    async def change(self) -> None:
        """Wait until resources are released, or may have changed elsewhere: encoders and disks come and go."""
        try:
            async with asyncio.timeout(_POLL_SECONDS if self.attempts else _IDLE_POLL_SECONDS):
                await self._changed.wait()
        except TimeoutError:
            return

    @asynccontextmanager
    async def admitted(self, needs: Needs, lane: str, wait_seconds: float) -> AsyncIterator[None]:
        """Hold the resources in `needs` during the block. Raises WorkerBusy if they are not free within `wait_seconds`."""
        self._arrivals[lane] += 1
        if lane != SOFTWARE and not self._has_sessions(lane, 0):
            raise WorkerBusy(f"{lane} does not work on the worker any more")
        # What may run in software, too, takes the sessions that are free.
        sessions = min(1, needs.sessions) if SOFTWARE in needs.lanes else needs.sessions
        waiting = _QueuedAttempt(self.budget.clipped(needs.cost), lane, sessions)
        self._waiting.append(waiting)
        try:
            async with asyncio.timeout(wait_seconds):
                while not self._admits(waiting):
                    await self.change()
        except TimeoutError:
            raise WorkerBusy(f"the worker had no room for the task in {wait_seconds:.0f} s") from None
        finally:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
                self.notify()
        try:
            yield
        finally:
            self._used.add(waiting.cost, -1)
            self.notify()

    def _admits(self, waiting: _QueuedAttempt) -> bool:
        """Return whether it is the turn of `waiting` and its resources are free; if so, hold them."""
        if self._waiting[0] is not waiting or not self._fits(waiting):
            return False
        self._waiting.popleft()
        self._used.add(waiting.cost)
        self.notify()
        return True

    def _fits(self, waiting: _QueuedAttempt) -> bool:
        used, budget, cost = self._used, self.budget, waiting.cost
        if not self.has_disk():
            return False
        if waiting.lane != SOFTWARE and not self._has_sessions(waiting.lane, waiting.sessions):
            return False
        memory = not budget.memory_bytes or used.memory_bytes + cost.memory_bytes <= budget.memory_bytes
        if used.attempts == 0:  # what needs more than all of the machine runs beside one look at most
            return memory or self._looks <= 1
        return (
            used.attempts < budget.slots
            and used.cores + cost.cores <= budget.cores
            and memory
            and (not budget.scratch_bytes or used.scratch_bytes + cost.scratch_bytes <= budget.scratch_bytes)
        )

    def notify(self) -> None:
        """Let all who wait look again."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
