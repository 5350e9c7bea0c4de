"""HTTP to endpoints that callers name: nothing private is reached, redirects are not followed, answers are not read.

An answer that a caller could see would make this service a window into its network: only the status leaves this module, and
of services that the operator named (`peek`) a little of the answer.
"""

import asyncio
import ipaddress
import socket
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from reelmill_server.model.notification import Failure
from reelmill_server.notify.base import DeliveryFailed

_PEEK_BYTES = 4096
_MOST_PER_HOST = 8  # deliveries at once: a dead host must leave room for the others
_BUSY_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 3600.0
_GONE = 410
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class PrivateAddress(OSError):
    """A host that has no public address."""


def is_public(address: str) -> bool:
    """Whether an IP address lies in the public internet; one inside another (IPv4 in IPv6) counts, too."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast


class _PublicResolver(AbstractResolver):
    """Resolves names to public addresses only: what was checked is what is connected to."""

    def __init__(self) -> None:
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        public = [entry for entry in found if is_public(entry["host"])]
        if not public:
            raise PrivateAddress(f"{host} has no public address")
        return public

    async def close(self) -> None:
        await self._resolver.close()


class Outbound:
    """Posts to endpoints. `allow_private` is for endpoints that the operator named, and for tests."""

    def __init__(self, timeout_seconds: float, *, allow_private: bool) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._allow_private = allow_private
        self._session: aiohttp.ClientSession | None = None
        self._in_flight: Counter[str] = Counter()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, peek: bool = False) -> str:
        """Posts once, and gives the beginning of the answer with `peek`. Raises DeliveryFailed unless the answer is 2xx."""
        target = URL(url)
        host = target.host or ""
        if not self._allow_private and _is_private_literal(host):
            raise DeliveryFailed(Failure(f"{host} is not a public address", retryable=False))
        with self._place(f"{host}:{target.port}"):
            try:
                return await self._post(target, body, headers, peek)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise DeliveryFailed(_failure_of(error)) from None

    async def _post(self, target: URL, body: bytes, headers: Mapping[str, str], peek: bool) -> str:
        async with self._open().post(target, data=body, headers=headers, allow_redirects=False) as answer:
            text = (await answer.content.read(_PEEK_BYTES)).decode(errors="replace") if peek else ""
            if not 200 <= answer.status < 300:
                raise DeliveryFailed(_refusal(answer, text))
            return text

    @contextmanager
    def _place(self, host: str) -> Iterator[None]:
        """One of the places that a host has; without one the attempt is put off and does not count."""
        if self._in_flight[host] >= _MOST_PER_HOST:
            raise DeliveryFailed(Failure(f"{host} is busy with others", pause_seconds=_BUSY_SECONDS, counts=False))
        self._in_flight[host] += 1
        try:
            yield
        finally:
            self._in_flight[host] -= 1
            if not self._in_flight[host]:
                del self._in_flight[host]

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            resolver = None if self._allow_private else _PublicResolver()
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=resolver, limit=0, use_dns_cache=False),
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,  # a proxy would resolve names itself
                auto_decompress=False,
                headers={"User-Agent": "reelmill"},
            )
        return self._session

    async def close(self) -> None:
        """Closes all connections."""
        if self._session is not None:
            await self._session.close()


def _is_private_literal(host: str) -> bool:
    """Whether a host is an address, which no resolver sees, and not a public one."""
    try:
        return not is_public(host)
    except ValueError:
        return False


def _refusal(answer: aiohttp.ClientResponse, text: str) -> Failure:
    if 300 <= answer.status < 400:
        return Failure(f"answered {answer.status}: redirects are not followed")
    pause = 0.0
    if answer.status in (429, 503) and answer.headers.get("Retry-After", "").isdigit():
        pause = min(float(answer.headers["Retry-After"]), _LONGEST_PAUSE_SECONDS)
    return Failure(f"answered {answer.status}{text and f': {text}'}", retryable=answer.status != _GONE, pause_seconds=pause)


def _failure_of(error: BaseException) -> Failure:
    """Why nothing was answered, in words of our own: those of libraries hold addresses and parts of requests."""
    cause: Any = error
    while cause is not None:
        if isinstance(cause, PrivateAddress):
            return Failure(str(cause), retryable=False)
        cause = getattr(cause, "os_error", None) or cause.__cause__
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return Failure("did not answer in time")
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return Failure("TLS failed: its certificate is not trusted")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Failure("its name is not found")
    if isinstance(error, aiohttp.ClientConnectorError):
        return Failure("does not take connections")
    return Failure(f"broke the connection off ({type(error).__name__})")
