"""Many files appear together: all are staged, then all are placed; after a failure none is left."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import structlog

from reelmill_server.model.publication import PendingFile
from reelmill_server.storage.base import Backend, Check, Guard, Staged, Upload, always
from reelmill_server.storage.content import names_others
from reelmill_server.storage.retrying import together

_log = structlog.get_logger(__name__)
FILES_AT_ONCE = 8
"""How many files are under way at once: each holds one part in memory."""


@dataclass(frozen=True)
class Alone:
    """A guard of names in which nobody else has a say, and which need not be remembered."""

    check: Check = always

    async def announce(self, files: Sequence[PendingFile]) -> None:
        """As of a guard."""

    async def may_remove(self) -> bool:
        """As of a guard."""
        return True


async def publish(
    stage: Callable[[Upload, str], Awaitable[Staged]], uploads: Sequence[Upload], owner: str, guard: Guard | None = None
) -> None:
    """Makes all files appear, in their order but lists after everything else, or none. Raises what `stage` and `guard` raise.

    When `guard` says so, what was placed stays after a failure: it has replaced, or will be replaced by, what another has made.
    """
    guard = guard or Alone()
    placed: set[int] = set()
    uploads = list({upload.uri: upload for upload in uploads}.values())  # of two for one place, the last
    limit = asyncio.Semaphore(FILES_AT_ONCE)
    staged: list[Staged | None] = [None] * len(uploads)

    async def bring(index: int) -> None:
        async with limit:
            staged[index] = await stage(uploads[index], owner)

    async def place(index: int) -> None:
        async with limit:
            file = staged[index]
            assert file is not None
            await guard.check()
            placed.add(index)
            await file.place(guard.check)

    try:
        await together(bring(index) for index in range(len(uploads)))
        await guard.announce([PendingFile(upload.uri, file.mark) for upload, file in zip(uploads, staged, strict=True) if file])
        in_order = sorted(range(len(uploads)), key=lambda index: names_others(uploads[index].uri))
        for _, wave in groupby(in_order, lambda index: index if names_others(uploads[index].uri) else -1):
            await together(place(index) for index in wave)
    except BaseException:
        await asyncio.shield(_undo_publication(staged, placed, guard))
        raise


async def _undo_publication(staged: Sequence[Staged | None], placed: set[int], guard: Guard) -> None:
    """Undo what was staged and, if `guard` lets it, what was placed. Raise nothing: the caller has an error to raise."""
    try:
        remove = not placed or await guard.may_remove()
    except Exception as error:
        _log.warning("whether published files may be removed is not known", reason=f"{type(error).__name__}: {error}")
        remove = False
    if not remove:
        _log.warning("published files stay: another attempt may have the task", files=len(placed))
    await roll_back([file for file in staged if file is not None], remove)


async def roll_back(files: Sequence[Staged], placed: bool = True) -> None:
    """Undo all of `files`, those in their place only if `placed`; one that cannot be undone is logged."""
    for result in await asyncio.gather(*(file.undo(placed) for file in files), return_exceptions=True):
        if isinstance(result, Exception):
            _log.warning("a file could not be rolled back", reason=f"{type(result).__name__}: {result}")


async def withdraw(storage: Backend, files: Sequence[PendingFile]) -> None:
    """Takes away those of the files that are there. Raises what `Backend.withdraw` raises, when all others are done."""
    limit = asyncio.Semaphore(FILES_AT_ONCE)

    async def take(file: PendingFile) -> None:
        async with limit:
            await storage.withdraw(file)

    taken = await asyncio.gather(*(take(file) for file in files), return_exceptions=True)
    for problem in taken:
        if problem is not None:
            raise problem
