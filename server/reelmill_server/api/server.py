"""The gRPC server: services, health, reflection, TLS, and graceful shutdown."""

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer

from reelmill_server.api.interceptor import CallInterceptor
from reelmill_server.api.reflection import add_reflection
from reelmill_server.api.services import SERVICES, Services
from reelmill_server.errors import ServiceUnavailable
from reelmill_server.settings.group import both_names

_MINUTE_MS = 60_000
_OPTIONS = (
    # Watchers may ping every 10 s, even between messages, to detect a dead connection.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # A connection that says nothing, or too little to be one of HTTP/2, holds a descriptor for no longer than this.
    ("grpc.server_handshake_timeout_ms", 20_000),
    ("grpc.http2.settings_timeout", 20_000),
    # One without calls is closed: clients open another when they need it. One whose peer is gone is noticed.
    ("grpc.max_connection_idle_ms", 5 * _MINUTE_MS),
    ("grpc.keepalive_time_ms", _MINUTE_MS),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.max_concurrent_streams", 2_000),
    # With SO_REUSEPORT, two servers on one port would silently share its calls.
    ("grpc.so_reuseport", 0),
)


class GrpcServer:
    """Server of all services on one address."""

    def __init__(self, services: Services, interceptor: CallInterceptor, max_connections: int) -> None:
        """Create the server; what connects beyond `max_connections` is closed at once."""
        bound = ("grpc.max_allowed_incoming_connections", max_connections)
        self._server = grpc.aio.server(interceptors=(interceptor,), options=(*_OPTIONS, bound))
        services.register(self._server)
        self._health = HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        add_reflection((*SERVICES, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name), self._server)

    async def start(self, address: str, credentials: grpc.ServerCredentials | None = None) -> int:
        """Serve on `address`, with TLS if there are credentials, and return the port.

        Raises ServiceUnavailable if the address cannot be bound.
        """
        try:
            if credentials is not None:
                port = self._server.add_secure_port(address, credentials)
            else:
                port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise ServiceUnavailable(f"{both_names('listen')}: cannot serve gRPC on {address}: {error}") from error
        await self._server.start()
        await self._set_health(health_pb2.HealthCheckResponse.SERVING)
        return port

    async def drain(self) -> None:
        """Report NOT_SERVING, so that load balancers send new calls elsewhere; calls are still served."""
        await self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)

    async def stop(self, grace_seconds: float) -> None:
        """Stop accepting calls, give running ones `grace_seconds`, and stop."""
        await self._server.stop(grace_seconds)

    async def _set_health(self, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
        for service in ("", *SERVICES):
            await self._health.set(service, status)
