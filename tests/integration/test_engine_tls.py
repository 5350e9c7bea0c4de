"""An engine that is reached over TLS, and asks who it is that comes."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reelmill_server.app.connection import connect_engine
from reelmill_server.errors import ServiceUnavailable
from reelmill_server.settings import Settings
from tests.certificates import Authority

OURS, OTHERS = Authority(), Authority()


class Front:
    """Speaks TLS to whoever has a certificate of our authority, and hands on what it hears to the engine."""

    def __init__(self, folder: Path, engine: str) -> None:
        self._host, _, self._port = engine.rpartition(":")
        for name, content in zip(("server.key", "server.crt"), OURS.issue(), strict=True):
            (folder / name).write_bytes(content)
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=OURS.root.decode())
        self._context.load_cert_chain(folder / "server.crt", folder / "server.key")
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._context.set_alpn_protocols(["h2"])

    async def serve(self) -> asyncio.Server:
        """Serves on a free port."""
        return await asyncio.start_server(self._pass, "127.0.0.1", ssl=self._context)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._host, int(self._port))
        await asyncio.gather(_pump(reader, back), _pump(there, writer), return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while heard := await reader.read(65536):
        writer.write(heard)
        await writer.drain()
    writer.close()


@pytest.fixture
async def address(tmp_path: Path, engine_address: str) -> AsyncIterator[str]:
    """Where the engine is reached."""
    server = await Front(tmp_path, engine_address).serve()
    try:
        yield f"localhost:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def settings(folder: Path, root: bytes, shown: Authority | None) -> Settings:
    """TLS with `root`, and with a certificate that `shown` has signed."""
    files = {"temporal_tls_roots": root}
    if shown:
        files["temporal_tls_key"], files["temporal_tls_certificate"] = shown.issue("a worker")
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return Settings(temporal_tls=True, temporal_namespace="default", **{name: folder / name for name in files})  # type: ignore[arg-type]


async def test_tls_with_certificates_on_both_sides(tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours is let in; without one, with another authority's, or where the engine's own is not trusted, nobody gets in."""
    client = await connect_engine(settings(tmp_path, OURS.root, OURS), address)
    assert client.namespace == "default"
    monkeypatch.setattr("reelmill_server.app.connection._CONNECT_SECONDS", 0.0)
    for root, shown in ((OURS.root, None), (OURS.root, OTHERS), (OTHERS.root, OURS)):
        with pytest.raises(ServiceUnavailable, match="cannot be reached"):
            await connect_engine(settings(tmp_path, root, shown), address)
