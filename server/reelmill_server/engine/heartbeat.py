"""Heartbeats of short activities: when their process is killed, another one takes over soon, not only after the timeout."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio import activity

SILENCE_SECONDS = 15
"""Seconds without a heartbeat after which the process of an activity counts as lost."""
_INTERVAL_SECONDS = 3.0


@asynccontextmanager
async def heartbeating() -> AsyncIterator[None]:
    """Heartbeat for the duration of the block; a local activity has no heartbeats, and ends with the step of its workflow."""
    if activity.in_activity() and activity.info().is_local:
        yield
        return
    heartbeats = asyncio.create_task(_repeat())
    try:
        yield
    finally:
        heartbeats.cancel()


async def _repeat() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(_INTERVAL_SECONDS)
