"""Settings of callers, and the addresses on which nobody has to say who they are."""

from collections.abc import Callable
from pathlib import Path

import pytest

from reelmill_server.settings.callers import CallerSettings
from reelmill_server.settings.command_line import parse_command_line
from reelmill_server.settings.fields import is_loopback


@pytest.mark.parametrize("address", ["0.0.0.0:50051", "[::]:0", "192.0.2.1:1", "example.com:1", "[::ffff:10.0.0.1]:1"])
def test_an_address_that_others_reach_needs_authentication(
    address: str, refused: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line says so, and what helps; where the operator insists, it starts."""
    (line,) = refused("serve", "--listen", address)
    for text in (f"--listen: others can reach {address}", "REELMILL_AUTHENTICATION", "127.0.0.1", "REELMILL_INSECURE=yes"):
        assert text in line
    assert parse_command_line(["serve", "--listen", address, "--authentication", "keys"]).settings.authentication == ("keys",)
    monkeypatch.setenv("REELMILL_INSECURE", "yes")
    assert parse_command_line(["serve", "--listen", address]).settings.insecure


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_does_not(host: str) -> None:
    """Nothing is asked there."""
    assert is_loopback(host)
    address = f"[{host}]:1" if ":" in host else f"{host}:1"
    assert parse_command_line(["serve", "--listen", address]).settings.authentication == ()


def test_methods_need_what_they_check_with(refused: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A client CA for certificates, issuer and audience for JWTs, a method for the administrator's token."""
    assert "requires --tls-client-ca" in refused("serve", "--authentication", "mtls")[0]
    assert "--jwt-issuer (REELMILL_JWT_ISSUER) and --jwt-audience" in refused("serve", "--authentication", "jwt")[0]
    assert "expected https" in refused("serve", "--jwt-issuer", "http://example.com")[0]
    monkeypatch.setenv("REELMILL_ADMIN_TOKEN", "short")
    assert "REELMILL_ADMIN_TOKEN: expected at least 24 characters" in refused("serve")[0]
    monkeypatch.setenv("REELMILL_ADMIN_TOKEN", "planted-" * 4)
    assert "requires --authentication" in refused("serve")[0] and "planted" not in refused("serve")[0]


def test_access_keys(refused: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From the variable and from a file; what is wrong is said without what it holds."""
    assert "set one to accept access keys" in refused("serve", "--authentication", "access-keys")[0]
    file = tmp_path / "keys"
    file.write_text("# of the encoders\nplanted-b:planted-secret-0002:planted-token\n\n")
    monkeypatch.setenv("REELMILL_ACCESS_KEYS", "planted-a:planted-secret-0001")
    assert "requires --authentication" in refused("serve")[0]
    arguments = ["serve", "--authentication", "access-keys", "--access-key-file", str(file)]
    keys = parse_command_line(arguments).settings.access_key_pairs()
    assert [(key.key_id, key.secret, key.token) for key in keys.values()] == [
        ("planted-a", "planted-secret-0001", ""),
        ("planted-b", "planted-secret-0002", "planted-token"),
    ]
    for wrong in (
        "planted",
        "planted:short",
        ":planted-secret-0001",
        "planted-a:planted-secret-0001,planted-a:planted-secret-0002",
    ):
        file.write_text(wrong)
        monkeypatch.setenv("REELMILL_ACCESS_KEYS", wrong)
        for line in (refused("serve", "--authentication", "access-keys")[0], refused(*arguments)[0]):
            assert "expected" in line and "planted" not in line
    monkeypatch.delenv("REELMILL_ACCESS_KEYS")
    file.unlink()
    assert "--access-key-file (REELMILL_ACCESS_KEY_FILE): No such file" in refused(*arguments)[0]


def test_grants_of_subjects_are_a_list(refused: Callable[..., list[str]]) -> None:
    """Several subjects, several grants of one; a mistake says what was expected."""
    given = CallerSettings(grant="mtls:a=viewer@x submitter@y; jwt:b@c=admin@*;mtls:a=viewer@z").grants()
    assert {name: [grant.text for grant in grants] for name, grants in given.items()} == {
        "mtls:a": ["viewer@x", "submitter@y", "viewer@z"],
        "jwt:b@c": ["admin@*"],
    }
    for wrong in ("a=viewer@x", "mtls:a", "mtls:a=owner@x", "mtls:a=viewer@x nobody"):
        assert "--grant: value 1: expected" in refused("serve", "--grant", wrong)[0]
