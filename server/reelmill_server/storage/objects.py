"""Objects in buckets, whatever service holds them: ranges are read, files appear whole.

A service knows one protocol; what is the same for all is here: names, retries, and the order in which things are done.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import structlog

from reelmill_server.errors import InvalidArgument, OutputError, ReelmillError
from reelmill_server.model.buckets import BucketRule, Target
from reelmill_server.model.publication import PendingFile
from reelmill_server.model.request import Credentials
from reelmill_server.storage.base import Check, ObjectReader, Staged, Upload, always, check_folder
from reelmill_server.storage.content import Labels
from reelmill_server.storage.reserved import NOTHING_RESERVED, Reserved
from reelmill_server.storage.retrying import Explain, RetryPolicy, in_thread, together

T = TypeVar("T")
MARK = "reelmill-upload"
"""The metadata of an object that tell by which upload it came."""
_THREADS = 16
_LONGEST_KEY_BYTES = 1024
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Place:
    """Where an object really is; `uri` is what its user calls it."""

    uri: str
    bucket: str
    key: str


@dataclass(frozen=True)
class Stat:
    """What is known of an object; `version` changes when it is replaced."""

    size_bytes: int
    modified_us: int
    version: str


class Delivery(Protocol):
    """One file on its way into a bucket. All calls block, and may be repeated after an error."""

    parts: int
    """How many parts are sent, one after the other, before the file is placed."""
    mark: str
    """As of `Staged`."""

    def begin(self) -> None:
        """Opens the way; nothing is visible."""

    def send(self, number: int) -> None:
        """Sends a part, counted from 0; nothing is visible."""

    def place(self) -> None:
        """Makes the object appear, whole; the service has compared its checksum."""

    def abort(self) -> None:
        """Gives up what was sent."""

    def remove(self) -> None:
        """Takes away what was placed, unless it was replaced since."""


class Service(Protocol):
    """One service in the name of one identity. All calls block and raise errors of the service's library."""

    def stat(self, place: Place) -> Stat:
        """Looks at an object."""

    def read(self, place: Place, version: str, offset: int, length: int) -> bytes:
        """Reads a range of one version of an object."""

    def deliver(self, place: Place, path: Path, labels: Labels) -> Delivery:
        """Prepares the way of a file; does no I/O on the service."""

    def withdraw(self, place: Place, mark: str) -> None:
        """Takes an object away if it bears `mark`; there need not be any."""

    def list_below(self, folder: Place) -> list[tuple[str, int]]:
        """The keys that begin with that of `folder`, and the bytes of each."""

    def remove(self, place: Place) -> None:
        """Takes an object away; there need not be any."""

    def abort_below(self, folder: Place) -> None:
        """Gives up the uploads that are under way to such keys, if the service tells of them."""


@dataclass(frozen=True)
class Family:
    """What makes the services of one scheme: `connect` may block; `explain` puts an error, with the URI, into words of ours
    (None: it is a defect); `check` raises InvalidArgument or AccessDenied for roles that do not fit."""

    connect: Callable[[Target, Credentials], Service]
    explain: Callable[[Exception, str], ReelmillError | None]
    check: Callable[[Credentials], object]


class ObjectStorage:
    """The buckets of one rule."""

    def __init__(
        self, rule: BucketRule, family: Family, labels: Labels, retry_policy: RetryPolicy, reserved: Reserved = NOTHING_RESERVED
    ) -> None:
        self._rule, self._family, self._labels, self._retry_policy = rule, family, labels, retry_policy
        self._reserved = reserved
        self._credentials = Credentials()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"storage-{rule.scheme}")

    def acting_as(self, credentials: Credentials) -> Self:
        """As `Backend.acting_as`. Whether the roles fit this service is checked with each URI."""
        other = copy(self)
        other._credentials = credentials
        return other

    def check_readable(self, uri: str) -> None:
        """As `Backend.check_readable`."""
        self._place(uri)

    def check_writable(self, uri: str) -> None:
        """As `Backend.check_writable`."""
        if self._place(uri).key.endswith("/"):
            raise InvalidArgument(f"{uri} does not name an object")

    async def open(self, uri: str) -> ObjectReader:
        """As `Backend.open`."""
        place = self._place(uri)
        stat = await self._ask(place, lambda service: service.stat(place))
        return _Reader(uri, stat.size_bytes, stat.modified_us, place, stat.version, self._ask)

    async def stage(self, upload: Upload, owner: str) -> Staged:
        """As `Backend.stage`: all parts but the last are sent. Nothing of it has a name, so there is none to mark."""
        place = self._place(upload.uri)
        delivery = await self._ask(place, lambda service: service.deliver(place, upload.path, self._labels))
        staged = _Delivered(place, delivery, self._do)
        try:
            await self._do(place, delivery.begin)
            for number in range(delivery.parts):
                await self._do(place, partial(delivery.send, number))
        except BaseException:
            await asyncio.shield(staged.undo())
            raise
        return staged

    async def withdraw(self, file: PendingFile) -> None:
        """As `Backend.withdraw`."""
        place = self._place(file.uri)
        service = await self._ask(place, lambda service: service)
        await self._do(place, partial(service.withdraw, place, file.mark))

    async def list_below(self, folder_uri: str) -> list[tuple[str, int]]:
        """As `Backend.list_below`."""
        return [(place.uri, size) for place, size in await self._below(self._folder(folder_uri))]

    async def erase(self, folder_uri: str) -> None:
        """As `Backend.erase`: uploads first, as one that is completed meanwhile is an object then."""
        folder = self._folder(folder_uri)
        service = await self._ask(folder, lambda service: service)
        await self._do(folder, partial(service.abort_below, folder))
        await together(self._do(place, partial(service.remove, place)) for place, _ in await self._below(folder))

    async def _below(self, folder: Place) -> list[tuple[Place, int]]:
        """What lies there. Raises InvalidArgument for a name that could lead elsewhere on its way."""
        listed = await self._ask(folder, lambda service: service.list_below(folder))
        return [(self._place(folder.uri + key.removeprefix(folder.key)), size) for key, size in listed]

    def _folder(self, uri: str) -> Place:
        check_folder(uri)
        return self._place(uri)

    async def _ask(self, place: Place, call: Callable[[Service], T]) -> T:
        """Asks the service for something; raises ReelmillError."""

        def ask() -> T:
            return call(self._family.connect(self._rule.target, self._credentials))

        return await self._retry_policy.call(
            partial(asyncio.get_running_loop().run_in_executor, self._pool, ask), self._explain(place)
        )

    async def _do(self, place: Place, call: Callable[[], T], check: Check = always) -> T:
        """Changes something at the service: what is under way when this is canceled is waited for. Raises ReelmillError."""

        async def do() -> T:
            await check()
            return await in_thread(self._pool, call)

        return await self._retry_policy.call(do, self._explain(place))

    def _explain(self, place: Place) -> Explain:
        return lambda error: error if isinstance(error, ReelmillError) else self._family.explain(error, place.uri)

    def _place(self, uri: str) -> Place:
        self._family.check(self._credentials)
        bucket, _, key = uri.partition("://")[2].partition("/")
        if not bucket or not key or any(ord(character) < 0x20 for character in uri):
            raise InvalidArgument(f"{uri} does not name an object: expected {self._rule.scheme}://bucket/object")
        real_bucket, key = self._rule.target.locate(bucket, key)
        if len(key.encode()) > _LONGEST_KEY_BYTES or not {".", ".."}.isdisjoint(key.split("/")):
            raise InvalidArgument(f"{uri}: an object's name has at most {_LONGEST_KEY_BYTES} bytes, and no part . or ..")
        self._reserved.check_object(real_bucket, key, uri)
        return Place(uri, real_bucket, key)


@dataclass
class _Delivered:
    """A file of which all but the last part is in its bucket."""

    _place: Place
    _delivery: Delivery
    _do: Callable[..., Any]
    _placed: bool = False

    @property
    def mark(self) -> str:
        """As `Staged.mark`."""
        return self._delivery.mark

    async def place(self, check: Check = always) -> None:
        """As `Staged.place`."""
        self._placed = True  # even if the answer should be lost
        await self._do(self._place, self._delivery.place, check)

    async def undo(self, placed: bool = True) -> None:
        """As `Staged.undo`."""
        remove = self._placed and placed
        for step in (self._delivery.remove, self._delivery.abort) if remove else (self._delivery.abort,):
            try:
                await self._do(self._place, step)
            except Exception as error:
                _log.warning("an unfinished upload is left", uri=self._place.uri, reason=str(error))


@dataclass(frozen=True)
class _Reader:
    """An object in a bucket."""

    uri: str
    size_bytes: int
    modified_us: int
    _place: Place
    _version: str
    _ask: Callable[..., Any]
    local_path: str | None = None

    async def read(self, offset: int, length: int) -> bytes:
        """As `ObjectReader.read`."""
        length = min(length, self.size_bytes - offset)
        if length <= 0:
            return b""
        data: bytes = await self._ask(self._place, lambda service: service.read(self._place, self._version, offset, length))
        return data

    async def close(self) -> None:
        """Nothing is held."""


def read_part(path: Path, offset: int, length: int) -> bytes:
    """A part of a local file that is sent. Raises OutputError."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            part = file.read(length)
    except OSError as error:
        raise OutputError(f"{path.name} cannot be read: {error.strerror}") from None
    if len(part) != length:
        raise OutputError(f"{path.name} became shorter while it was sent")
    return part
