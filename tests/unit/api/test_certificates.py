"""TLS of the gRPC server: whose certificate it shows, whose it asks for, and what happens when the files change."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from reelmill_client.channel import Connection
from reelmill_server.api.certificates import server_credentials
from reelmill_server.errors import ServiceUnavailable
from reelmill_server.settings.api import ApiSettings
from tests.certificates import Authority

OURS, OTHERS = Authority(), Authority()
METHOD = "/test.Service/Get"


async def _answer(_: bytes, context: Any) -> bytes:
    return b",".join(context.auth_context().get("x509_common_name", ()))


def write(folder: Path, authority: Authority) -> None:
    """Write a certificate, as a renewal does: one file after the other, by replacing them."""
    for name, content in zip(("tls.key", "tls.crt"), authority.issue(), strict=True):
        (folder / f"{name}.new").write_bytes(content)
        (folder / f"{name}.new").replace(folder / name)


def settings(folder: Path, *, client_ca: bool = False) -> ApiSettings:
    """Settings with the files of a folder."""
    (folder / "ca.crt").write_bytes(OURS.root)
    return ApiSettings(
        tls_certificate=folder / "tls.crt", tls_key=folder / "tls.key", tls_client_ca=folder / "ca.crt" if client_ca else None
    )


@asynccontextmanager
async def serving(given: ApiSettings) -> AsyncIterator[str]:
    """Serve, and yield the address."""
    server = grpc.aio.server()
    handlers = {"Get": grpc.unary_unary_rpc_method_handler(_answer)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Service", handlers),))
    credentials = server_credentials(given)
    assert credentials is not None
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    yield f"localhost:{port}"
    await server.stop(None)


async def call(address: str, **options: Any) -> bytes | grpc.StatusCode:
    """Call over a new connection; return the name of the client's certificate as the server sees it, or the failure."""
    async with Connection(target=address, **options).open_async() as channel:
        try:
            return await channel.unary_unary(METHOD)(b"", timeout=5)
        except grpc.aio.AioRpcError as error:
            return error.code()


async def test_a_changed_certificate_is_used_without_a_restart(tmp_path: Path) -> None:
    """New connections see the new one; one that does not fit its key leaves the one before in use."""
    write(tmp_path, OURS)
    async with serving(settings(tmp_path)) as address:
        assert await call(address, root_certificates=OURS.root) == b""
        assert await call(address, root_certificates=OTHERS.root) is grpc.StatusCode.UNAVAILABLE
        write(tmp_path, OTHERS)
        assert await call(address, root_certificates=OTHERS.root) == b""
        assert await call(address, root_certificates=OURS.root) is grpc.StatusCode.UNAVAILABLE
        (tmp_path / "tls.crt").write_bytes(OURS.issue()[1])  # half of a renewal
        assert await call(address, root_certificates=OTHERS.root) == b""
        (tmp_path / "tls.crt").unlink()
        assert await call(address, root_certificates=OTHERS.root) == b""
        write(tmp_path, OURS)
        assert await call(address, root_certificates=OURS.root) == b""


async def test_with_a_client_ca_each_client_needs_a_certificate_of_it(tmp_path: Path) -> None:
    """Its name reaches the calls; without one, or with one of another authority, there is no connection."""
    write(tmp_path, OURS)
    async with serving(settings(tmp_path, client_ca=True)) as address:

        async def shown(authority: Authority) -> bytes | grpc.StatusCode:
            key, certificate = authority.issue("encoder-1")
            return await call(address, root_certificates=OURS.root, certificate=certificate, key=key)

        assert await shown(OURS) == b"encoder-1"
        assert await shown(OTHERS) is grpc.StatusCode.UNAVAILABLE
        assert await call(address, root_certificates=OURS.root) is grpc.StatusCode.UNAVAILABLE


async def test_files_that_cannot_be_used_are_said_at_the_start(tmp_path: Path) -> None:
    """A key of another certificate would refuse every client."""
    write(tmp_path, OURS)
    (tmp_path / "tls.key").write_bytes(OURS.issue()[0])
    with pytest.raises(ServiceUnavailable, match=r"REELMILL_TLS_KEY\): the certificate cannot be used: KEY_VALUES_MISMATCH"):
        server_credentials(settings(tmp_path))
    assert server_credentials(ApiSettings()) is None
