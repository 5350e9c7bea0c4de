"""Values of settings: defaults, lists, units, ranges, and what needs another one."""

import os
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from reelmill_server.settings import GROUPS, Settings, changed
from reelmill_server.settings.fields import split_address
from reelmill_server.settings.group import environment_name


def test_defaults_run_on_one_machine() -> None:
    """Loopback addresses, a folder here, SQLite in it, and at least one worker slot."""
    settings = Settings()
    assert (settings.listen, settings.http) == ("127.0.0.1:50051", "127.0.0.1:9090")
    assert settings.data_dir == Path.cwd() / ".reelmill"
    assert settings.file_root == (Path.cwd(),)
    assert settings.resolved_database_url() == f"sqlite+aiosqlite:///{Path.cwd()}/.reelmill/reelmill.db"
    assert settings.worker_slots >= 1
    assert settings.encoder_order[-1] == "software"


def test_every_setting_is_described_and_in_one_group() -> None:
    """A field that two groups have would be one setting with two meanings."""
    assert all(info.description for info in Settings.model_fields.values())
    assert sorted(field for group in GROUPS for field in group.model_fields) == sorted(Settings.model_fields)


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists are split, units are understood, an empty text switches off what may be off."""
    values = {
        "file_root": f"/a{os.pathsep}/b,/c",
        "encoder_order": "software,nvenc",
        "encoder_sessions": "nvenc=8,qsv=2",
        "child_memory_bytes": "2GiB",
        "http": "",
        "temporal_tls": "true",
        "temporal_api_key": "hunter2",
    }
    for field, value in values.items():
        monkeypatch.setenv(environment_name(field), value)
    settings = Settings()
    assert settings.file_root == (Path("/a"), Path("/b"), Path("/c"))
    assert settings.encoder_order == ("software", "nvenc")
    assert settings.encoder_sessions == {"nvenc": 8, "qsv": 2}
    assert settings.child_memory_bytes == 2 * 1024**3
    assert settings.http == ""
    monkeypatch.setenv("REELMILL_FILE_ROOT", "")
    assert Settings().file_root == ()


def test_what_differs_from_the_defaults_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """By name; without what was given as it would be anyway, and without secrets."""
    values = {"http": "", "listen": "127.0.0.1:50051", "max_attempts": "5", "temporal_tls": "on", "temporal_api_key": "hunter2"}
    for field, value in values.items():
        monkeypatch.setenv(environment_name(field), value)
    shown = changed(Settings())
    assert shown == {"http": "", "max_attempts": 5, "temporal_tls": True, "temporal_api_key": "**********"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("listen", ""),
        ("listen", "host"),
        ("http", "host:70000"),
        ("data_dir", ""),
        ("database_url", "mysql://u:p@h/x"),
        ("retention_hours", "0"),
        ("retention_hours", "nan"),
        ("worker_slots", "-1"),
        ("child_memory_bytes", "1MiB"),
        ("max_pixels", "0"),
        ("encoder_order", ""),
        ("encoder_order", "nvenc,nvenc"),
        ("encoder_order", "cuda"),
        ("encoder_sessions", "nvenc"),
        ("encoder_sessions", "nvenc=0"),
        ("encoder_sessions", "cuda=1"),
        ("log_level", "loud"),
        ("tls_key", "key.pem"),
        ("temporal_api_key", "hunter2"),
        ("temporal_tls_roots", __file__),
        ("temporal_tls_certificate", __file__),
        ("heartbeat_timeout_seconds", "601"),
    ],
)
def test_values_out_of_range_are_refused(field: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that need another setting: a key without its certificate, a Temporal key without TLS."""
    monkeypatch.setenv(environment_name(field), value)
    with pytest.raises(ValidationError):
        Settings()


def test_split_address() -> None:
    """Names, IPv4 and bracketed IPv6."""
    assert split_address("localhost:0") == ("localhost", 0)
    assert split_address("[::1]:9090") == ("::1", 9090)
    for wrong in ("::1:9090", "host:", ":1", "a:b:1", "host:65536", "[::1]"):
        with pytest.raises(ValueError, match="host:port"):
            split_address(wrong)


SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def test_webhook_secrets_have_names_and_may_be_two() -> None:
    """A name given twice has two keys, so that receivers can change theirs."""
    key = b"0123456789abcdef0123456789abcdef"
    assert Settings(webhook_secrets=SecretStr(f"a={SECRET}, b={SECRET},a={SECRET}")).webhook_keys() == {
        "a": [key, key],
        "b": [key],
    }
    assert Settings().webhook_keys() == {}


@pytest.mark.parametrize(
    "text", [SECRET, f"={SECRET}", "a=hunter2hunter2", "a=whsec_aHVudGVyMg==", "a=whsec_hunter2!", f"a b={SECRET}"]
)
def test_wrong_webhook_secrets_are_not_shown(text: str) -> None:
    """What is said is the form."""
    with pytest.raises(ValidationError, match="name=whsec_") as wrong:
        Settings(webhook_secrets=text)  # type: ignore[arg-type]
    assert "hunter2" not in str(wrong.value) and "MDEy" not in str(wrong.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mns_endpoint", "mns.example.com"),
        ("pubsub_endpoint", "https://x/y"),
        ("mns_endpoint", "https://me:pw@x"),
        ("pubsub_project", "a/b"),
    ],
)
def test_endpoints_are_checked(field: str, value: str) -> None:
    """Scheme and host, nothing more."""
    with pytest.raises(ValidationError):
        Settings(**{field: value})  # type: ignore[arg-type]


def test_mns_needs_its_keys() -> None:
    """An endpoint alone is a mistake that shows at the start."""
    with pytest.raises(ValidationError, match="--mns-access-key-id"):
        Settings(mns_endpoint="https://1.mns.cn-shanghai.aliyuncs.com")
