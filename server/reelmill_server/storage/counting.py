"""Counts what goes to a storage and comes from it, and what fails."""

from collections.abc import Awaitable, Callable
from typing import Self, TypeVar

from reelmill_server.errors import ReelmillError
from reelmill_server.model.publication import PendingFile
from reelmill_server.model.request import Credentials
from reelmill_server.storage.base import Backend, Check, ObjectReader, Staged, Upload, always
from reelmill_server.telemetry.metrics import Metrics

T = TypeVar("T")


class Counted:
    """A storage whose use is counted under the name `scheme`; all else is as `backend` does it."""

    def __init__(self, backend: Backend, scheme: str, metrics: Metrics) -> None:
        self._backend, self._scheme, self._metrics = backend, scheme, metrics

    def acting_as(self, credentials: Credentials) -> Self:
        """As `Backend.acting_as`."""
        return type(self)(self._backend.acting_as(credentials), self._scheme, self._metrics)

    def check_readable(self, uri: str) -> None:
        """As `Backend.check_readable`."""
        self._backend.check_readable(uri)

    def check_writable(self, uri: str) -> None:
        """As `Backend.check_writable`."""
        self._backend.check_writable(uri)

    async def open(self, uri: str) -> ObjectReader:
        """As `Backend.open`."""
        reader = await self.told("open", self._backend.open(uri))
        return reader if reader.local_path is not None else _CountedReader(reader, self.told, self._count)

    async def stage(self, upload: Upload, owner: str) -> Staged:
        """As `Backend.stage`."""
        staged = await self.told("stage", self._backend.stage(upload, owner))
        self._count("written", upload.path.stat().st_size)
        return _CountedStaged(staged, self.told)

    async def withdraw(self, file: PendingFile) -> None:
        """As `Backend.withdraw`."""
        await self.told("withdraw", self._backend.withdraw(file))

    async def list_below(self, folder_uri: str) -> list[tuple[str, int]]:
        """As `Backend.list_below`."""
        return await self.told("list", self._backend.list_below(folder_uri))

    async def erase(self, folder_uri: str) -> None:
        """As `Backend.erase`."""
        await self.told("erase", self._backend.erase(folder_uri))

    async def told(self, operation: str, work: Awaitable[T]) -> T:
        """Does `work`; what it fails with is counted."""
        try:
            return await work
        except ReelmillError as error:
            self._metrics.storage_error_total.labels(self._scheme, operation, error.code).inc()
            raise

    def _count(self, direction: str, size_bytes: int) -> None:
        self._metrics.storage_bytes_total.labels(self._scheme, direction).inc(size_bytes)


class _CountedReader:
    """An object of which every byte that is read is counted."""

    local_path = None

    def __init__(
        self,
        reader: ObjectReader,
        told: Callable[[str, Awaitable[bytes]], Awaitable[bytes]],
        count: Callable[[str, int], None],
    ) -> None:
        self._reader, self._told, self._count = reader, told, count
        self.uri, self.size_bytes, self.modified_us = reader.uri, reader.size_bytes, reader.modified_us

    async def read(self, offset: int, length: int) -> bytes:
        """As `ObjectReader.read`."""
        data = await self._told("read", self._reader.read(offset, length))
        self._count("read", len(data))
        return data

    async def close(self) -> None:
        """As `ObjectReader.close`."""
        await self._reader.close()


class _CountedStaged:
    """A file that is about to appear."""

    def __init__(self, staged: Staged, told: Callable[[str, Awaitable[None]], Awaitable[None]]) -> None:
        self._staged, self._told = staged, told
        self.mark = staged.mark

    async def place(self, check: Check = always) -> None:
        """As `Staged.place`."""
        await self._told("place", self._staged.place(check))

    async def undo(self, placed: bool = True) -> None:
        """As `Staged.undo`."""
        await self._staged.undo(placed)
