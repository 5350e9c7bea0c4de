"""Decides which attempts run beside each other on this machine: none begins that would not fit.

A lane asks for room before it takes a task off its queue, and a task that was taken waits for what it needs. Those that wait go
in their order, and while one waits nothing more is taken: a large task is not starved by small ones. Nothing begins while the
disk is full: it would fail, here and at once, as often as it may, while other workers have room.
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

_LOOK_SECONDS = 0.5
_LEAST_CORES = 0.5  # with less than this free, no task is worth taking
_LEAST_DISK_BYTES = 16 * 1024**2  # with less than this, hardly any output has room


@dataclass(frozen=True)
class Budget:
    """What attempts may use together: how many there may be, cores, bytes of memory and scratch (0: not limited)."""

    slots: int
    cores: float
    memory_bytes: int = 0
    scratch_bytes: int = 0

    def clipped(self, cost: Cost) -> Cost:
        """`cost`, as far as this machine can bear it: what asks for more than all of it runs alone."""
        return Cost(
            min(cost.cores, self.cores),
            min(cost.memory_bytes, self.memory_bytes) if self.memory_bytes else 0,
            min(cost.scratch_bytes, self.scratch_bytes) if self.scratch_bytes else 0,
        )


@dataclass
class _Used:
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
class _Waiting:
    cost: Cost
    lane: str
    sessions: int


class Door:
    """The way into a lane: it lets one task in, and the next when that one has asked to be admitted, or did not come.

    Else a worker would take a second one before it knows what the first needs.
    """

    def __init__(self, admission: "Admission", lane: str) -> None:
        self._admission, self._lane, self._let_in = admission, lane, 0

    async def open(self) -> None:
        """Waits until one more task may be taken off the queue."""
        await self._admission.room(self._lane, lambda: self._admission.arrivals(self._lane) >= self._let_in)
        self._let_in = self._admission.arrivals(self._lane) + 1

    def close(self) -> None:
        """Whoever was let in is gone, whether it came or not."""
        self._let_in = min(self._let_in, self._admission.arrivals(self._lane))


class FastDoor:
    """The way into the fast lane: so many at once, and none while the disk is full."""

    def __init__(self, admission: "Admission", slots: int) -> None:
        self._admission, self._free = admission, asyncio.Semaphore(slots)
        self._loop = asyncio.get_running_loop()

    async def open(self) -> None:
        """Waits until one more task may be taken off the queue."""
        await self._free.acquire()
        try:
            await self._admission.until_disk()
        except BaseException:
            self._free.release()
            raise

    def close(self) -> None:
        """One that was let in is gone, whether it came or not. May be called from any thread."""
        self._loop.call_soon_threadsafe(self._free.release)


class Admission:
    """What attempts use of this machine now. All calls come from one event loop."""

    def __init__(
        self,
        budget: Budget,
        has_sessions: Callable[[str, int], bool],
        free_bytes: Callable[[], int] = lambda: _LEAST_DISK_BYTES,
    ) -> None:
        """`has_sessions`: whether an encoder family works here and could take so many more streams now; `free_bytes`: what is
        free on the disk of the scratch."""
        self.budget, self.free_bytes, self._has_sessions = budget, free_bytes, has_sessions
        self._used = _Used()
        self._waiting: deque[_Waiting] = deque()
        self._changed = asyncio.Event()
        self._arrivals: Counter[str] = Counter()

    @property
    def used(self) -> Budget:
        """What the attempts that run hold."""
        return Budget(self._used.attempts, self._used.cores, self._used.memory_bytes, self._used.scratch_bytes)

    @property
    def waiting(self) -> int:
        """How many attempts wait for what they need."""
        return len(self._waiting)

    @property
    def attempts(self) -> int:
        """How many attempts run or wait."""
        return self._used.attempts + len(self._waiting)

    def arrivals(self, lane: str) -> int:
        """How many tasks of `lane` have ever asked to be admitted."""
        return self._arrivals[lane]

    async def room(self, lane: str, ready: Callable[[], bool] = lambda: True) -> None:
        """Waits until one more task of `lane` may be taken off its queue, and it is `ready`."""
        while not ready() or not self._has_room(lane):
            await self._change()

    def _has_room(self, lane: str) -> bool:
        used, budget = self._used, self.budget
        if not self._has_disk():
            return False
        if self._waiting or used.attempts >= budget.slots or (lane != SOFTWARE and not self._has_sessions(lane, 1)):
            return False
        cores = lane != SOFTWARE or budget.cores - used.cores >= _LEAST_CORES
        return used.attempts == 0 or (cores and (not budget.memory_bytes or used.memory_bytes < budget.memory_bytes))

    def _has_disk(self) -> bool:
        return self.free_bytes() >= _LEAST_DISK_BYTES

    async def until_disk(self, wait_seconds: float | None = None) -> None:
        """Waits until something can be written. Raises WorkerBusy when that takes longer than `wait_seconds`, if given."""
        try:
            async with asyncio.timeout(wait_seconds):
                while not self._has_disk():
                    await self._change()
        except TimeoutError:
            raise WorkerBusy(f"the worker's disk was full for {wait_seconds:.0f} s") from None

    async def _change(self) -> None:
        """Waits until something is given back, or might have changed elsewhere: encoders come and go, disks too."""
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await self._changed.wait()
        except TimeoutError:
            return

    @asynccontextmanager
    async def admitted(self, needs: Needs, lane: str, wait_seconds: float) -> AsyncIterator[None]:
        """Holds what `needs` asks for as long as the block lasts. Raises WorkerBusy when it is not free in `wait_seconds`."""
        self._arrivals[lane] += 1
        if lane != SOFTWARE and not self._has_sessions(lane, 0):
            raise WorkerBusy(f"{lane} does not work on the worker any more")
        waiting = _Waiting(self.budget.clipped(needs.cost), lane, needs.sessions)
        self._waiting.append(waiting)
        try:
            async with asyncio.timeout(wait_seconds):
                while not self._admits(waiting):
                    await self._change()
        except TimeoutError:
            raise WorkerBusy(f"the worker had no room for the task in {wait_seconds:.0f} s") from None
        finally:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
                self._tell()
        try:
            yield
        finally:
            self._used.add(waiting.cost, -1)
            self._tell()

    def _admits(self, waiting: _Waiting) -> bool:
        """Whether it is the turn of `waiting`, and it fits; then it holds what it needs."""
        if self._waiting[0] is not waiting or not self._fits(waiting):
            return False
        self._waiting.popleft()
        self._used.add(waiting.cost)
        self._tell()
        return True

    def _fits(self, waiting: _Waiting) -> bool:
        used, budget, cost = self._used, self.budget, waiting.cost
        if not self._has_disk():
            return False
        if waiting.lane != SOFTWARE and not self._has_sessions(waiting.lane, waiting.sessions):
            return False
        return used.attempts == 0 or (
            used.attempts < budget.slots
            and used.cores + cost.cores <= budget.cores
            and (not budget.memory_bytes or used.memory_bytes + cost.memory_bytes <= budget.memory_bytes)
            and (not budget.scratch_bytes or used.scratch_bytes + cost.scratch_bytes <= budget.scratch_bytes)
        )

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
