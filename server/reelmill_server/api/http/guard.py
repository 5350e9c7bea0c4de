"""Which requests are looked at: by the host that they name, and the web page that makes them."""

from collections.abc import Awaitable, Callable, Collection
from urllib.parse import urlsplit

from aiohttp import web

from reelmill_server.api.http.forwarded import as_made
from reelmill_server.settings.fields import is_loopback

_METHODS = "GET, POST"
_HEADERS = (
    "Accept, Authorization, Content-Encoding, Content-Type, Connect-Accept-Encoding, Connect-Content-Encoding,"
    " Connect-Protocol-Version, Connect-Timeout-Ms, Grpc-Accept-Encoding, Grpc-Encoding, Grpc-Timeout, Traceparent, Tracestate,"
    " X-Grpc-Web, X-User-Agent"
)
_EXPOSED = (
    "Connect-Content-Encoding, Content-Encoding, Grpc-Encoding, Grpc-Message, Grpc-Status, Grpc-Status-Details-Bin, Retry-After"
)
_PREFLIGHT_SECONDS = 7200
_FOREIGN = ("cross-site", "same-site")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Guard:
    """Refuses requests for hosts that are not ours, and those of web pages of other origins than the allowed ones.

    A page of any site can make its own name lead to 127.0.0.1 (DNS rebinding): on loopback, only names of loopback count.
    """

    def __init__(self, host: str, hosts: Collection[str], origins: Collection[str]) -> None:
        """Take the address that is served, its names (none: any, unless it is one of loopback), and the allowed origins."""
        self._loopback_only = is_loopback(host) and not hosts
        self._hosts = {name.lower() for name in hosts}
        self._origins = {origin.lower().rstrip("/") for origin in origins}

    def problem(self, request: web.Request) -> str:
        """Return why a request is refused; "" if it is not."""
        host = request.headers.get("Host", "")
        if not self._is_ours(host):
            return "this host is not served here: name it in REELMILL_HTTP_API_HOST"
        origin = request.headers.get("Origin", "")
        if not origin and request.headers.get("Sec-Fetch-Site") in _FOREIGN and not _is_visit(request):
            return "pages of other sites may not embed what is here"
        if origin and not self._is_allowed(origin, request.scheme, host):
            return "pages of this origin may not call: name it in REELMILL_HTTP_API_ORIGIN"
        return ""

    def _is_ours(self, host: str) -> bool:
        if not self._loopback_only and not self._hosts:
            return True
        name = _name_of(host)
        return is_loopback(name) or name in self._hosts

    def _is_allowed(self, origin: str, scheme: str, host: str) -> bool:
        origin = origin.lower()
        return origin in self._origins or origin == f"{scheme}://{host.lower()}" or "*" in self._origins

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse a request, or answer the question of a browser whether it may make one, or handle it."""
        problem = self.problem(request)
        if problem:
            return web.json_response({"code": "permission_denied", "message": problem}, status=403)
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            return web.Response(status=204, headers=_preflight())
        return await handler(request)

    async def sign(self, request: web.Request, response: web.StreamResponse) -> None:
        """Let a page of an allowed origin read the response."""
        origin = request.headers.get("Origin")
        if origin and not self.problem(as_made(request)):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED
            response.headers["Vary"] = "Origin, Accept-Encoding"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Server"] = "reelmill"


def _is_visit(request: web.Request) -> bool:
    """Return whether somebody follows a link, as opposed to a page that loads pictures, scripts and frames."""
    return request.method == "GET" and request.headers.get("Sec-Fetch-Dest") == "document"


def is_browser(request: web.Request) -> bool:
    """Return whether a browser makes a request: a link or a form of any page may be behind one without an origin."""
    return "Sec-Fetch-Site" in request.headers or "Mozilla/" in request.headers.get("User-Agent", "")


def _preflight() -> dict[str, str]:
    return {
        "Access-Control-Allow-Methods": _METHODS,
        "Access-Control-Allow-Headers": _HEADERS,
        "Access-Control-Max-Age": str(_PREFLIGHT_SECONDS),
    }


def _name_of(host: str) -> str:
    """Return the name in a Host header, without its port, in lower case; "" for what is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
