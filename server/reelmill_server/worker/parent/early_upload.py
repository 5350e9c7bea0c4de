"""Brings the files of an attempt to their storage while the rest is made. Nothing is visible before all is."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from reelmill_server.errors import OutputInvalid
from reelmill_server.model.plan import Plan
from reelmill_server.plan.output.images import image_uri
from reelmill_server.plan.output.packaging import part_uri, planned_files
from reelmill_server.storage.base import Guard, StagedFile, Storage, Upload
from reelmill_server.storage.publication import publish, roll_back
from reelmill_server.worker import messages

# Few: while others are encoded, the network is to be used and not to be fought for.
_AT_ONCE = 4


@dataclass(frozen=True)
class _Begun:
    """A file that is on its way, or there; `stamp` tells whether it was changed since."""

    upload: Upload
    stamp: tuple[int, int, int]
    staging: asyncio.Task[StagedFile]


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

    async def publish(self, uploads: Sequence[Upload], guard: Guard) -> None:
        """As `publishing.publish`; what was brought already, and has not changed since, is only placed."""
        await publish(self._stage, uploads, self._owner, guard)

    async def take_back(self) -> None:
        """Takes back everything that was not published."""
        left = [begun.staging for begun in self._begun.values()]
        self._begun.clear()
        for staging in left:
            staging.cancel()
        brought = await asyncio.gather(*left, return_exceptions=True)
        await roll_back([staged for staged in brought if not isinstance(staged, BaseException)])

    async def _bring(self, upload: Upload) -> StagedFile:
        async with self._limit:
            return await self._storage.stage(upload, self._owner)

    async def _stage(self, upload: Upload, owner: str) -> StagedFile:
        begun = self._begun.get(upload.path)
        if begun is not None:
            staged = await begun.staging
            self._begun.pop(upload.path)
            if (begun.upload, begun.stamp) == (upload, _stamp(upload.path)):
                return staged
            await staged.roll_back()
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


def uploads_of(finished: messages.Finished, plan: Plan, directory: Path) -> list[Upload]:
    """What to publish and where: segments first, lists of lists last, so that nothing is named before it is there.

    Every URI follows from the plan; the child says only which of the files that the plan allows it has made.
    """
    planned = planned_files(plan)
    made = [(made.path, made.artifact.uri) for made in finished.made]
    files, images = made[: len(planned)], made[len(planned) :]
    if files != [(file.path, file.uri) for file in planned] or any(image_uri(plan, path) != uri for path, uri in images):
        raise OutputInvalid("the child names other outputs than it planned")
    parts = dict.fromkeys(name for made in finished.made for name in made.parts)
    return [
        *(upload_of(name, plan, directory) for name in parts),
        *(Upload(inside(directory, name), uri) for name, uri in made),
    ]


def upload_of(name: str, plan: Plan, directory: Path) -> Upload:
    """Where a segment, or a planned file, that lies at `name` goes. Raises OutputInvalid when the plan has no such thing."""
    uri = part_uri(plan, name) or next((file.uri for file in planned_files(plan) if file.path == name), None)
    if uri is None:
        raise OutputInvalid(f"the child names {name!r}, which is no part of what it planned")
    return Upload(inside(directory, name), uri)


def inside(directory: Path, name: str) -> Path:
    """A file that the child says it made. Raises OutputInvalid unless it lies in `directory`, with no link on the way to it."""
    path = directory / name
    if path.resolve() != directory.resolve() / name or not path.is_file():
        raise OutputInvalid(f"the child names {name!r}, which is no file of its own")
    return path
