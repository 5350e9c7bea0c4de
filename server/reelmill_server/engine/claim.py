"""What an attempt is to its task, asked of an engine that may be away for a moment."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from reelmill_server.engine.client import Engine
from reelmill_server.errors import ServiceUnavailable
from reelmill_server.model.engine_view import Standing
from reelmill_server.model.placed import Announced

T = TypeVar("T")
_TRIES = 6
_PAUSE_SECONDS = 1.0


class TaskClaim:
    """The claim of an attempt, named by its activity; each question is asked several times before it is given up."""

    def __init__(self, engine: Engine, task_id: str, activity_id: str) -> None:
        self._engine, self._task_id, self._activity_id = engine, task_id, activity_id

    async def standing(self) -> Standing:
        """As `Claim.standing`."""
        return await self._ask(lambda: self._engine.standing(self._task_id, self._activity_id))

    async def announce(self, files: Sequence[Announced]) -> None:
        """As `Claim.announce`."""
        await self._ask(lambda: self._engine.announce(self._task_id, self._activity_id, files))

    async def _ask(self, question: Callable[[], Awaitable[T]]) -> T:
        for _ in range(_TRIES - 1):
            try:
                return await question()
            except ServiceUnavailable:
                await asyncio.sleep(_PAUSE_SECONDS)
        return await question()
