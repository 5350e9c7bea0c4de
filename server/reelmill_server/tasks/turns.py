"""Turns of watchers: all of them together are sent a limited number of states per second, each in its turn.

Each state costs the event loop some time, which every other call waits for: a thousand watchers of a busy project would leave
none. While the loop is busy with other work, turns come later, and watchers skip more states.
"""

import asyncio
import time
from collections import deque

_TICK_SECONDS = 0.01


class Turns:
    """A limited number of turns per second, in the order in which they were asked for."""

    def __init__(self, per_second: float) -> None:
        self._per_tick = max(1, round(per_second * _TICK_SECONDS))
        self._pause = self._per_tick / per_second
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._left, self._tick = self._per_tick, 0.0
        self._giving: asyncio.Task[None] | None = None

    async def take(self) -> None:
        """Wait for a turn."""
        now = time.monotonic()
        if now - self._tick >= self._pause:
            self._left, self._tick = self._per_tick, now
        if not self._waiting and self._left:
            self._left -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        if self._giving is None or self._giving.done():
            self._giving = asyncio.create_task(self._give())
        await turn

    async def _give(self) -> None:
        """Give turns until nobody waits. When the loop was busy, and a tick came late, the next one waits as much longer."""
        late = 0.0
        while self._waiting:
            begin = time.monotonic()
            await asyncio.sleep(self._pause + late)
            self._tick = time.monotonic()
            late = max(0.0, self._tick - begin - self._pause - late)
            self._left = self._per_tick
            while self._waiting and self._left:
                turn = self._waiting.popleft()
                if not turn.done():  # whoever was canceled has left its place in the queue
                    turn.set_result(None)
                    self._left -= 1
