"""Many files appear together: all are staged, then all are placed; after a failure none is left."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby

from reelmill_server.storage.base import Staged, Upload
from reelmill_server.storage.content import names_others
from reelmill_server.storage.retrying import together

_FILES_AT_ONCE = 8
"""How many files are under way at once: each holds one part in memory."""


async def _always() -> None:
    return


async def publish(
    stage: Callable[[Upload, str], Awaitable[Staged]],
    uploads: Sequence[Upload],
    owner: str,
    fence: Callable[[], Awaitable[None]] = _always,
) -> None:
    """Makes all files appear, in their order but lists after everything else, or none.

    `fence` is asked before each is placed, and raises when it must not be any more. Raises what `stage` and `fence` raise.
    """
    uploads = list({upload.uri: upload for upload in uploads}.values())  # of two for one place, the last
    limit = asyncio.Semaphore(_FILES_AT_ONCE)
    staged: list[Staged | None] = [None] * len(uploads)

    async def bring(index: int) -> None:
        async with limit:
            staged[index] = await stage(uploads[index], owner)

    async def place(index: int) -> None:
        async with limit:
            file = staged[index]
            assert file is not None
            await fence()
            await file.place()

    try:
        await together(bring(index) for index in range(len(uploads)))
        in_order = sorted(range(len(uploads)), key=lambda index: names_others(uploads[index].uri))
        for _, wave in groupby(in_order, lambda index: index if names_others(uploads[index].uri) else -1):
            await together(place(index) for index in wave)
    except BaseException:
        await asyncio.shield(asyncio.gather(*(file.undo() for file in staged if file is not None)))
        raise
