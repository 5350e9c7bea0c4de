"""The engine: the configured one, or one of our own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio.client import Client
from temporalio.service import TLSConfig

from reelmill_server.app.background import background
from reelmill_server.engine.client import connect
from reelmill_server.engine.embedded import EmbeddedEngine
from reelmill_server.settings import Settings
from reelmill_server.telemetry.metrics import Metrics

_CONNECT_SECONDS = 30.0  # a role may begin a little before the engine does
_ENGINE_CHECK_SECONDS = 1.0


@asynccontextmanager
async def engine_address(settings: Settings, metrics: Metrics) -> AsyncIterator[str]:
    """The address of the engine: the configured one, or that of an embedded server that lives as long as the block."""
    if settings.temporal_address:
        yield settings.temporal_address
        return
    engine = EmbeddedEngine(
        settings.data_dir,
        settings.temporal_binary,
        settings.temporal_namespace,
        settings.retention_hours,
        on_restart=metrics.engine_restart_total.inc,
    )
    try:
        await engine.start()
        async with background("engine", engine.check, _ENGINE_CHECK_SECONDS):
            yield engine.address
    finally:
        await engine.stop()


async def connect_engine(settings: Settings, address: str) -> Client:
    """A client of the engine at `address`, by TLS if the settings say so. Raises ServiceUnavailable when it does not answer."""
    tls: TLSConfig | None = None
    if settings.temporal_tls:
        files = (settings.temporal_tls_roots, settings.temporal_tls_certificate, settings.temporal_tls_key)
        roots, certificate, key = (file.read_bytes() if file else None for file in files)
        tls = TLSConfig(server_root_ca_cert=roots, client_cert=certificate, client_private_key=key)
    return await connect(
        address, settings.temporal_namespace, settings.temporal_api_key.get_secret_value(), tls, _CONNECT_SECONDS
    )


async def engine_answers(client: Client) -> None:
    """Raises ConnectionError, or what the client does, when the engine does not serve."""
    if not await client.service_client.check_health(timeout=timedelta(seconds=2)):
        raise ConnectionError("the engine does not serve")
