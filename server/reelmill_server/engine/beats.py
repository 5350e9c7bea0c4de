"""Heartbeats of short activities: when their process is killed, another one takes over soon, not only after the timeout."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio import activity

SILENCE_SECONDS = 15
"""After which the process of an activity that beats counts as lost."""
_BEAT_SECONDS = 3.0


@asynccontextmanager
async def alive() -> AsyncIterator[None]:
    """Heartbeat for the duration of the block."""
    beating = asyncio.create_task(_beat())
    try:
        yield
    finally:
        beating.cancel()


async def _beat() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(_BEAT_SECONDS)
