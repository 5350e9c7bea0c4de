"""Waits that end: for what another task of the same event loop does."""

import asyncio
from collections.abc import Callable


async def eventually(probe: Callable[[], object], what: str, seconds: float = 20) -> None:
    """Return as soon as `probe` is true; AssertionError after `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            while not probe():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"{what} did not happen in {seconds} s") from None
