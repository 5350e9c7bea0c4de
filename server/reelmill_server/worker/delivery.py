"""Brings the files of an attempt to their storage while the rest is made. Nothing is visible before all is."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from reelmill_server.storage.base import Staged, Storage, Upload
from reelmill_server.storage.publishing import publish

# Few: while others are encoded, the network is to be used and not to be fought for.
_AT_ONCE = 4


@dataclass(frozen=True)
class _Begun:
    """A file that is on its way, or there; `stamp` tells whether it was changed since."""

    upload: Upload
    stamp: tuple[int, int, int]
    staging: asyncio.Task[Staged]


class Delivery:
    """The files of one attempt. Use `delivering`."""

    def __init__(self, storage: Storage, owner: str) -> None:
        """`owner` as in `Backend.stage`."""
        self._storage, self._owner = storage, owner
        self._limit = asyncio.Semaphore(_AT_ONCE)
        self._begun: dict[Path, _Begun] = {}

    def begin(self, upload: Upload) -> None:
        """Begins to bring a file that is said to be finished; it stays where it is. One that is on its way is left alone: if
        it has changed since, it is brought again in the end."""
        if upload.path not in self._begun:
            self._begun[upload.path] = _Begun(upload, _stamp(upload.path), asyncio.create_task(self._bring(upload)))

    def check(self) -> None:
        """Raises what bringing has failed with: there is no use in making the rest."""
        for begun in self._begun.values():
            if begun.staging.done():
                begun.staging.result()

    async def publish(self, uploads: Sequence[Upload]) -> None:
        """As `Storage.publish`; what was brought already, and has not changed since, is only placed."""
        await publish(self._stage, uploads, self._owner)

    async def take_back(self) -> None:
        """Takes back everything that was not published."""
        left = [begun.staging for begun in self._begun.values()]
        self._begun.clear()
        for staging in left:
            staging.cancel()
        brought = await asyncio.gather(*left, return_exceptions=True)
        await asyncio.gather(*(staged.undo() for staged in brought if not isinstance(staged, BaseException)))

    async def _bring(self, upload: Upload) -> Staged:
        async with self._limit:
            return await self._storage.stage(upload, self._owner)

    async def _stage(self, upload: Upload, owner: str) -> Staged:
        begun = self._begun.get(upload.path)
        if begun is not None:
            staged = await begun.staging
            self._begun.pop(upload.path)
            if (begun.upload, begun.stamp) == (upload, _stamp(upload.path)):
                return staged
            await staged.undo()
        return await self._storage.stage(upload, owner)


def _stamp(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


@asynccontextmanager
async def delivering(storage: Storage, owner: str) -> AsyncIterator[Delivery]:
    """What brings the files of one attempt; at the end of the block nothing is left on its way."""
    delivery = Delivery(storage, owner)
    try:
        yield delivery
    finally:
        # Shielded: whoever cancels the attempt must not leave half an upload behind.
        await asyncio.shield(delivery.take_back())
