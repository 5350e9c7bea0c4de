"""A whole service with TLS on both sides: certificates say who calls, and a renewed one needs no restart."""

from pathlib import Path

import pytest

from reelmill_client import Client, NotFound, PermissionDenied, Unavailable
from tests import servers
from tests.certificates import Authority


def test_certificates_say_who_calls_and_are_renewed(tmp_path: Path) -> None:
    """The names in them have the grants of the settings; a stranger's certificate opens no connection."""
    ours, others, clients = Authority(), Authority(), Authority()

    def renew(authority: Authority) -> None:
        for name, content in zip(("tls.key", "tls.crt"), authority.issue(), strict=True):
            (tmp_path / name).write_bytes(content)

    renew(ours)
    (tmp_path / "clients.crt").write_bytes(clients.root)
    flags = ["--authentication", "mtls", "--worker-slots", "0"]
    flags += ["--grant", "mtls:encoder-1=viewer@default", "--grant", "mtls:boss=admin@*"]
    for flag, name in (("--tls-certificate", "tls.crt"), ("--tls-key", "tls.key"), ("--tls-client-ca", "clients.crt")):
        flags += [flag, str(tmp_path / name)]
    with servers.serve(tmp_path / "service", *flags) as server:
        address = server.grpc.replace("127.0.0.1", "localhost")

        def client(name: str, root: bytes, authority: Authority = clients) -> Client:
            key, certificate = authority.issue(name)
            return Client(address, root_certificates=root, certificate=certificate, key=key, timeout_seconds=10)

        with client("encoder-1", ours.root) as encoder, client("boss", ours.root) as boss:
            assert not list(encoder.list())
            with pytest.raises(PermissionDenied):
                encoder.projects.delete("default")
            boss.projects.create("private")
            with pytest.raises(NotFound):
                encoder.projects.get("private")
            renew(others)
            assert boss.projects.get("private").project_name == "private", "open connections stay"
        with client("boss", others.root) as boss:
            assert [project.project_name for project in boss.projects.list()] == ["default", "private"]
        with client("boss", others.root, others) as stranger, pytest.raises(Unavailable):
            stranger.projects.delete("private")  # a call that is not tried again
        assert server.events("the certificate was read again")
