"""A storage elsewhere, for tests: files that are read in ranges only, with every read counted, and faults where asked for."""

import asyncio
import os
import shutil
import uuid
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reelmill_server.errors import ResourceNotFound, StorageUnavailable
from reelmill_server.model.publication import PendingFile
from reelmill_server.model.request import Credentials
from reelmill_server.storage import publication
from reelmill_server.storage.base import Check, Guard, ObjectReader, StagedFile, Upload, no_check
from reelmill_server.worker.messages import SourceRef
from reelmill_server.worker.parent.block_cache import BlockCache
from reelmill_server.worker.parent.range_server import RangeServer


@dataclass
class RemoteStorage:
    """Serves `remote:///path` from the files below `root`.

    `reads` are the ranges that were read, as (uri, offset, length); each takes `seconds`. A read that ends between `fails_at`
    and `fails_until` raises `failure`, or, if there is none, never ends. `local`: the files lie on this machine. What is
    published goes to files, too; URIs that end with `refuses` cannot be written.
    """

    root: Path
    reads: list[tuple[str, int, int]] = field(default_factory=list)
    fails_at: int = 1 << 62
    fails_until: int = 1 << 62
    failure: Exception | None = None
    shortens: bool = False
    seconds: float = 0.0
    local: bool = False
    refuses: str = ""
    staged: list["_Staged"] = field(default_factory=list)
    open_count: int = 0

    @property
    def bytes_read(self) -> int:
        """All bytes that were read."""
        return sum(length for _, _, length in self.reads)

    def uri(self, path: Path) -> str:
        """Names a file."""
        return f"remote://{path}"

    def check_readable(self, uri: str) -> None:
        """All is."""

    def check_writable(self, uri: str) -> None:
        """All is."""

    def places(self, uri: str) -> frozenset[Hashable]:
        """One, as each file has one name."""
        return frozenset({uri})

    async def open(self, uri: str) -> ObjectReader:
        """As `Storage.open`."""
        path = Path(uri.removeprefix("remote://"))
        if not path.is_file():
            raise ResourceNotFound(f"The specified resource {uri} is not found")
        self.open_count += 1
        return _Reader(self, uri, path)

    async def stage(self, upload: Upload, owner: str) -> StagedFile:
        """As `Backend.stage`: what is staged is held in memory."""
        data = await asyncio.to_thread(upload.path.read_bytes)
        if self.refuses and upload.uri.endswith(self.refuses):
            raise StorageUnavailable(f"{upload.uri}: the storage is away")
        staged = _Staged(self, upload.uri, data)
        self.staged.append(staged)
        return staged

    async def publish(self, uploads: Sequence[Upload], owner: str, guard: Guard | None = None) -> None:
        """As `Storage.publish`."""
        await publication.publish(self.stage, uploads, owner, guard)

    async def withdraw(self, file: PendingFile) -> None:
        """As `Backend.withdraw`."""
        path = Path(file.uri.removeprefix("remote://"))
        if path.exists() and any(staged.mark == file.mark and staged.placed for staged in self.staged):
            path.unlink()

    async def list_below(self, folder_uri: str) -> list[tuple[str, int]]:
        """As `Backend.list_below`."""
        files = [path for path in Path(folder_uri.removeprefix("remote://")).rglob("*") if path.is_file()]
        return [(f"remote://{path}", path.stat().st_size) for path in files]

    async def erase(self, folder_uri: str) -> None:
        """As `Backend.erase`."""
        shutil.rmtree(folder_uri.removeprefix("remote://"), ignore_errors=True)

    def acting_as(self, credentials: Credentials) -> "RemoteStorage":
        """Knows no roles."""
        return self


@dataclass
class _Staged:
    storage: RemoteStorage
    uri: str
    data: bytes
    undone: bool = False
    placed: bool = False
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    async def publish(self, check: Check = no_check) -> None:
        """As `StagedFile.publish`."""
        await check()
        path = Path(self.uri.removeprefix("remote://"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.data)
        self.placed = True

    async def roll_back(self, published: bool = True) -> None:
        """As `StagedFile.roll_back`."""
        self.undone = published or not self.placed
        if published:
            Path(self.uri.removeprefix("remote://")).unlink(missing_ok=True)


class _Reader:
    def __init__(self, storage: RemoteStorage, uri: str, path: Path) -> None:
        self.uri, self.size_bytes = uri, path.stat().st_size
        self.descriptor = os.open(path, os.O_RDONLY) if storage.local else None
        self.modified_us = path.stat().st_mtime_ns // 1000
        self._storage, self._path = storage, path

    async def read(self, offset: int, length: int) -> bytes:
        storage = self._storage
        assert 0 <= offset < offset + length <= self.size_bytes
        await asyncio.sleep(storage.seconds)
        if storage.fails_at < offset + length <= storage.fails_until:
            if storage.failure is None:
                await asyncio.Event().wait()
            else:
                raise storage.failure
        storage.reads.append((self.uri, offset, length))
        with self._path.open("rb") as file:
            file.seek(offset)
            return file.read(length // 2 if storage.shortens else length)

    async def close(self) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)
        self._storage.open_count -= 1


class LocalFiles(RangeServer):
    """Files of this machine that children inherit; each is opened once."""

    def __init__(self) -> None:
        super().__init__(RemoteStorage(Path()), BlockCache.__new__(BlockCache), 0)  # nothing is served
        self._paths: list[Path] = []

    def ref(self, path: Path) -> SourceRef:
        """Open a file."""
        if path not in self._paths:
            self._paths.append(path)
            self.descriptors.append(os.open(path, os.O_RDONLY))
        return SourceRef(descriptor=self._paths.index(path), size_bytes=path.stat().st_size)

    def path(self, ref: SourceRef) -> Path:
        """Return what was opened."""
        return self._paths[ref.descriptor]

    def forget(self) -> None:
        """Close all."""
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors.clear()
        self._paths.clear()
