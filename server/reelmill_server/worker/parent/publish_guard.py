"""Keeps an attempt that was thought dead from publishing beside the one that followed it."""

import asyncio
import time
from collections.abc import Sequence

from reelmill_server.errors import InternalError, ServiceUnavailable
from reelmill_server.model.engine_view import Standing
from reelmill_server.model.publication import Claim, PendingFile

_VALID_SECONDS = 1.0  # less than any silence after which a worker counts as lost


class Fence:
    """The guard of what an attempt publishes: asks whether it is still its task's.

    An answer holds for a second, so that many files may ask. A process that was stopped asks again when it goes on.
    """

    def __init__(self, claim: Claim) -> None:
        self._claim, self._asked_at = claim, float("-inf")
        self._asking = asyncio.Lock()

    async def announce(self, files: Sequence[PendingFile]) -> None:
        """As of publishing's guard. Raises as `Claim.announce`."""
        await self._claim.announce(files)

    async def check(self) -> None:
        """Raises InternalError when the attempt must not place anything any more."""
        async with self._asking:
            now = time.monotonic()
            if now - self._asked_at > _VALID_SECONDS:
                standing = await self._claim.standing()
                if standing is not Standing.OURS:
                    raise InternalError(standing)
                self._asked_at = now

    async def may_remove(self) -> bool:
        """Whether nobody else has anything under the names of the task: not while that is unknown."""
        try:
            return await self._claim.standing() is not Standing.TAKEN_OVER
        except ServiceUnavailable:
            return False
