"""Believe what a trusted proxy says of the requests that it passes on: how, to whom and from whom they came."""

import ipaddress
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from aiohttp import hdrs, web

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_SCHEMES = ("http", "https")
_AS_MADE = web.RequestKey("as_made", web.Request)


class Proxies:
    """Reads `X-Forwarded-Proto`, `-Host` and `-For` of requests that come from trusted networks, and from no others.

    Of a header with several values, the last one counts, which the nearest proxy has added; of `-For`, the last one that is no
    trusted proxy itself.
    """

    def __init__(self, trusted: Collection[Network]) -> None:
        self._trusted = tuple(trusted)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Handle a request as the client of the proxy has made it."""
        if not self._is_trusted(_peer(request)):
            return await handler(request)
        changes = self._changes(request)
        passed_on = request.clone(**changes) if changes else request
        request[_AS_MADE] = passed_on
        return await handler(passed_on)

    def _changes(self, request: web.Request) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        scheme, host = (_values(request, f"X-Forwarded-{name}")[-1:] for name in ("Proto", "Host"))
        if scheme and scheme[0].lower() in _SCHEMES:
            changes["scheme"] = scheme[0].lower()
        if host:
            headers = request.headers.copy()
            headers[hdrs.HOST] = host[0]
            changes |= {"host": host[0], "headers": headers}
        client = next((value for value in reversed(_values(request, "X-Forwarded-For")) if not self._is_trusted(value)), "")
        if _address(client):
            changes["remote"] = str(_address(client))
        return changes

    def _is_trusted(self, text: str | None) -> bool:
        address = _address(text)
        return address is not None and any(address in network for network in self._trusted)


def as_made(request: web.Request) -> web.Request:
    """Return a request as its client has made it, where a trusted proxy has passed it on."""
    original: web.Request = request.get(_AS_MADE, request)
    return original


def _peer(request: web.Request) -> str | None:
    name = request.get_extra_info("peername")
    return name[0] if isinstance(name, tuple) else None


def _values(request: web.Request, name: str) -> list[str]:
    joined = ",".join(request.headers.getall(name, ()))
    return [value.strip() for value in joined.split(",") if value.strip()]


def _address(text: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return an address, an IPv4 one also where it is written as one of IPv6; None for what is none."""
    try:
        address = ipaddress.ip_address((text or "").partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
