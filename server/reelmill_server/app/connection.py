"""Connection to the engine: the configured one, or an embedded one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio.client import Client
from temporalio.service import TLSConfig

from reelmill_server.app.background import background
from reelmill_server.engine.connection import connect
from reelmill_server.engine.embedded import EmbeddedEngine
from reelmill_server.settings import Settings
from reelmill_server.settings.engine import EngineSettings
from reelmill_server.telemetry.metrics import Metrics

_CONNECT_SECONDS = 30.0  # a role may start shortly before the engine
_ENGINE_CHECK_SECONDS = 1.0


@asynccontextmanager
async def engine_address(settings: Settings, metrics: Metrics) -> AsyncIterator[str]:
    """Yield the address of the engine: the configured one, or that of an embedded server for the duration of the block."""
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


async def connect_engine(settings: EngineSettings, address: str) -> Client:
    """Return a client of the engine at `address`, with TLS if configured. Raises ServiceUnavailable if it does not respond."""
    tls: TLSConfig | None = None
    if settings.temporal_tls:
        files = (settings.temporal_tls_roots, settings.temporal_tls_certificate, settings.temporal_tls_key)
        roots, certificate, key = (file.read_bytes() if file else None for file in files)
        tls = TLSConfig(server_root_ca_cert=roots, client_cert=certificate, client_private_key=key)
    return await connect(
        address, settings.temporal_namespace, settings.temporal_api_key.get_secret_value(), tls, _CONNECT_SECONDS
    )


async def check_engine(client: Client) -> None:
    """Raise ConnectionError, or an error of the client, if the engine is not serving."""
    if not await client.service_client.check_health(timeout=timedelta(seconds=2)):
        raise ConnectionError("the engine is not serving")
