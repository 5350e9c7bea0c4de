"""Metrics of storage: bytes transferred and failed operations."""

from collections.abc import Awaitable, Callable, Hashable
from itertools import product
from typing import Self, TypeVar

from reelmill_server.errors import (
    AccessDenied,
    BucketNotFound,
    InternalError,
    OutputError,
    ReelmillError,
    ResourceNotFound,
    SourceChanged,
    StorageUnavailable,
)
from reelmill_server.model.publication import PendingFile
from reelmill_server.model.request import Credentials
from reelmill_server.storage.base import Backend, Check, ObjectReader, StagedFile, Upload, no_check
from reelmill_server.telemetry.metrics import Metrics

T = TypeVar("T")
_OPERATIONS = ("open", "read", "stage", "place", "list", "withdraw", "erase")
_ERRORS = (AccessDenied, BucketNotFound, InternalError, OutputError, ResourceNotFound, SourceChanged, StorageUnavailable)


def count_errors_from_zero(scheme: str, metrics: Metrics) -> None:
    """Give the counter of errors a value for each that storages of `scheme` may have: a rate then sees the first one."""
    for operation, error in product(_OPERATIONS, _ERRORS):
        metrics.storage_error_total.labels(scheme, operation, error.code)


class MeteredStorage:
    """A storage that counts the bytes and errors of `backend` under the label `scheme`."""

    def __init__(self, backend: Backend, scheme: str, metrics: Metrics) -> None:
        self._backend, self._scheme, self._metrics = backend, scheme, metrics

    def acting_as(self, credentials: Credentials) -> Self:
        return type(self)(self._backend.acting_as(credentials), self._scheme, self._metrics)

    def check_readable(self, uri: str) -> None:
        self._backend.check_readable(uri)

    def check_writable(self, uri: str) -> None:
        self._backend.check_writable(uri)

    def places(self, uri: str) -> frozenset[Hashable]:
        return self._backend.places(uri)

    async def open(self, uri: str) -> ObjectReader:
        reader = await self.run("open", self._backend.open(uri))
        return reader if reader.descriptor is not None else _MeteredReader(reader, self.run, self._count)

    async def stage(self, upload: Upload, owner: str) -> StagedFile:
        staged = await self.run("stage", self._backend.stage(upload, owner))
        self._count("written", upload.path.stat().st_size)
        return _MeteredFile(staged, self.run)

    async def withdraw(self, file: PendingFile) -> None:
        await self.run("withdraw", self._backend.withdraw(file))

    async def list_below(self, folder_uri: str) -> list[tuple[str, int]]:
        return await self.run("list", self._backend.list_below(folder_uri))

    async def erase(self, folder_uri: str) -> None:
        await self.run("erase", self._backend.erase(folder_uri))

    async def run(self, operation: str, work: Awaitable[T]) -> T:
        """Await `work` and count its error, if any."""
        try:
            return await work
        except ReelmillError as error:
            self._metrics.storage_error_total.labels(self._scheme, operation, error.code).inc()
            raise

    def _count(self, direction: str, size_bytes: int) -> None:
        self._metrics.storage_bytes_total.labels(self._scheme, direction).inc(size_bytes)


class _MeteredReader:
    """A reader that counts the bytes read."""

    descriptor = None

    def __init__(
        self,
        reader: ObjectReader,
        run: Callable[[str, Awaitable[bytes]], Awaitable[bytes]],
        count: Callable[[str, int], None],
    ) -> None:
        self._reader, self._run, self._count = reader, run, count
        self.uri, self.size_bytes, self.modified_us = reader.uri, reader.size_bytes, reader.modified_us

    async def read(self, offset: int, length: int) -> bytes:
        data = await self._run("read", self._reader.read(offset, length))
        self._count("read", len(data))
        return data

    async def close(self) -> None:
        await self._reader.close()


class _MeteredFile:
    """A staged file that counts errors."""

    def __init__(self, staged: StagedFile, run: Callable[[str, Awaitable[None]], Awaitable[None]]) -> None:
        self._staged, self._run = staged, run
        self.mark = staged.mark

    async def publish(self, check: Check = no_check) -> None:
        await self._run("place", self._staged.publish(check))

    async def roll_back(self, published: bool = True) -> None:
        await self._staged.roll_back(published)
