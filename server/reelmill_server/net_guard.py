"""One guard against requests to where nobody should go: URLs that callers name, and the addresses that their hosts lead to.

A name may lead elsewhere each time that it is looked up. So a URL is checked as far as it tells by itself, and its addresses
where connections are made: sockets are opened for checked addresses only.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import partial
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

# They stand for IPv4 addresses (NAT64, 6to4, Teredo) and could lead into a private network.
_EMBEDDING = tuple(ipaddress.ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"))
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")
_RESOLVER_THREADS = 8


def is_public(host: str) -> bool | None:
    """Return whether a literal address can be reached from anywhere; one that stands for another counts as that one.

    None: it is no address, though systems read more than addresses into a number (127.1, 2130706433).
    """
    try:
        ip = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            ip = ip.ipv4_mapped
        elif any(ip in network for network in _EMBEDDING):
            return False
    return ip.is_global and not ip.is_multicast


class Refusal(StrEnum):
    """What is wrong with a URL."""

    MALFORMED = "malformed"
    CREDENTIALS = "credentials"
    HOST = "host"
    PRIVATE = "private"


@dataclass(frozen=True)
class UrlRules:
    """Which URLs callers may name: of these `schemes`, and at `hosts` (`*.example.com`: all below it; `*`: any)."""

    hosts: Sequence[str] = ("*",)
    schemes: Sequence[str] = ("http", "https")
    allow_private: bool = False

    def refusal(self, url: str) -> Refusal | None:
        """Return why `url` may not be called, as far as it tells by itself; None: it may."""
        try:
            parts = urlsplit(url)
            host, _ = (parts.hostname or "").rstrip("."), parts.port
            # What the client connects to: to it, digits and dots of all scripts are digits and dots.
            called = (URL(url).raw_host or "").rstrip(".")
        except ValueError:
            return Refusal.MALFORMED
        # 127.1 and 0x7f000001 are addresses to some.
        odd = is_public(called) is None and _NUMBER.fullmatch(called.rpartition(".")[2])
        if not host or not called or odd or parts.scheme not in self.schemes or any(character <= " " for character in url):
            return Refusal.MALFORMED
        if parts.username is not None or parts.password is not None:
            return Refusal.CREDENTIALS
        if not any(fnmatchcase(host, pattern.lower()) for pattern in self.hosts):
            return Refusal.HOST
        return Refusal.PRIVATE if not self.allow_private and _is_private(called) else None


def _is_private(host: str) -> bool:
    return is_public(host) is False or host == "localhost" or host.endswith(".localhost")


class PrivateAddress(OSError):
    """A host leads to an address that is not public."""


def private_address(error: BaseException) -> PrivateAddress | None:
    """Return what kept a client of `NetGuard` from connecting, where that is the guard."""
    cause = getattr(error, "os_error", error)
    return cause if isinstance(cause, PrivateAddress) else None


class _Resolver(AbstractResolver):
    """Asks name servers in threads of its own: those that hang must not take the threads of others."""

    def __init__(self, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._threads = ThreadPoolExecutor(_RESOLVER_THREADS, "resolve")

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        """Look up the addresses of a name. Raises PrivateAddress when one of them is."""
        ask = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        if not self._allow_private and not all(is_public(str(address[0])) for *_, address in found):
            raise PrivateAddress(f"the host {host} is at a private address")
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Let the threads end when they can."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _public_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Open a socket for an address that was looked up, or written as one. Raises PrivateAddress."""
    family, kind, protocol, _, where = address
    if not is_public(str(where[0])):
        raise PrivateAddress(f"{where[0]} is a private address")
    return socket.socket(family, kind, protocol)


class NetGuard:
    """HTTP clients that connect to public addresses only, unless `allow_private`: of endpoints that the operator named, and in
    tests."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._resolver = _Resolver(allow_private)

    def session(
        self, timeout: aiohttp.ClientTimeout, *, limit: int = 0, headers: Mapping[str, str] | None = None
    ) -> aiohttp.ClientSession:
        """Open a client with at most `limit` connections (0: any number); whoever follows redirects checks each URL."""
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=self._resolver,
                socket_factory=None if self._allow_private else _public_socket,
                limit=limit,
                use_dns_cache=False,
            ),
            timeout=timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,  # a proxy would resolve names itself
            auto_decompress=False,
            headers={"User-Agent": "reelmill", **(headers or {})},
        )

    async def close(self) -> None:
        """Stop looking names up."""
        await self._resolver.close()
