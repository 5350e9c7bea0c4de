"""A whole service with TLS on both sides: certificates say who calls, and a renewed one needs no restart."""

import ssl
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

import pytest

from reelmill_client import Client, NotFound, PermissionDenied, Unavailable
from tests import servers
from tests.certificates import Authority


@pytest.mark.slow
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

        def status(name: str, root: bytes, method: str, authority: Authority = clients) -> int:
            """The status of a call by HTTP with this certificate."""
            key, certificate = authority.issue(name)
            (tmp_path / "me.pem").write_bytes(key + certificate)
            context = ssl.create_default_context(cadata=root.decode())
            context.load_cert_chain(tmp_path / "me.pem")
            url = f"{server.api.replace('127.0.0.1', 'localhost')}/reelmill.v1.ProjectService/{method}"
            request = urllib.request.Request(url, b'{"ProjectName": "private"}')
            try:
                with urllib.request.urlopen(request, timeout=10, context=context) as response:
                    return response.status
            except HTTPError as error:
                return error.code

        with client("encoder-1", ours.root) as encoder, client("boss", ours.root) as boss:
            assert not list(encoder.list())
            with pytest.raises(PermissionDenied):
                encoder.projects.delete("default")
            boss.projects.create("private")
            with pytest.raises(NotFound):
                encoder.projects.get("private")
            assert status("boss", ours.root, "GetProject") == 200
            assert (status("encoder-1", ours.root, "GetProject"), status("encoder-1", ours.root, "ListProjects")) == (404, 400)
            renew(others)
            assert boss.projects.get("private").project_name == "private", "open connections stay"
        with client("boss", others.root) as boss:
            assert [project.project_name for project in boss.projects.list()] == ["default", "private"]
        with client("boss", others.root, others) as stranger, pytest.raises(Unavailable):
            stranger.projects.delete("private")  # a call that is not tried again
        assert status("boss", others.root, "GetProject") == 200
        for root, authority in ((ours.root, clients), (others.root, others)):
            with pytest.raises(OSError):
                status("boss", root, "DeleteProject", authority)
        assert server.events("the certificate was read again")
