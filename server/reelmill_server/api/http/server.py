"""The listener of the HTTP front: connections, TLS, and graceful shutdown."""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from functools import partial

import structlog
from aiohttp import web

from reelmill_server.api.http.forwarded import Proxies
from reelmill_server.api.http.front import Front
from reelmill_server.api.http.guard import Guard
from reelmill_server.errors import ServiceUnavailable
from reelmill_server.settings.fields import split_address
from reelmill_server.settings.group import both_names

_LINE_BYTES = 128 * 1024  # the vendor's SDKs put whole requests into the query
_FIELD_BYTES = 32 * 1024
_IDLE_SECONDS = 60.0  # also of a connection whose request does not end its head
_HANDSHAKE_SECONDS = 20.0
_GRACE_SECONDS = 10.0  # a call may wait for the database and the engine
_BACKLOG = 1024
_MOST_PATH = 200


_log = structlog.get_logger(__name__)
# Of what is no HTTP, aiohttp would write tracebacks.
_NOWHERE = logging.getLogger("reelmill.http.connections")
_NOWHERE.addHandler(logging.NullHandler())
_NOWHERE.propagate = False


@web.middleware
async def _defects(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
    """Log what goes wrong in a handler, and answer that it did."""
    try:
        return await handler(request)
    except (web.HTTPException, ConnectionError):
        raise
    except Exception:
        _log.exception("request failed", path=request.path[:_MOST_PATH])
        return web.json_response({"code": "internal", "message": "internal error"}, status=500)


class _Closed(asyncio.Protocol):
    """A connection beyond what is served."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close it."""
        transport.close()


class HttpServer:
    """Server of the front, and of what else has routes in `app`, on one address."""

    def __init__(self, front: Front, guard: Guard, max_connections: int, proxies: Proxies | None = None) -> None:
        """Create the server; what connects beyond `max_connections` is closed at once; `proxies`: those that are trusted."""
        self._max_connections = max_connections
        self.app = web.Application(middlewares=(_defects, (proxies or Proxies(())).middleware, guard.middleware))
        self.app.on_response_prepare.append(guard.sign)
        self.app.on_response_prepare.append(self._close_when_draining)
        front.add_routes(self.app.router)
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None
        self._draining = False

    async def start(self, address: str, context: ssl.SSLContext | None = None) -> int:
        """Serve on `address`, with TLS if there is a context, and return the port.

        Raises ServiceUnavailable if the address cannot be bound.
        """
        host, port = split_address(address)
        runner = web.AppRunner(
            self.app,
            access_log=None,
            logger=_NOWHERE,
            handler_cancellation=True,
            shutdown_timeout=_GRACE_SECONDS,
            keepalive_timeout=_IDLE_SECONDS,
            max_line_size=_LINE_BYTES,
            max_field_size=_FIELD_BYTES,
            auto_decompress=False,
        )
        await runner.setup()
        assert runner.server
        seconds = _HANDSHAKE_SECONDS if context is not None else None
        try:
            self._listener = await asyncio.get_running_loop().create_server(
                partial(self._accepted, runner.server), host, port, backlog=_BACKLOG, ssl=context, ssl_handshake_timeout=seconds
            )
        except OSError as error:
            await runner.cleanup()
            raise ServiceUnavailable(f"{both_names('http_api')}: cannot serve HTTP on {address}: {error}") from error
        self._runner = runner
        return int(self._listener.sockets[0].getsockname()[1])

    def drain(self) -> None:
        """Close each connection after its next response, so that new calls go elsewhere; calls are still served."""
        self._draining = True

    async def stop(self) -> None:
        """Stop accepting connections, give running calls some seconds, and stop; do nothing if it has not started."""
        self.drain()
        runner, self._runner = self._runner, None
        if runner is not None and self._listener is not None:
            self._listener.close()
            await runner.cleanup()

    def _accepted(self, server: web.Server) -> asyncio.Protocol:
        """Return the handler of a new connection."""
        return server() if len(server.connections) < self._max_connections else _Closed()

    async def _close_when_draining(self, _: web.Request, response: web.StreamResponse) -> None:
        if self._draining:
            response.force_close()
            response.headers["Connection"] = "close"
