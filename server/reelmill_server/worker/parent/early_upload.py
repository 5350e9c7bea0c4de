"""Upload files of an attempt while the rest is encoded. Nothing becomes visible before all of it does."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from reelmill_server.errors import OutputInvalid
from reelmill_server.model.plan import Plan
from reelmill_server.plan.output.image_files import image_uri
from reelmill_server.plan.output.package_files import part_uri, planned_files
from reelmill_server.storage.base import Guard, StagedFile, Storage, Upload
from reelmill_server.storage.publication import FILES_AT_ONCE, distinct, pending, publish, roll_back
from reelmill_server.worker import messages

# Few, so that uploads use the network without competing with reads.
_AT_ONCE = 4
_SHOWN_LENGTH = 80  # of a name that a child gives


@dataclass(frozen=True)
class _Staging:
    """An upload that is in progress or complete; `stamp` shows whether the file has changed since."""

    upload: Upload
    stamp: tuple[int, int, int]
    staging: asyncio.Task[StagedFile]


class EarlyUpload:
    """The uploads of one attempt. Use `uploading_early`."""

    def __init__(self, storage: Storage, owner: str) -> None:
        """`owner` as in `Backend.stage`."""
        self._storage, self._owner = storage, owner
        self._limit = asyncio.Semaphore(_AT_ONCE)
        self._uploads: dict[Path, _Staging] = {}
        self._preparing: asyncio.Task[None] | None = None

    def begin(self, upload: Upload) -> None:
        """Start to upload a file that was reported complete. If it changes later, `publish` uploads it again."""
        if upload.path not in self._uploads:
            check_own(upload.path)
            self._uploads[upload.path] = _Staging(upload, _stamp(upload.path), asyncio.create_task(self._bring(upload)))

    def check_own(self, paths: Iterable[Path]) -> None:
        """Check the files that were not uploaded yet, or were replaced since, as the module's `check_own` does."""
        for path in paths:
            begun = self._uploads.get(path)
            if begun is None or begun.stamp[0] != path.lstat().st_ino:
                check_own(path)

    def check(self) -> None:
        """Raise the error of an upload that failed: encoding the rest would be in vain."""
        for begun in self._uploads.values():
            if begun.staging.done():
                begun.staging.result()

    def prepare(self, uploads: Sequence[Upload], guard: Guard) -> None:
        """Start to upload what is missing, and to announce all files, so that `publish` need not wait."""
        self._preparing = asyncio.create_task(self._prepare(distinct(uploads), guard))

    async def _prepare(self, uploads: Sequence[Upload], guard: Guard) -> None:
        for _ in range(FILES_AT_ONCE - _AT_ONCE):  # nothing is read any more
            self._limit.release()
        for upload in uploads:
            self.begin(upload)
        staged = await asyncio.gather(*(self._uploads[upload.path].staging for upload in uploads))
        await guard.announce(pending(uploads, staged))

    async def prepared(self) -> None:
        """Wait for what `prepare` has started, if anything. Raises its error."""
        if self._preparing is not None:
            await self._preparing

    async def publish(self, uploads: Sequence[Upload], guard: Guard) -> None:
        """Upload what is missing or has changed, and publish all files; errors as in `storage.publication.publish`."""
        await self.prepared()
        await publish(self._stage, uploads, self._owner, guard)

    async def roll_back(self) -> None:
        """Roll back all uploads that were not published."""
        left = [begun.staging for begun in self._uploads.values()]
        self._uploads.clear()
        if self._preparing is not None:
            self._preparing.cancel()
            await asyncio.gather(self._preparing, return_exceptions=True)
        for staging in left:
            staging.cancel()
        outcomes = await asyncio.gather(*left, return_exceptions=True)
        await roll_back([staged for staged in outcomes if not isinstance(staged, BaseException)])

    async def _bring(self, upload: Upload) -> StagedFile:
        async with self._limit:
            return await self._storage.stage(upload, self._owner)

    async def _stage(self, upload: Upload, owner: str) -> StagedFile:
        begun = self._uploads.get(upload.path)
        if begun is not None:
            staged = await begun.staging
            self._uploads.pop(upload.path)
            if (begun.upload, begun.stamp) == (upload, _stamp(upload.path)):
                return staged
            await staged.roll_back()
        return await self._storage.stage(upload, owner)


def _stamp(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


@asynccontextmanager
async def uploading_early(storage: Storage, owner: str) -> AsyncIterator[EarlyUpload]:
    """Return the uploads of one attempt; at the end of the block those that were not published are rolled back."""
    early_upload = EarlyUpload(storage, owner)
    try:
        yield early_upload
    finally:
        # Shielded: a cancel must not leave half an upload behind.
        await asyncio.shield(early_upload.roll_back())


def parts_of(finished: messages.Finished) -> dict[str, None]:
    """Return the paths of all segments, in order and once each."""
    return dict.fromkeys(name for result in finished.made for name in result.parts)


def uploads_of(finished: messages.Finished, plan: Plan, directory: Path) -> list[Upload]:
    """Return what to publish and where: segments first, lists of lists last, so that no file is listed before it exists.

    URIs follow from the plan; the child says only which of the planned files it has produced.
    """
    planned = planned_files(plan)
    results = [(result.path, result.artifact.uri) for result in finished.made]
    files, images = results[: len(planned)], results[len(planned) :]
    if files != [(file.path, file.uri) for file in planned] or any(image_uri(plan, path) != uri for path, uri in images):
        raise OutputInvalid("the child names other outputs than it planned")
    return [
        *(upload_of(name, plan, directory) for name in parts_of(finished)),
        *(Upload(inside(directory, name), uri, directory) for name, uri in results),
    ]


def upload_of(name: str, plan: Plan, directory: Path) -> Upload:
    """Return where to publish the segment or planned file at path `name`. Raises OutputInvalid if the plan has none there."""
    uri = part_uri(plan, name) or next((file.uri for file in planned_files(plan) if file.path == name), None)
    if uri is None:
        raise OutputInvalid(f"the child names {name[:_SHOWN_LENGTH]!r}, which is not part of what it planned")
    return Upload(inside(directory, name), uri, directory)


def inside(directory: Path, name: str) -> Path:
    """Return the path of a file that the child reports. Raises OutputInvalid unless it is in `directory`, reached without
    links.
    """
    path = directory / name
    if not is_beneath(directory, name) or not path.is_file():
        raise OutputInvalid(f"the child names {name[:_SHOWN_LENGTH]!r}, which is not a file of its own")
    return path


def is_beneath(directory: Path, name: str) -> bool:
    """Return whether a name leads to something in `directory`, without links, whether it exists or not."""
    root = directory.resolve()
    path = root / name
    return "\0" not in name and path.is_relative_to(root) and path.resolve() == path != root


def check_own(path: Path) -> None:
    """Raise OutputInvalid unless the file, which has not been staged yet, is regular and has no other name: a hard link would
    publish, and let the child change later, a file that belongs to something else.
    """
    status = path.lstat()
    if not S_ISREG(status.st_mode) or status.st_nlink != 1:
        raise OutputInvalid(f"the child names {path.name[:_SHOWN_LENGTH]!r}, which is a link to another file")
