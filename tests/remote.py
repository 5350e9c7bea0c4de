"""A storage elsewhere, for tests: files that are read in ranges only, with every read counted, and faults where asked for."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reelmill_server.errors import ResourceNotFound
from reelmill_server.storage.base import Fetched, ObjectReader, Upload
from reelmill_server.storage.file import FileStorage


@dataclass
class RemoteStorage:
    """Serves `remote:///path` from the files below `root`.

    `reads` are the ranges that were read, as (uri, offset, length). A read that ends between `fails_at` and `fails_until`
    raises `failure`, or, if there is none, never ends. `local`: the files lie on this machine. What is published goes to files,
    too.
    """

    root: Path
    reads: list[tuple[str, int, int]] = field(default_factory=list)
    fails_at: int = 1 << 62
    fails_until: int = 1 << 62
    failure: Exception | None = None
    shortens: bool = False
    local: bool = False
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

    async def open(self, uri: str) -> ObjectReader:
        """As `Storage.open`."""
        path = Path(uri.removeprefix("remote://"))
        if not path.is_file():
            raise ResourceNotFound(f"The specified resource {uri} is not found")
        self.open_count += 1
        return _Reader(self, uri, path)

    async def fetch(self, uri: str) -> Fetched:
        """Nothing is made local."""
        raise AssertionError("the whole object is asked for")

    async def publish(self, uploads: Sequence[Upload], owner: str) -> None:
        """As `Storage.publish`."""
        moved = [Upload(upload.path, upload.uri.replace("remote://", "file://")) for upload in uploads]
        await FileStorage([self.root]).publish(moved, owner)


class _Reader:
    def __init__(self, storage: RemoteStorage, uri: str, path: Path) -> None:
        self.uri, self.size_bytes = uri, path.stat().st_size
        self.local_path = str(path) if storage.local else None
        self.modified_us = path.stat().st_mtime_ns // 1000
        self._storage, self._path = storage, path

    async def read(self, offset: int, length: int) -> bytes:
        storage = self._storage
        assert 0 <= offset < offset + length <= self.size_bytes
        await asyncio.sleep(0)
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
        self._storage.open_count -= 1
