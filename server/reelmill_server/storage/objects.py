"""Objects in buckets of any service: read in ranges, published atomically.

A service implements one protocol; names, retries and the order of operations are here.
"""

import asyncio
import os
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, Self, TypeVar

import structlog

from reelmill_server.errors import InvalidArgument, OutputError, ReelmillError
from reelmill_server.model.buckets import BucketRule, Target
from reelmill_server.model.publication import PendingFile
from reelmill_server.model.request import Credentials
from reelmill_server.storage.base import Check, ObjectReader, StagedFile, Upload, check_folder, no_check
from reelmill_server.storage.content import Labels
from reelmill_server.storage.reserved import NOTHING_RESERVED, Reserved
from reelmill_server.storage.retry import Explain, RetryPolicy, in_thread, run_all

T = TypeVar("T")
MARK = "reelmill-upload"
"""Metadata key of an object that holds the mark of its upload."""
_THREADS = 16
_MAX_KEY_BYTES = 1024
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ObjectLocation:
    """Real location of an object; `uri` is the one that the user gave."""

    uri: str
    bucket: str
    key: str


@dataclass(frozen=True)
class Stat:
    """Properties of an object; `version` changes when it is replaced."""

    size_bytes: int
    modified_us: int
    version: str


class ObjectUpload(Protocol):
    """Upload of one file to a bucket. All calls block, and may be repeated after an error."""

    parts: int
    """Number of parts to send, in order, before the file is published."""
    mark: str
    """Identifier of the upload, as in StagedFile."""

    def begin(self) -> None:
        """Start the upload; nothing is visible."""

    def send(self, number: int) -> None:
        """Send a part, counted from 0; nothing is visible."""

    def publish(self) -> None:
        """Make the object visible; the service has verified its checksum."""

    def abort(self) -> None:
        """Abort the upload."""

    def remove(self) -> None:
        """Remove the published object, unless it was replaced since."""


class Service(Protocol):
    """One service, accessed with one identity. All calls block and raise errors of the service's library."""

    def stat(self, location: ObjectLocation) -> Stat:
        """Return the properties of an object."""

    def read(self, location: ObjectLocation, version: str, offset: int, length: int) -> bytes:
        """Return a range of one version of an object."""

    def prepare_upload(self, location: ObjectLocation, upload: Upload, labels: Labels) -> ObjectUpload:
        """Return the upload of a file, without contacting the service."""

    def withdraw(self, location: ObjectLocation, mark: str) -> None:
        """Remove an object if it has this mark; do nothing if there is none."""

    def list_below(self, folder: ObjectLocation) -> list[tuple[str, int]]:
        """Return the keys that begin with that of `folder`, and the size of each."""

    def remove(self, location: ObjectLocation) -> None:
        """Remove an object; do nothing if there is none."""

    def abort_below(self, folder: ObjectLocation) -> None:
        """Abort unfinished uploads of keys below `folder`, if the service lists them."""


@dataclass(frozen=True)
class Family:
    """Functions for the services of one scheme.

    `connect` may block; `explain` returns the ReelmillError for a library's error and a URI (None: a defect); `check` raises
    InvalidArgument or AccessDenied for roles that the service does not support.
    """

    connect: Callable[[Target, Credentials], Service]
    explain: Callable[[Exception, str], ReelmillError | None]
    check: Callable[[Credentials], object]


class ObjectStorage:
    """Storage of the buckets of one rule."""

    def __init__(
        self, rule: BucketRule, family: Family, labels: Labels, retry_policy: RetryPolicy, reserved: Reserved = NOTHING_RESERVED
    ) -> None:
        self._rule, self._family, self._labels, self._retry_policy = rule, family, labels, retry_policy
        self._reserved = reserved
        self._credentials = Credentials()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"storage-{rule.scheme}")

    def acting_as(self, credentials: Credentials) -> Self:
        # Whether the roles fit this service is checked with each URI.
        other = copy(self)
        other._credentials = credentials
        return other

    def check_readable(self, uri: str) -> None:
        self._location(uri)

    def check_writable(self, uri: str) -> None:
        if self._location(uri).key.endswith("/"):
            raise InvalidArgument(f"{uri} is not the URI of an object")

    def places(self, uri: str) -> frozenset[Hashable]:
        location, target = self._location(uri), self._rule.target
        return frozenset({(target.option("endpoint").rstrip("/").lower() or target.scheme, location.bucket, location.key)})

    async def open(self, uri: str) -> ObjectReader:
        location = self._location(uri)
        stat = await self._ask(location, lambda service: service.stat(location))
        return _Reader(uri, stat.size_bytes, stat.modified_us, location, stat.version, self._ask)

    async def stage(self, upload: Upload, owner: str) -> StagedFile:
        # The last part is sent when the file is published. Until then nothing has a name that `owner` could mark.
        location = self._location(upload.uri)
        object_upload = await self._ask(location, lambda service: service.prepare_upload(location, upload, self._labels))
        staged = _StagedUpload(location, object_upload, self._do)
        try:
            await self._do(location, object_upload.begin)
            for number in range(object_upload.parts):
                await self._do(location, partial(object_upload.send, number))
        except BaseException:
            await asyncio.shield(staged.roll_back())
            raise
        return staged

    async def withdraw(self, file: PendingFile) -> None:
        location = self._location(file.uri)
        service = await self._ask(location, lambda service: service)
        await self._do(location, partial(service.withdraw, location, file.mark))

    async def list_below(self, folder_uri: str) -> list[tuple[str, int]]:
        return [(location.uri, size) for location, size in await self._below(self._folder(folder_uri))]

    async def erase(self, folder_uri: str) -> None:
        # Uploads first: one that completes meanwhile is an object then.
        folder = self._folder(folder_uri)
        service = await self._ask(folder, lambda service: service)
        await self._do(folder, partial(service.abort_below, folder))
        await run_all(self._do(location, partial(service.remove, location)) for location, _ in await self._below(folder))

    async def _below(self, folder: ObjectLocation) -> list[tuple[ObjectLocation, int]]:
        """Return the objects below a folder. Raises InvalidArgument for a name that is unsafe as a URI."""
        listed = await self._ask(folder, lambda service: service.list_below(folder))
        return [(self._location(folder.uri + key.removeprefix(folder.key)), size) for key, size in listed]

    def _folder(self, uri: str) -> ObjectLocation:
        check_folder(uri)
        return self._location(uri)

    async def _ask(self, location: ObjectLocation, call: Callable[[Service], T]) -> T:
        """Call a read-only function of the service with retries; raises ReelmillError."""

        def ask() -> T:
            return call(self._family.connect(self._rule.target, self._credentials))

        return await self._retry_policy.call(
            partial(asyncio.get_running_loop().run_in_executor, self._pool, ask), self._explain(location)
        )

    async def _do(self, location: ObjectLocation, call: Callable[[], T], check: Check = no_check) -> T:
        """Call a function that changes something, with retries; waits for it even if canceled. Raises ReelmillError."""

        async def do() -> T:
            await check()
            return await in_thread(self._pool, call)

        return await self._retry_policy.call(do, self._explain(location))

    def _explain(self, location: ObjectLocation) -> Explain:
        return lambda error: error if isinstance(error, ReelmillError) else self._family.explain(error, location.uri)

    def _location(self, uri: str) -> ObjectLocation:
        self._family.check(self._credentials)
        bucket, _, key = uri.partition("://")[2].partition("/")
        if not bucket or not key or any(ord(character) < 0x20 for character in uri):
            raise InvalidArgument(f"{uri} is not an object URI: expected {self._rule.scheme}://bucket/object")
        real_bucket, key = self._rule.target.locate(bucket, key)
        if len(key.encode()) > _MAX_KEY_BYTES or not {".", ".."}.isdisjoint(key.split("/")):
            raise InvalidArgument(f"{uri}: an object name must have at most {_MAX_KEY_BYTES} bytes and no component . or ..")
        self._reserved.check_object(real_bucket, key, uri)
        return ObjectLocation(uri, real_bucket, key)


@dataclass
class _StagedUpload:
    """A staged file whose parts, except the last one, are in its bucket."""

    _location: ObjectLocation
    _upload: ObjectUpload
    _do: Callable[..., Any]
    _published: bool = False

    @property
    def mark(self) -> str:
        return self._upload.mark

    async def publish(self, check: Check = no_check) -> None:
        self._published = True  # set first, as the response may be lost
        await self._do(self._location, self._upload.publish, check)

    async def roll_back(self, published: bool = True) -> None:
        remove = self._published and published
        for step in (self._upload.remove, self._upload.abort) if remove else (self._upload.abort,):
            try:
                await self._do(self._location, step)
            except Exception as error:
                _log.warning("unfinished upload left behind", uri=self._location.uri, reason=str(error))


@dataclass(frozen=True)
class _Reader:
    """A reader of an object in a bucket."""

    uri: str
    size_bytes: int
    modified_us: int
    _location: ObjectLocation
    _version: str
    _ask: Callable[..., Any]
    descriptor: int | None = None

    async def read(self, offset: int, length: int) -> bytes:
        length = min(length, self.size_bytes - offset)
        if length <= 0:
            return b""
        data: bytes = await self._ask(
            self._location, lambda service: service.read(self._location, self._version, offset, length)
        )
        return data

    async def close(self) -> None:
        pass


def size_of(upload: Upload) -> int:
    """Return how many bytes an upload has. Raises OutputError."""
    try:
        with upload.open() as file:
            return file.seek(0, os.SEEK_END)
    except OSError as error:
        raise OutputError(f"{upload.path.name} cannot be read: {error.strerror}") from None


def read_part(upload: Upload, offset: int, length: int) -> bytes:
    """Read a part of an upload. Raises OutputError."""
    try:
        with upload.open() as file:
            file.seek(offset)
            part = file.read(length)
    except OSError as error:
        raise OutputError(f"{upload.path.name} cannot be read: {error.strerror}") from None
    if len(part) != length:
        raise OutputError(f"{upload.path.name} became shorter during the upload")
    return part
