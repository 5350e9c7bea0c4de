"""Settings: defaults, environment, flags, ranges, and what help and errors say."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from reelmill_server.command_line import GROUPS, ROLES, CommandLine, Role, default_text, parse_command_line, role_fields
from reelmill_server.settings import Settings, environment_name, flag_name, split_address, usable_cpus, webhook_keys

NEEDED: dict[str, list[str]] = {
    "api": ["--temporal-address", "temporal:7233"],
    "worker": ["--temporal-address", "temporal:7233"],
    "plan": ["request.json"],
}
ENVIRONMENT_ONLY = {"temporal_api_key", "webhook_secrets", "mns_access_key_secret", "rocketmq_secret_key"}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting comes from the developer's own environment."""
    for name in [name for name in os.environ if name.upper().startswith("REELMILL_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Parse arguments that are wrong; give what is said on standard error."""

    def parse(*argv: str) -> str:
        with pytest.raises(SystemExit) as exit_:
            parse_command_line(argv)
        assert exit_.value.code == 2
        return capsys.readouterr().err

    return parse


def test_defaults_run_on_one_machine() -> None:
    """Loopback addresses, a folder here, SQLite in it, and at least one worker slot."""
    settings = Settings()
    assert (settings.listen, settings.http) == ("127.0.0.1:50051", "127.0.0.1:9090")
    assert settings.data_dir == Path.cwd() / ".reelmill"
    assert settings.file_root == (Path.cwd(),)
    assert settings.resolved_database_url() == f"sqlite+aiosqlite:///{Path.cwd()}/.reelmill/reelmill.db"
    assert settings.worker_slots >= 1
    assert settings.encoder_order[-1] == "software"


def test_every_setting_is_documented_and_in_one_group() -> None:
    """A field without a description, or outside the groups of the help, is a mistake."""
    assert all(info.description for info in Settings.model_fields.values())
    grouped = [field for fields in GROUPS.values() for field in fields]
    assert sorted(grouped) == sorted(Settings.model_fields)
    assert set(role_fields("serve")) == set(grouped)


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


def test_a_flag_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the environment over the default."""
    monkeypatch.setenv("REELMILL_MAX_ATTEMPTS", "7")
    monkeypatch.setenv("REELMILL_FILE_ROOT", "/env")
    found = parse_command_line(["serve", "--max-attempts", "2", "--file-root", "/a", "--file-root", "/b,c"])
    assert found.settings.max_attempts == 2
    assert found.settings.file_root == (Path("/a"), Path("/b,c"))
    assert parse_command_line(["serve"]).settings.max_attempts == 7


def test_repeatable_flags_add_up() -> None:
    """Sessions and order may be given at once or one by one."""
    argv = [
        "--encoder-sessions",
        "nvenc=8",
        "--encoder-sessions",
        "qsv=2,vaapi=1",
        "--encoder-order",
        "qsv",
        "--encoder-order",
        "software",
    ]
    settings = parse_command_line(["serve", *argv, "--temporal-tls"]).settings
    assert settings.encoder_sessions == {"nvenc": 8, "qsv": 2, "vaapi": 1}
    assert settings.encoder_order == ("qsv", "software")
    assert settings.temporal_tls


@pytest.mark.parametrize("role", ROLES)
def test_every_role_parses_and_explains_itself(role: Role, capsys: pytest.CaptureFixture[str]) -> None:
    """Help names each flag of the role, its environment variable and its default, in groups; nothing of other roles."""
    assert parse_command_line([role, *NEEDED.get(role, [])]).role == role
    with pytest.raises(SystemExit) as exit_:
        parse_command_line([role, "--help"])
    text = capsys.readouterr().out
    assert exit_.value.code == 0
    for field in Settings.model_fields:
        used = field in role_fields(role)
        assert (environment_name(field) in text) == used, field
        assert (f"  {flag_name(field)}" in text) == (used and field not in ENVIRONMENT_ONLY), field
        assert default_text(field) in " ".join(text.split()) or not used, field


def test_the_extra_arguments_of_roles() -> None:
    """`plan` takes a file or -, `capabilities` takes --json."""
    plan = parse_command_line(["plan", "request.json", "--file-root", "/a"])
    assert plan == CommandLine("plan", plan.settings, file=Path("request.json"))
    assert parse_command_line(["plan", "-"]).file == Path("-")
    assert parse_command_line(["capabilities", "--json"]).json
    assert not parse_command_line(["capabilities"]).json


def test_what_a_role_cannot_do_without(refused: Callable[..., str]) -> None:
    """Roles of a cluster need an address, a worker needs a slot, `plan` needs its file; flags of other roles are refused."""
    for role in ("api", "worker"):
        assert f"--temporal-address (REELMILL_TEMPORAL_ADDRESS): the role `{role}` needs one" in refused(role)
    assert "a worker needs at least 1" in refused("worker", *NEEDED["worker"], "--worker-slots", "0")
    assert parse_command_line(["serve", "--worker-slots", "0"]).settings.worker_slots == 0
    assert "FILE" in refused("plan")
    assert "--database-url" in refused("worker", *NEEDED["worker"], "--database-url", "sqlite:///x")
    assert "ROLE" in refused()
    assert "invalid choice: 'server'" in refused("server")


def test_all_wrong_settings_are_told_at_once(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    """By both names of each, with what was expected."""
    monkeypatch.setenv("REELMILL_STALL_SECONDS", "soon")
    text = refused("serve", "--listen", "here", "--max-attempts", "0")
    assert "--listen (REELMILL_LISTEN): expected host:port" in text
    assert "--max-attempts (REELMILL_MAX_ATTEMPTS): Input should be greater than or equal to 1" in text
    assert "--stall-seconds (REELMILL_STALL_SECONDS):" in text


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


def test_secrets_are_not_printed(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by the settings themselves nor by an error about them."""
    monkeypatch.setenv("REELMILL_TEMPORAL_API_KEY", "hunter2")
    settings = Settings(database_url="postgres://user:hunter2@host/name", temporal_tls=True)  # type: ignore[arg-type]
    assert settings.resolved_database_url() == "postgresql+psycopg://user:hunter2@host/name"
    for text in (
        repr(settings),
        str(settings),
        settings.model_dump_json(),
        refused("serve", "--database-url", "x://u:hunter2@h"),
    ):
        assert "hunter2" not in text


def test_split_address() -> None:
    """Names, IPv4 and bracketed IPv6."""
    assert split_address("localhost:0") == ("localhost", 0)
    assert split_address("[::1]:9090") == ("::1", 9090)
    for wrong in ("::1:9090", "host:", ":1", "a:b:1", "host:65536", "[::1]"):
        with pytest.raises(ValueError, match="host:port"):
            split_address(wrong)


def test_usable_cpus_minds_a_container_quota(tmp_path: Path) -> None:
    """A quota caps the cores, at least 1 is left, and without one all cores count."""
    quota = tmp_path / "cpu.max"
    assert usable_cpus(quota) >= 1
    all_cores = usable_cpus(quota)
    for text, expected in (
        ("50000 100000", 1),
        ("100000 100000", 1),
        ("max 100000", all_cores),
        ("99900000 100000", all_cores),
    ):
        quota.write_text(text + "\n")
        assert usable_cpus(quota) == expected


SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def test_webhook_secrets_have_names_and_may_be_two() -> None:
    """A name given twice has two keys, so that receivers can change theirs."""
    key = b"0123456789abcdef0123456789abcdef"
    assert webhook_keys(SecretStr(f"a={SECRET}, b={SECRET},a={SECRET}")) == {"a": [key, key], "b": [key]}
    assert webhook_keys(SecretStr("")) == {}


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
    with pytest.raises(ValidationError, match="mns_access_key_id"):
        Settings(mns_endpoint="https://1.mns.cn-shanghai.aliyuncs.com")
