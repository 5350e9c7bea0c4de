"""HTTP requests to endpoints that callers choose: none to private addresses, redirects are not followed.

A response visible to callers would give them a view into this server's network: only its status leaves this module, and for
endpoints of the operator (`peek`) the beginning of the body.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

import aiohttp

from reelmill_server.model.notification import Failure
from reelmill_server.net_guard import NetGuard, PrivateAddress
from reelmill_server.notify.base import DeliveryFailed

_PEEK_BYTES = 4096
_MAX_PER_HOST = 8  # concurrent deliveries: a dead host must leave capacity for the others
_BUSY_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 3600.0
_GONE = 410
_SECONDS = re.compile("[0-9]+")  # str.isdigit takes ², which no number is made of


# The first match applies.
_FAILURES: Mapping[type[BaseException], Failure] = {
    PrivateAddress: Failure("address is not public", retryable=False),
    aiohttp.InvalidURL: Failure("URL is invalid", retryable=False),
    TimeoutError: Failure("no response in time"),
    aiohttp.ClientConnectorCertificateError: Failure("TLS failed: certificate is not trusted"),
    aiohttp.ClientSSLError: Failure("TLS failed"),
    aiohttp.ClientConnectorDNSError: Failure("host name not found"),
    aiohttp.ClientConnectorError: Failure("connection refused"),
}


class Outbound:
    """Client that posts to endpoints. `allow_private` is for endpoints of the operator, and for tests."""

    def __init__(self, timeout_seconds: float, *, allow_private: bool) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._guard = NetGuard(allow_private=allow_private)
        self._session: aiohttp.ClientSession | None = None
        self._in_flight: Counter[str] = Counter()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, peek: bool = False) -> None:
        """Post once. Raises DeliveryFailed unless the status is 2xx; `peek` adds the beginning of the body to its message."""
        with self._slot(urlsplit(url).netloc):
            try:
                await self._post(url, body, headers, peek)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise DeliveryFailed(_failure_of(error)) from None

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str], peek: bool) -> None:
        async with self._open().post(url, data=body, headers=headers, allow_redirects=False) as response:
            if not 200 <= response.status < 300:
                text = (await response.content.read(_PEEK_BYTES)).decode(errors="replace") if peek else ""
                raise DeliveryFailed(_refusal(response, text))

    @contextmanager
    def _slot(self, host: str) -> Iterator[None]:
        """Hold one of a host's slots; if none is free, raise DeliveryFailed for an attempt that does not count."""
        if self._in_flight[host] >= _MAX_PER_HOST:
            raise DeliveryFailed(
                Failure(f"too many deliveries to {host} are in progress", pause_seconds=_BUSY_SECONDS, counts=False)
            )
        self._in_flight[host] += 1
        try:
            yield
        finally:
            self._in_flight[host] -= 1
            if not self._in_flight[host]:
                del self._in_flight[host]

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = self._guard.session(self._timeout)
        return self._session

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
        await self._guard.close()


def _refusal(response: aiohttp.ClientResponse, text: str) -> Failure:
    if 300 <= response.status < 400:
        return Failure(f"responded with {response.status}: redirects are not followed")
    pause = 0.0
    if response.status in (429, 503) and _SECONDS.fullmatch(retry_after := response.headers.get("Retry-After", "")):
        pause = min(float(retry_after), _LONGEST_PAUSE_SECONDS)
    return Failure(
        f"responded with {response.status}{text and f': {text}'}",
        retryable=response.status != _GONE,
        pause_seconds=pause,
    )


def _failure_of(error: BaseException) -> Failure:
    """Return why there was no response, in our own words: those of libraries contain addresses and parts of requests."""
    cause = getattr(error, "os_error", error)
    for kind, failure in _FAILURES.items():
        if isinstance(cause, kind) or isinstance(error, kind):
            return failure
    return Failure(f"connection failed ({type(error).__name__})")
