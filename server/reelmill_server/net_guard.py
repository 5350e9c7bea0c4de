"""Guard against requests to forbidden destinations: URLs that callers name, and the addresses of their hosts.

A name may resolve differently at each lookup. So a URL is checked on its own first, and its addresses when a connection is
made: sockets are opened for checked addresses only.
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

# IPv6 addresses of hosts; among the others are old forms of IPv4 addresses (::127.0.0.1) and of local ones.
_UNICAST = ipaddress.ip_network("2000::/3")
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in (
        # IPv4 addresses inside IPv6 ones (6to4, Teredo), which could lead into a private network; its relays.
        *("2002::/16", "2001::/32", "192.88.99.0/24"),
        # Of protocols and documentation, which Python's list has in part.
        *("192.0.0.0/24", "3fff::/20"),
        # What a cloud tells its machines about themselves at a public address.
        "168.63.129.16/32",
    )
)
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")
_RESOLVER_THREADS = 8


def is_public(host: str) -> bool | None:
    """Return whether a literal address is publicly reachable; an IPv4-mapped address counts as the IPv4 address.

    None: it is not an address, although some systems accept other numbers as one (127.1, 2130706433).
    """
    try:
        ip = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            ip = ip.ipv4_mapped
        elif ip not in _UNICAST:
            return False
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _NOT_PUBLIC)


class Refusal(StrEnum):
    """Why a URL is refused."""

    MALFORMED = "malformed"
    CREDENTIALS = "credentials"
    HOST = "host"
    PRIVATE = "private"


@dataclass(frozen=True)
class UrlRules:
    """URLs that callers may name: with these `schemes`, at `hosts` (`*.example.com`: all subdomains; `*`: any)."""

    hosts: Sequence[str] = ("*",)
    schemes: Sequence[str] = ("http", "https")
    allow_private: bool = False

    def refusal(self, url: str) -> Refusal | None:
        """Return why `url` is refused, without resolving its host, or None if it is allowed."""
        try:
            parts = urlsplit(url)
            host, _ = (parts.hostname or "").rstrip("."), parts.port
            # The host that the client connects to; it treats digits and dots of all scripts as ASCII.
            raw_host = (URL(url).raw_host or "").rstrip(".")
        except ValueError:
            return Refusal.MALFORMED
        # Some systems accept 127.1 and 0x7f000001 as addresses.
        odd = is_public(raw_host) is None and _NUMBER.fullmatch(raw_host.rpartition(".")[2])
        if not host or not raw_host or odd or parts.scheme not in self.schemes or any(character <= " " for character in url):
            return Refusal.MALFORMED
        if parts.username is not None or parts.password is not None:
            return Refusal.CREDENTIALS
        if not any(fnmatchcase(host, pattern.lower()) for pattern in self.hosts):
            return Refusal.HOST
        return Refusal.PRIVATE if not self.allow_private and _is_private(raw_host) else None


def _is_private(host: str) -> bool:
    return is_public(host) is False or host == "localhost" or host.endswith(".localhost")


class PrivateAddress(OSError):
    """A host resolves to an address that is not public."""


def private_address(error: BaseException) -> PrivateAddress | None:
    """Return the PrivateAddress that kept a client of `NetGuard` from connecting, if that is the cause of `error`."""
    cause = getattr(error, "os_error", error)
    return cause if isinstance(cause, PrivateAddress) else None


class _Resolver(AbstractResolver):
    """Resolver with its own threads: hanging lookups must not block those of others."""

    def __init__(self, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._threads = ThreadPoolExecutor(_RESOLVER_THREADS, "resolve")

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        """Resolve a name. Raises PrivateAddress if one of its addresses is private."""
        look_up = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG)
        addresses = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        if not self._allow_private and not all(is_public(str(address[0])) for *_, address in addresses):
            raise PrivateAddress(f"the host {host} has a private address")
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in addresses
        ]

    async def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _public_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Open a socket for a resolved or literal address. Raises PrivateAddress."""
    family, kind, protocol, _, endpoint = address
    if not is_public(str(endpoint[0])):
        raise PrivateAddress(f"{endpoint[0]} is a private address")
    return socket.socket(family, kind, protocol)


class NetGuard:
    """Factory of HTTP clients that connect to public addresses only.

    `allow_private` is for endpoints that the operator named, and for tests.
    """

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._resolver = _Resolver(allow_private)

    def session(
        self, timeout: aiohttp.ClientTimeout, *, limit: int = 0, headers: Mapping[str, str] | None = None
    ) -> aiohttp.ClientSession:
        """Open a client with at most `limit` connections (0: unlimited); callers that follow redirects must check each URL."""
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
        """Stop resolving names."""
        await self._resolver.close()
