"""Storage of `http://` and `https://`: read-only sources on allowed hosts."""

import asyncio
import os
import re
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import IO, Self
from urllib.parse import urljoin

import aiohttp

from reelmill_server.errors import (
    AccessDenied,
    InvalidArgument,
    MediaLimitExceeded,
    ReelmillError,
    ServiceUnavailable,
    SourceChanged,
    StorageUnavailable,
)
from reelmill_server.model.publication import PendingFile
from reelmill_server.model.request import Credentials
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.net_guard import NetGuard, Refusal, UrlRules, private_address
from reelmill_server.storage.base import LEAST_RATE, PATIENCE_SECONDS, ObjectReader, StagedFile, Upload, redacted
from reelmill_server.storage.retry import RetryPolicy, error_of_status
from reelmill_server.uris import Resource

_MAX_REDIRECTS = 5
_REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
_CONNECTIONS = 8
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=30.0)
_BLOCK_BYTES = 1024**2
_HEADERS = {"Accept-Encoding": "identity"}


@dataclass(frozen=True)
class HttpRules:
    """Rules for readable sources: hosts (`*.example.com`: all subdomains; `*`: any), private addresses, maximum bytes.

    `spool` is the folder for sources whose server does not support ranges.
    """

    hosts: Sequence[str]
    private: bool = False
    max_bytes: int = 50 * 1024**3
    spool: Path = Path(tempfile.gettempdir())


class HttpStorage:
    """Sources on web servers."""

    def __init__(self, rules: HttpRules, retry_policy: RetryPolicy) -> None:
        self._rules, self._retry_policy = rules, retry_policy
        self._guard = NetGuard(allow_private=rules.private)

    def acting_as(self, credentials: Credentials) -> Self:
        return self  # web servers have no roles

    def check_readable(self, uri: str) -> None:
        check_url(uri, self._rules)

    def places(self, uri: str) -> frozenset[Hashable]:
        return frozenset({Resource.of(uri)})

    def check_writable(self, uri: str) -> None:
        raise InvalidArgument(f"{redacted(uri)} cannot be written: web servers are read-only")

    async def stage(self, upload: Upload, owner: str) -> StagedFile:
        raise InvalidArgument(f"{redacted(upload.uri)} cannot be written: web servers are read-only")

    async def withdraw(self, file: PendingFile) -> None:
        raise InvalidArgument(f"{redacted(file.uri)} cannot be withdrawn: web servers are read-only")

    async def list_below(self, folder_uri: str) -> list[tuple[str, int]]:
        raise InvalidArgument(f"{redacted(folder_uri)} cannot be listed: only single files of web servers can be read")

    async def erase(self, folder_uri: str) -> None:
        raise InvalidArgument(f"{redacted(folder_uri)} cannot be erased: web servers are read-only")

    async def open(self, uri: str) -> ObjectReader:
        # Signed links often allow nothing but GET, so the first byte is requested instead of HEAD.
        self.check_readable(uri)
        session = self._guard.session(_TIMEOUT, limit=_CONNECTIONS, headers=_HEADERS)
        reader = _Reader(uri, self._rules, self._retry_policy, session)
        try:
            await reader.begin()
        except BaseException:
            await reader.close()
            raise
        return reader


_REFUSALS: Mapping[Refusal, Callable[[str], ReelmillError]] = {
    Refusal.MALFORMED: lambda url: InvalidArgument(f"{url!r} is not an http or https URL"),
    Refusal.CREDENTIALS: lambda url: InvalidArgument(
        f"{url}: a URL must not contain credentials, as it is stored with the task"
    ),
    Refusal.HOST: lambda url: AccessDenied(f"{url} is not on a host that this server may read from"),
    Refusal.PRIVATE: lambda url: AccessDenied(f"{url} has a private address"),
}


def check_url(url: str, rules: HttpRules) -> None:
    """Raise InvalidArgument or AccessDenied for a URL that may not be read."""
    refusal = UrlRules(rules.hosts, allow_private=rules.private).refusal(url)
    if refusal is not None:
        raise _REFUSALS[refusal](redacted(url))


@dataclass
class _Reader:
    """A reader of a source. If its server does not support ranges, it is kept in an unnamed file until it is closed."""

    uri: str
    _rules: HttpRules
    _retry_policy: RetryPolicy
    _session: aiohttp.ClientSession
    size_bytes: int = 0
    modified_us: int = 0
    descriptor: int | None = None
    _validators: dict[str, str] = field(default_factory=dict)
    _spooled: IO[bytes] | None = None
    _clock: asyncio.Timeout = field(default_factory=lambda: asyncio.timeout(None))
    _came: int = 0

    async def begin(self) -> None:
        """Request the source's size and version. The answer must begin soon; where it is kept in a file, it must come at the
        least rate.
        """
        try:
            async with asyncio.timeout(PATIENCE_SECONDS) as self._clock:
                await self._retry_policy.call(self._begin, self._explain)
        except TimeoutError:
            raise StorageUnavailable(
                f"{redacted(self.uri)}: the server gave {self._came >> 10} KiB, less than {LEAST_RATE >> 10} KiB a second"
            ) from None

    async def read(self, offset: int, length: int) -> bytes:
        length = min(length, self.size_bytes - offset)
        if length <= 0:
            return b""
        if self._spooled:
            with self._on_disk():
                return await asyncio.to_thread(os.pread, self._spooled.fileno(), length, offset)
        return await self._retry_policy.call(lambda: self._read(offset, length), self._explain)

    async def close(self) -> None:
        await self._session.close()
        if self._spooled:
            self._spooled.close()

    async def _begin(self) -> None:
        async with self._get({"Range": "bytes=0-0"}) as response:
            total = _total(response)
            if response.status == 416 and total == 0:
                return
            if response.status not in (200, 206):
                raise error_of_status(response.status, redacted(self.uri))
            self.modified_us = _modified_us(response)
            if response.status == 206 and total is not None:
                self._check_size(total)
                self.size_bytes, self._validators = total, _validators(response)
            elif response.status == 200:
                await self._spool(response)
            else:
                raise AccessDenied(f"{redacted(self.uri)}: the server does not report its size")

    async def _read(self, offset: int, length: int) -> bytes:
        headers = {"Range": f"bytes={offset}-{offset + length - 1}", **_conditions(self._validators)}
        async with self._get(headers) as response:
            if response.status in (404, 410) or (response.status == 200 and _validators(response) != self._validators):
                raise SourceChanged(f"{redacted(self.uri)} was replaced while being read")
            if response.status != 206:
                raise error_of_status(response.status if response.status >= 400 else 502, redacted(self.uri))
            if _start(response) != offset:
                raise AccessDenied(f"{redacted(self.uri)}: the server returned a different range than requested")
            if _total(response) != self.size_bytes or _validators(response) != self._validators:
                raise SourceChanged(f"{redacted(self.uri)} was replaced while being read")
            try:
                return await response.content.readexactly(length)
            except asyncio.IncompleteReadError as error:
                received = len(error.partial)
            raise StorageUnavailable(f"{redacted(self.uri)}: received {received} bytes instead of {length}")

    async def _spool(self, response: aiohttp.ClientResponse) -> None:
        """Download the whole source, for a server that does not support ranges."""
        self._check_size(response.content_length or 0)
        if self._spooled:
            self._spooled.close()
        with self._on_disk():
            self._rules.spool.mkdir(parents=True, exist_ok=True)
            self._spooled = tempfile.TemporaryFile(buffering=0, dir=self._rules.spool)  # noqa: SIM115 - closed with the reader
        begun = asyncio.get_running_loop().time()
        self._came = 0
        async for block in response.content.iter_chunked(_BLOCK_BYTES):
            self._came += len(block)
            self._check_size(self._came)
            self._clock.reschedule(begun + PATIENCE_SECONDS + self._came / LEAST_RATE)
            with self._on_disk():
                await asyncio.to_thread(_write, self._spooled.fileno(), block)
        self.size_bytes = self._came

    @contextmanager
    def _on_disk(self) -> Iterator[None]:
        """Raise ServiceUnavailable for what fails on the disk where the source is kept: that is no fault of its server."""
        try:
            yield
        except OSError as error:
            raise ServiceUnavailable(f"{redacted(self.uri)} cannot be kept on the worker's disk: {error.strerror}") from error

    def _check_size(self, size: int) -> None:
        if size > self._rules.max_bytes:
            raise MediaLimitExceeded(f"{redacted(self.uri)} is larger than {self._rules.max_bytes} bytes")

    @asynccontextmanager
    async def _get(self, headers: dict[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        """Yield the response after redirects, each of which is checked like the URL itself."""
        url = self.uri
        for _ in range(_MAX_REDIRECTS + 1):
            async with self._session.get(url, headers=headers, allow_redirects=False) as response:
                location = response.headers.get("Location", "") if response.status in _REDIRECT_STATUSES else ""
                if not location:
                    yield response
                    return
            try:
                redirect = urljoin(url, location)
            except ValueError:
                raise AccessDenied(f"{redacted(self.uri)} redirects to what is no URL") from None
            if url[:6].lower() == "https:" and redirect[:6].lower() != "https:":
                raise AccessDenied(f"{redacted(self.uri)} redirects from https to http")
            try:
                check_url(redirect, self._rules)
            except InvalidArgument as error:
                raise AccessDenied(f"{redacted(self.uri)} redirects to a URL that may not be read: {error.message}") from None
            url = redirect
        raise AccessDenied(f"{redacted(self.uri)} redirects more than {_MAX_REDIRECTS} times")

    def _explain(self, error: Exception) -> ReelmillError | None:
        if isinstance(error, ReelmillError):
            return error
        if private := private_address(error):
            return AccessDenied(str(private))
        if isinstance(error, aiohttp.InvalidURL | UnicodeError):
            return InvalidArgument(f"{redacted(self.uri)!r} is not an http or https URL")
        if isinstance(error, aiohttp.ClientError | TimeoutError | OSError):
            return StorageUnavailable(f"{redacted(self.uri)}: the server did not respond ({type(error).__name__})")
        return None


def _write(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:  # a disk that becomes full takes a part, and says so only when it is to take the rest
        rest = rest[os.write(file, rest) :]


def _total(response: aiohttp.ClientResponse) -> int | None:
    match = re.search(r"/(\d{1,18})$", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _start(response: aiohttp.ClientResponse) -> int | None:
    match = re.match(r"bytes (\d{1,18})-", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _modified_us(response: aiohttp.ClientResponse) -> int:
    try:
        return int(parsedate_to_datetime(response.headers["Last-Modified"]).timestamp()) * MICROSECONDS
    except (KeyError, ValueError, OverflowError):
        return time.time_ns() // 1000


def _validators(response: aiohttp.ClientResponse) -> dict[str, str]:
    """Return the headers that identify a version of a source."""
    return {name: response.headers[name] for name in ("ETag", "Last-Modified") if name in response.headers}


def _conditions(validators: dict[str, str]) -> dict[str, str]:
    """Return headers that request that version only; a weak ETag would never match."""
    tag = validators.get("ETag", "W/")
    if not tag.startswith("W/"):
        return {"If-Match": tag}
    return {"If-Unmodified-Since": validators["Last-Modified"]} if "Last-Modified" in validators else {}
