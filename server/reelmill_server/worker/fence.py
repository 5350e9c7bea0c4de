"""Keeps an attempt that was thought dead from publishing beside the one that followed it."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from reelmill_server.errors import InternalError

_VALID_SECONDS = 1.0  # less than any silence after which a worker counts as lost


class Fence:
    """Asks whether an attempt is still its task's; an answer holds for a second, so that many files may ask.

    A process that was stopped asks again when it goes on.
    """

    def __init__(self, ask: Callable[[], Awaitable[bool]]) -> None:
        self._ask, self._asked_at = ask, float("-inf")
        self._asking = asyncio.Lock()

    async def __call__(self) -> None:
        """Raises InternalError when the attempt must not place anything any more."""
        async with self._asking:
            now = time.monotonic()
            if now - self._asked_at > _VALID_SECONDS:
                if not await self._ask():
                    raise InternalError("another attempt has taken the task over, or it was canceled")
                self._asked_at = now
