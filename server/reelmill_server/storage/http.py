"""`http://` and `https://`: sources on hosts that are allowed, never written."""

import asyncio
import re
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
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
    SourceChanged,
    StorageUnavailable,
)
from reelmill_server.model.publication import PendingFile
from reelmill_server.model.request import Credentials
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.net_guard import NetGuard, Refusal, UrlRules, private_address
from reelmill_server.storage.base import ObjectReader, Staged, Upload, shown
from reelmill_server.storage.retrying import RetryPolicy, refusal

_MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CONNECTIONS = 8
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=30.0)
_BLOCK_BYTES = 1024**2
_HEADERS = {"Accept-Encoding": "identity"}


@dataclass(frozen=True)
class HttpRules:
    """What may be read: hosts (`*.example.com`: all below it; `*`: any), whether at private addresses, and bytes at most.

    `spool` is the folder for what a server gives only as a whole.
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
        """The same: roles are of other storages."""
        return self

    def check_readable(self, uri: str) -> None:
        """As `Backend.check_readable`."""
        check_url(uri, self._rules)

    def check_writable(self, uri: str) -> None:
        """As `Backend.check_writable`."""
        raise InvalidArgument(f"{shown(uri)} cannot be written: web servers are only read")

    async def stage(self, upload: Upload, owner: str) -> Staged:
        """As `Backend.stage`: never."""
        raise InvalidArgument(f"{shown(upload.uri)} cannot be written: web servers are only read")

    async def withdraw(self, file: PendingFile) -> None:
        """As `Backend.withdraw`: never."""
        raise InvalidArgument(f"{shown(file.uri)} cannot be withdrawn: web servers are only read")

    async def list_below(self, folder_uri: str) -> list[tuple[str, int]]:
        """As `Backend.list_below`: never."""
        raise InvalidArgument(f"{shown(folder_uri)} cannot be listed: of web servers only files are read")

    async def erase(self, folder_uri: str) -> None:
        """As `Backend.erase`: never."""
        raise InvalidArgument(f"{shown(folder_uri)} cannot be erased: web servers are only read")

    async def open(self, uri: str) -> ObjectReader:
        """As `Backend.open`: the first byte is asked for, as links that are signed often allow nothing but GET."""
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
        f"{url}: a URL with a user or a password would be kept in the task's record"
    ),
    Refusal.HOST: lambda url: AccessDenied(f"{url} is on none of the hosts that this server may read from"),
    Refusal.PRIVATE: lambda url: AccessDenied(f"{url} is at a private address"),
}


def check_url(url: str, rules: HttpRules) -> None:
    """Raises InvalidArgument or AccessDenied for a URL that is not to be read."""
    refusal = UrlRules(rules.hosts, allow_private=rules.private).refusal(url)
    if refusal is not None:
        raise _REFUSALS[refusal](shown(url))


@dataclass
class _Reader:
    """A source on a web server. One that gives no ranges is kept as a file without a name until it is closed."""

    uri: str
    _rules: HttpRules
    _retry_policy: RetryPolicy
    _session: aiohttp.ClientSession
    size_bytes: int = 0
    modified_us: int = 0
    local_path: str | None = None
    _validators: dict[str, str] = field(default_factory=dict)
    _spooled: IO[bytes] | None = None

    async def begin(self) -> None:
        """Looks at the source."""
        await self._retry_policy.call(self._begin, self._explain)

    async def read(self, offset: int, length: int) -> bytes:
        """As `ObjectReader.read`."""
        length = min(length, self.size_bytes - offset)
        if length <= 0:
            return b""
        if self._spooled:
            self._spooled.seek(offset)
            return self._spooled.read(length)
        return await self._retry_policy.call(lambda: self._read(offset, length), self._explain)

    async def close(self) -> None:
        """As `ObjectReader.close`."""
        await self._session.close()
        if self._spooled:
            self._spooled.close()

    async def _begin(self) -> None:
        async with self._get({"Range": "bytes=0-0"}) as answer:
            total = _total(answer)
            if answer.status == 416 and total == 0:
                return
            if answer.status not in (200, 206):
                raise refusal(answer.status, shown(self.uri))
            self.modified_us = _modified_us(answer)
            if answer.status == 206 and total is not None:
                self._check_size(total)
                self.size_bytes, self._validators = total, _validators(answer)
            elif answer.status == 200:
                await self._spool(answer)
            else:
                raise AccessDenied(f"{shown(self.uri)}: the server does not tell how long it is")

    async def _read(self, offset: int, length: int) -> bytes:
        headers = {"Range": f"bytes={offset}-{offset + length - 1}", **_conditions(self._validators)}
        async with self._get(headers) as answer:
            if answer.status in (404, 410) or (answer.status == 200 and _validators(answer) != self._validators):
                raise SourceChanged(f"{shown(self.uri)} was replaced while it was read")
            if answer.status != 206:
                raise refusal(answer.status if answer.status >= 400 else 502, shown(self.uri))
            if _start(answer) != offset:
                raise AccessDenied(f"{shown(self.uri)}: the server gives other ranges than it is asked for")
            if _total(answer) != self.size_bytes or _validators(answer) != self._validators:
                raise SourceChanged(f"{shown(self.uri)} was replaced while it was read")
            try:
                return await answer.content.readexactly(length)
            except asyncio.IncompleteReadError as error:
                come = len(error.partial)
            raise StorageUnavailable(f"{shown(self.uri)}: {come} bytes came instead of {length}")

    async def _spool(self, answer: aiohttp.ClientResponse) -> None:
        """Takes the whole source, from a server that gives no ranges."""
        self._check_size(answer.content_length or 0)
        if self._spooled:
            self._spooled.close()
        self._rules.spool.mkdir(parents=True, exist_ok=True)
        self._spooled = tempfile.TemporaryFile(dir=self._rules.spool)  # noqa: SIM115 - closed with the reader
        size = 0
        async for block in answer.content.iter_chunked(_BLOCK_BYTES):
            size += len(block)
            self._check_size(size)
            await asyncio.to_thread(self._spooled.write, block)
        self.size_bytes = size

    def _check_size(self, size: int) -> None:
        if size > self._rules.max_bytes:
            raise MediaLimitExceeded(f"{shown(self.uri)} has more than {self._rules.max_bytes} bytes")

    @asynccontextmanager
    async def _get(self, headers: dict[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer, after redirects, each of which is checked like the URL itself."""
        url = self.uri
        for _ in range(_MOST_REDIRECTS + 1):
            async with self._session.get(url, headers=headers, allow_redirects=False) as answer:
                location = answer.headers.get("Location", "") if answer.status in _REDIRECTS else ""
                if not location:
                    yield answer
                    return
            follow = urljoin(url, location)
            if url.startswith("https:") and not follow.startswith("https:"):
                raise AccessDenied(f"{shown(self.uri)} leads from https to http")
            try:
                check_url(follow, self._rules)
            except InvalidArgument as error:
                raise AccessDenied(f"{shown(self.uri)} leads to where nothing is read: {error.message}") from None
            url = follow
        raise AccessDenied(f"{shown(self.uri)} leads on more than {_MOST_REDIRECTS} times")

    def _explain(self, error: Exception) -> ReelmillError | None:
        if isinstance(error, ReelmillError):
            return error
        if private := private_address(error):
            return AccessDenied(str(private))
        if isinstance(error, aiohttp.InvalidURL | UnicodeError):
            return InvalidArgument(f"{shown(self.uri)!r} is not an http or https URL")
        if isinstance(error, aiohttp.ClientError | TimeoutError | OSError):
            return StorageUnavailable(f"{shown(self.uri)}: the server did not answer ({type(error).__name__})")
        return None


def _total(answer: aiohttp.ClientResponse) -> int | None:
    match = re.search(r"/(\d+)$", answer.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _start(answer: aiohttp.ClientResponse) -> int | None:
    match = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _modified_us(answer: aiohttp.ClientResponse) -> int:
    try:
        return int(parsedate_to_datetime(answer.headers["Last-Modified"]).timestamp()) * MICROSECONDS
    except (KeyError, ValueError):
        return time.time_ns() // 1000


def _validators(answer: aiohttp.ClientResponse) -> dict[str, str]:
    """What tells one version of a source from another."""
    return {name: answer.headers[name] for name in ("ETag", "Last-Modified") if name in answer.headers}


def _conditions(validators: dict[str, str]) -> dict[str, str]:
    """Headers that ask for that version only; a weak tag would never match."""
    tag = validators.get("ETag", "W/")
    if not tag.startswith("W/"):
        return {"If-Match": tag}
    return {"If-Unmodified-Since": validators["Last-Modified"]} if "Last-Modified" in validators else {}
