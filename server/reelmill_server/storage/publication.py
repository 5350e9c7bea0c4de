"""Atomic publication of several files: all are staged, then all are published; a failure rolls back all of them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import structlog

from reelmill_server.model.publication import PendingFile
from reelmill_server.storage.base import Backend, Check, Guard, StagedFile, Upload, no_check
from reelmill_server.storage.content import references_others
from reelmill_server.storage.retry import run_all

_log = structlog.get_logger(__name__)
FILES_AT_ONCE = 8
"""Files in progress at once; each holds one part in memory."""


@dataclass(frozen=True)
class ExclusiveGuard:
    """Guard for names that no other attempt uses and that need not be recorded."""

    check: Check = no_check

    async def announce(self, files: Sequence[PendingFile]) -> None:
        pass

    async def may_remove(self) -> bool:
        return True


async def publish(
    stage: Callable[[Upload, str], Awaitable[StagedFile]], uploads: Sequence[Upload], owner: str, guard: Guard | None = None
) -> None:
    """Publish all files in order, playlists and manifests last, or none. Raises the errors of `stage` and `guard`.

    `guard` decides whether published files are kept after a failure: they may have replaced, or be replaced by, those of
    another attempt.
    """
    guard = guard or ExclusiveGuard()
    published: set[int] = set()
    uploads = distinct(uploads)
    limit = asyncio.Semaphore(FILES_AT_ONCE)
    staged: list[StagedFile | None] = [None] * len(uploads)

    async def stage_file(index: int) -> None:
        async with limit:
            staged[index] = await stage(uploads[index], owner)

    async def publish_file(index: int) -> None:
        async with limit:
            file = staged[index]
            assert file is not None
            await guard.check()
            published.add(index)
            await file.publish(guard.check)

    try:
        await run_all(stage_file(index) for index in range(len(uploads)))
        await guard.announce(pending(uploads, [file for file in staged if file]))
        in_order = sorted(range(len(uploads)), key=lambda index: references_others(uploads[index].uri))
        for _, wave in groupby(in_order, lambda index: index if references_others(uploads[index].uri) else -1):
            await run_all(publish_file(index) for index in wave)
    except BaseException:
        await asyncio.shield(_roll_back_publication(staged, published, guard))
        raise


def distinct(uploads: Sequence[Upload]) -> Sequence[Upload]:
    """Return the uploads without those whose URI is repeated later."""
    return list({upload.uri: upload for upload in uploads}.values())


def pending(uploads: Sequence[Upload], staged: Sequence[StagedFile]) -> Sequence[PendingFile]:
    """Return what is about to be published, from each upload and what was staged for it."""
    return [PendingFile(upload.uri, file.mark) for upload, file in zip(uploads, staged, strict=True)]


async def _roll_back_publication(staged: Sequence[StagedFile | None], published: set[int], guard: Guard) -> None:
    """Roll back staged files and, if `guard` allows it, published ones. Raises nothing: the caller has an error to raise."""
    try:
        remove = not published or await guard.may_remove()
    except Exception as error:
        _log.warning("cannot determine whether published files may be removed", reason=f"{type(error).__name__}: {error}")
        remove = False
    if not remove:
        _log.warning("published files kept: another attempt may own the task", files=len(published))
    await roll_back([file for file in staged if file is not None], remove)


async def roll_back(files: Sequence[StagedFile], published: bool = True) -> None:
    """Roll back `files`, published ones only if `published`; failures are logged."""
    for result in await asyncio.gather(*(file.roll_back(published) for file in files), return_exceptions=True):
        if isinstance(result, Exception):
            _log.warning("a file could not be rolled back", reason=f"{type(result).__name__}: {result}")


async def withdraw(storage: Backend, files: Sequence[PendingFile]) -> None:
    """Remove those of the files that exist. Raises an error of `Backend.withdraw` after trying all files."""
    limit = asyncio.Semaphore(FILES_AT_ONCE)

    async def withdraw_file(file: PendingFile) -> None:
        async with limit:
            await storage.withdraw(file)

    results = await asyncio.gather(*(withdraw_file(file) for file in files), return_exceptions=True)
    for error in results:
        if error is not None:
            raise error
