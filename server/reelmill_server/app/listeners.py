"""Where callers reach the api role: gRPC, and HTTP if it is set."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from reelmill_server import descriptors
from reelmill_server.api.authentication import Authenticator
from reelmill_server.api.certificates import http_context, server_credentials
from reelmill_server.api.console.console import Console
from reelmill_server.api.failed_attempts import FailedAttempts
from reelmill_server.api.gate import Gate
from reelmill_server.api.http.forwarded import Proxies
from reelmill_server.api.http.front import Front
from reelmill_server.api.http.guard import Guard
from reelmill_server.api.http.server import HttpServer
from reelmill_server.api.interceptor import CallInterceptor
from reelmill_server.api.rate_limit import RateLimit
from reelmill_server.api.server import GrpcServer
from reelmill_server.api.services import Services
from reelmill_server.settings import Settings
from reelmill_server.settings.fields import is_loopback, split_address
from reelmill_server.tasks.keys import KeyStore
from reelmill_server.tasks.nonces import NonceStore
from reelmill_server.telemetry.metrics import Metrics

_CALL_GRACE_SECONDS = 10.0  # a call may wait for the database and the engine
_log = structlog.get_logger(__name__)


class Listeners:
    """The servers of gRPC and HTTP; both call the same services through the same interceptor."""

    def __init__(self, settings: Settings, services: Services, interceptor: CallInterceptor) -> None:
        """Make them; nothing listens yet."""
        self._settings = settings
        # Descriptors that connections leave are for tasks.
        self._grpc = GrpcServer(services, interceptor, min(settings.max_connections, descriptors.limit() // 2))
        self._front = Front(services, interceptor)
        self._http = self._http_server() if settings.http_api else None

    def _http_server(self) -> HttpServer:
        settings = self._settings
        guard = Guard(split_address(settings.http_api)[0], settings.http_api_host, settings.http_api_origin)
        connections = min(settings.max_connections, descriptors.limit() // 4)
        return HttpServer(self._front, guard, connections, Proxies(settings.http_api_proxy))

    def add_console(self, console: Callable[[Front], Console]) -> None:
        """Have the HTTP server, if there is one, show pages for people, too."""
        if self._http is not None:
            console(self._front).add_routes(self._front, self._http.app.router)

    @asynccontextmanager
    async def running(self, end_watches: Callable[[], None], grace_seconds: float) -> AsyncIterator[dict[str, str]]:
        """Serve for the duration of the block and yield the addresses by what they serve.

        Watches would last forever, while calls in progress are to be answered: `end_watches` is called `grace_seconds` after no
        new calls are taken.
        """
        settings = self._settings
        credentials = server_credentials(settings)
        if settings.authentication and credentials is None and self._reached_by_others():
            _log.warning(
                "tokens of callers travel in the clear unless something else encrypts: set tls_certificate and tls_key"
            )
        addresses = {}
        async with AsyncExitStack() as stack:
            if self._http is not None:
                port = await self._http.start(settings.http_api, http_context(settings))
                stack.push_async_callback(self._http.stop)
                addresses["API"] = f"http{'' if credentials is None else 's'}://{_with_port(settings.http_api, port)}"
            # Last: whoever sees its port open may call by HTTP, too.
            port = await self._grpc.start(settings.listen, credentials)
            stack.push_async_callback(self._stop, end_watches, grace_seconds)
            yield {"gRPC": _with_port(settings.listen, port), **addresses}

    async def _stop(self, end_watches: Callable[[], None], grace_seconds: float) -> None:
        servers = [self._grpc.stop(_CALL_GRACE_SECONDS), *([self._http.stop()] if self._http is not None else [])]
        stopping = asyncio.gather(*servers)
        await asyncio.wait((stopping,), timeout=grace_seconds)
        end_watches()
        await stopping

    def _reached_by_others(self) -> bool:
        addresses = (self._settings.listen, self._settings.http_api)
        return any(address and not is_loopback(split_address(address)[0]) for address in addresses)

    async def drain(self) -> None:
        """Make load balancers send new calls elsewhere."""
        await self._grpc.drain()
        if self._http is not None:
            self._http.drain()


def gate(settings: Settings, keys: KeyStore, nonces: NonceStore, metrics: Metrics) -> Gate:
    """Return what lets callers in: all of them if no way to show who they are is set."""
    if not settings.authentication:
        return Gate()
    limit = RateLimit(settings.caller_rate, settings.caller_burst)
    failed = FailedAttempts(lambda outcome: metrics.authentication_failure_total.labels(outcome).inc())
    return Gate(Authenticator(settings, keys, nonces.use).authenticate, limit, failed)


def _with_port(address: str, port: int) -> str:
    return f"{address.rpartition(':')[0]}:{port}"
