"""The command line: roles, what wins, what help says, and what is said of a mistake."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ByteSize

from reelmill_server.settings import Settings, command_line
from reelmill_server.settings.command_line import CommandLine, parse_command_line
from reelmill_server.settings.group import ROLES, Role
from reelmill_server.settings.reference import SETTINGS, Setting, settings_of

NEEDED: dict[str, list[str]] = {
    "api": ["--temporal-address", "temporal:7233"],
    "worker": ["--temporal-address", "temporal:7233"],
    "plan": ["request.json"],
}
WITH_VALUE = [setting for setting in SETTINGS.values() if not setting.is_switch]
PEM = "-----BEGIN CERTIFICATE-----\n"


def _named(settings: list[Setting]) -> Any:
    return pytest.mark.parametrize("setting", settings, ids=lambda setting: setting.field)


def test_a_flag_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the environment over the default. The values of a repeated flag replace those of the variable."""
    monkeypatch.setenv("REELMILL_MAX_ATTEMPTS", "7")
    monkeypatch.setenv("REELMILL_FILE_ROOT", "/env")
    monkeypatch.setenv("REELMILL_WEB_PRIVATE", "on")
    monkeypatch.setenv("REELMILL_HTTP", "127.0.0.1:1")
    argv = ["--max-attempts", "2", "--file-root", "/a", "--file-root", "/b,c", "--no-web-private", "--http", ""]
    result = parse_command_line(["serve", *argv]).settings
    assert (result.max_attempts, result.web_private, result.http) == (2, False, "")
    assert result.file_root == (Path("/a"), Path("/b,c"))
    environment = parse_command_line(["serve"]).settings
    assert (environment.max_attempts, environment.web_private, environment.file_root) == (7, True, (Path("/env"),))


def test_repeatable_flags_add_up() -> None:
    """Values may be given at once or one by one; those that may contain the separator are given one by one."""
    argv = ["--encoder-sessions", "nvenc=8", "--encoder-sessions", "qsv=2,vaapi=1"]
    argv += ["--encoder-order", "qsv", "--encoder-order", "software", "--temporal-tls", "--web-host", "a, b", "--web-host", "c"]
    argv += ["--cache-control", "m3u8=no-cache", "--cache-control", "*=public, max-age=60", "--service-role", "a,b"]
    settings = parse_command_line(["serve", *argv]).settings
    assert settings.encoder_sessions == {"nvenc": 8, "qsv": 2, "vaapi": 1}
    assert settings.encoder_order == ("qsv", "software")
    assert settings.temporal_tls
    assert settings.web_host == ("a", "b", "c")
    assert settings.cache_control == {"m3u8": "no-cache", "*": "public, max-age=60"}
    assert settings.service_role == ("a,b",)


@pytest.mark.parametrize("role", ROLES)
def test_every_role_parses_and_explains_itself(role: Role, capsys: pytest.CaptureFixture[str]) -> None:
    """Help names each flag of the role, its variable and its default; nothing of other roles, and no flag of a secret."""
    assert parse_command_line([role, *NEEDED.get(role, [])]).role == role
    with pytest.raises(SystemExit) as exit_:
        parse_command_line([role, "--help"])
    text = capsys.readouterr().out
    assert exit_.value.code == 0
    used = list(settings_of(role))
    for setting in SETTINGS.values():
        assert (setting.variable in text) == (setting in used), setting.field
        assert (f"  {setting.flag}" in text) == (setting in used and not setting.is_secret), setting.field
        assert setting.default in " ".join(text.split()) or setting not in used, setting.field


def test_the_extra_arguments_of_roles() -> None:
    """`plan` takes a file or -, `capabilities` takes --json."""
    plan = parse_command_line(["plan", "request.json", "--file-root", "/a"])
    assert plan == CommandLine("plan", plan.settings, file=Path("request.json"))
    assert parse_command_line(["plan", "-"]).file == Path("-")
    assert parse_command_line(["capabilities", "--json"]).json
    assert not parse_command_line(["capabilities"]).json


_UNITS = {"_seconds": "SECONDS", "_hours": "HOURS", "_bytes": "BYTES"}


@pytest.mark.sample(every=2)
@_named([setting for setting in WITH_VALUE if not setting.is_secret])
def test_what_stands_for_a_value_is_true(setting: Setting) -> None:
    """The unit that the name carries, the form of the type; COUNT for whole numbers only, FILE for PEM files."""
    unit = next((unit for suffix, unit in _UNITS.items() if setting.field.endswith(suffix)), "")
    kind = setting.info.annotation
    if unit or kind in (float, ByteSize):
        assert setting.metavar == unit or setting.metavar == "CORES"
    elif setting.is_pem_file or "PEM" in setting.description:
        assert setting.metavar == "FILE" and setting.is_pem_file
    elif kind is Path:
        assert setting.metavar == "FOLDER"
    elif "default" in setting.metavar or setting.metavar.startswith("{"):
        assert setting.metavar == "{" + ",".join(get_args(kind)) + "}"
    else:
        assert (setting.metavar == "COUNT") == (kind is int)


@pytest.mark.sample(every=11)
@_named(WITH_VALUE)
def test_what_help_says_of_empty_values_is_true(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., list[str]]
) -> None:
    """Where help says what empty means, variable and flag may be empty and mean the same; elsewhere neither may be."""
    argv = ["serve"] if setting.is_secret else ["serve", setting.flag, ""]
    if "Empty:" in setting.description:
        by_flag = parse_command_line(argv).settings
        monkeypatch.setenv(setting.variable, "")
        by_variable = parse_command_line(["serve"]).settings
        value = getattr(by_variable, setting.field)
        assert value == getattr(by_flag, setting.field)
        assert not (value.get_secret_value() if hasattr(value, "get_secret_value") else value)
    else:
        assert all(line.startswith(f"reelmill-server serve: {setting.flag}: ") for line in refused(*argv))
        monkeypatch.setenv(setting.variable, "")
        assert all(line.startswith(f"reelmill-server serve: {setting.variable}: ") for line in refused("serve"))


def test_what_a_role_cannot_do_without(refused: Callable[..., list[str]]) -> None:
    """Roles of a cluster need an address, a worker needs a slot, `plan` needs its file; flags of other roles are refused."""
    for role in ("api", "worker"):
        assert refused(role) == [
            f"reelmill-server {role}: --temporal-address (REELMILL_TEMPORAL_ADDRESS): the role `{role}` needs one"
        ]
    assert refused("worker", *NEEDED["worker"], "--worker-slots", "0") == [
        "reelmill-server worker: --worker-slots: a worker needs at least 1"
    ]
    assert parse_command_line(["serve", "--worker-slots", "0"]).settings.worker_slots == 0
    assert refused("serve", "--temporal-binary", "/none") == [
        "reelmill-server serve: --temporal-binary: there is no such program"
    ]
    assert "FILE" in refused("plan")[0]
    assert "ROLE" in refused()[0]
    assert "invalid choice: 'server'" in refused("server")[0]


def test_all_wrong_settings_are_told_at_once(refused: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """On a line each, by the flag or the variable that was used, with what was expected."""
    monkeypatch.setenv("REELMILL_STALL_SECONDS", "soon")
    monkeypatch.setenv("REELMILL_TEMPORAL_TLS", "maybe")
    monkeypatch.setenv("REELMILL_LISTEN", "shadowed by the flag")
    argv = ["--listen", "here", "--max-attempts", "0", "--child-memory-bytes", "3 lots", "--lane", "fast,slow"]
    assert sorted(refused("serve", *argv)) == [
        "reelmill-server serve: --child-memory-bytes: expected a number of bytes, for example 8GiB",
        "reelmill-server serve: --lane: value 2: expected 'fast', 'nvenc', 'vaapi', 'qsv' or 'software'",
        "reelmill-server serve: --listen: expected host:port, for example 127.0.0.1:50051 or [::1]:0",
        "reelmill-server serve: --max-attempts: expected at least 1",
        "reelmill-server serve: REELMILL_STALL_SECONDS: expected a number",
        "reelmill-server serve: REELMILL_TEMPORAL_TLS: expected on or off",
    ]


@pytest.mark.parametrize(
    ("argv", "names"),
    [
        (["--tls-key", "key.pem"], "--tls-certificate (REELMILL_TLS_CERTIFICATE) and --tls-key (REELMILL_TLS_KEY)"),
        (["--temporal-tls-roots", "roots.pem"], "--temporal-tls-roots (REELMILL_TEMPORAL_TLS_ROOTS)"),
        (["--mns-endpoint", "https://1.mns.x"], "--mns-endpoint (REELMILL_MNS_ENDPOINT)"),
        (["--file-root", "/d/x", "--data-dir", "/d"], "--file-root (REELMILL_FILE_ROOT)"),
    ],
)
def test_settings_that_do_not_go_together_are_named(argv: list[str], names: str, refused: Callable[..., list[str]]) -> None:
    """By both names, as each may come from either."""
    (line,) = refused("serve", *argv)
    assert line.startswith(f"reelmill-server serve: {names}: ")


def test_pem_files_are_checked_before_anything_starts(tmp_path: Path, refused: Callable[..., list[str]]) -> None:
    """By the roles that use them: others may share the variables without having the files."""
    good, junk = tmp_path / "good.pem", tmp_path / "junk.pem"
    good.write_text(PEM)
    junk.write_text("junk")
    assert parse_command_line(["serve", "--tls-certificate", str(good), "--tls-key", str(good)]).settings.tls_key == good
    assert refused("serve", "--tls-certificate", str(junk), "--tls-key", str(tmp_path / "none")) == [
        "reelmill-server serve: --tls-certificate: expected a PEM file",
        "reelmill-server serve: --tls-key: the file cannot be read: No such file or directory",
    ]
    argv = ["--temporal-address", "t:1", "--temporal-tls", "--temporal-tls-roots", str(tmp_path)]
    assert refused("worker", *argv) == ["reelmill-server worker: --temporal-tls-roots: the file cannot be read: Is a directory"]


def test_pem_files_of_other_roles_are_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that shares the variables of the API starts without its files."""
    monkeypatch.setenv("REELMILL_TLS_CERTIFICATE", "/none.crt")
    monkeypatch.setenv("REELMILL_TLS_KEY", "/none.key")
    assert parse_command_line(["worker", *NEEDED["worker"]]).settings.tls_key == Path("/none.key")


@pytest.mark.parametrize(
    ("variables", "users"),
    [
        ({"ADMIN_TOKEN": "planted-" * 4}, {"serve", "api"}),
        ({"ACCESS_KEYS": f"id:{'planted-' * 4}"}, {"serve", "api"}),
        ({"AUTHENTICATION": "jwt"}, {"serve", "api"}),
        ({"AUTHENTICATION": "mtls"}, {"serve", "api"}),
        ({"AUTHENTICATION": "access-keys", "ACCESS_KEY_FILE": "/none"}, {"serve", "api"}),
        ({"TLS_KEY": "/none.key"}, {"serve", "api"}),
        ({"MNS_ENDPOINT": "https://1.mns.cn-shanghai.aliyuncs.com"}, {"serve", "api"}),
        ({"TEMPORAL_API_KEY": "planted-" * 4}, {"serve", "api", "worker"}),
        ({"FILE_ROOT": "/var/lib/r/in", "DATA_DIR": "/var/lib/r"}, {"serve", "api", "worker"}),
    ],
)
def test_settings_have_to_go_together_for_their_roles(
    variables: dict[str, str], users: set[str], monkeypatch: pytest.MonkeyPatch, refused: Callable[..., list[str]]
) -> None:
    """Roles of one service share some variables: what is half there for another role is none of this one's business."""
    for name, value in variables.items():
        monkeypatch.setenv(f"REELMILL_{name}", value)
    for role in ROLES:
        argv = (role, *NEEDED.get(role, ()))
        if role in users:
            (line,) = refused(*argv)
            assert line.startswith(f"reelmill-server {role}: ") and "(REELMILL_" in line
        else:
            assert parse_command_line(argv).role == role


def test_each_value_is_checked_for_all_roles(monkeypatch: pytest.MonkeyPatch, refused: Callable[..., list[str]]) -> None:
    """A typing error in what roles share shows itself in the first of them that starts."""
    monkeypatch.setenv("REELMILL_LISTEN", "nowhere")
    for role in ROLES:
        (line,) = refused(role, *NEEDED.get(role, ()))
        assert line.startswith(f"reelmill-server {role}: REELMILL_LISTEN: ")


def test_secrets_of_a_container_are_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Their last line may end, and a variable comes first."""
    monkeypatch.setattr(command_line, "_SECRETS", tmp_path)
    (tmp_path / "reelmill_database_url").write_text("postgresql+psycopg://reelmill:planted@postgres/reelmill\n")
    (tmp_path / "reelmill_admin_token").write_text("planted-" * 4)
    (tmp_path / "reelmill_log_level").write_text("debug")
    monkeypatch.setenv("REELMILL_LOG_LEVEL", "error")
    settings = parse_command_line(["api", *NEEDED["api"], "--authentication", "keys"]).settings
    assert settings.resolved_database_url() == "postgresql+psycopg://reelmill:planted@postgres/reelmill"
    assert settings.admin_token.get_secret_value() == "planted-" * 4 and settings.log_level == "error"


def test_unknown_flags_are_named(refused: Callable[..., list[str]]) -> None:
    """On a line each; flags are not abbreviated."""
    argv = ["--database-url", "sqlite:///x", "--lane", "fast", "--frobnicate=1", "--temporal-addr", "x:1"]
    assert refused("worker", *NEEDED["worker"], *argv) == [
        "reelmill-server worker: --database-url: not a setting of the role `worker`",
        "reelmill-server worker: --frobnicate: no such flag",
        "reelmill-server worker: --temporal-addr: no such flag",
    ]
    assert refused("migrate", "now") == ["reelmill-server migrate: now: unexpected argument"]


@pytest.mark.parametrize(
    ("role", "argv"),
    [
        ("serve", ["--database-url", "x://u:hunter2@h"]),
        ("worker", ["--database-url", "postgres://u:hunter2@h/x"]),
        ("serve", ["--temporal-api-key", "hunter2"]),
        ("serve", ["--temporal-api-key=hunter2"]),
        ("serve", ["--temporal-apikey", "hunter2"]),
        ("serve", ["--bucket", "oss://x=oss://x?endpoint=https://u:hunter2@h"]),
        ("serve", ["--bucket", "u:hunter2@bucket"]),
        ("serve", ["--mns-endpoint", "https://u:hunter2@h"]),
        ("serve", ["--tls-key", "-----BEGIN PRIVATE KEY----- hunter2", "--tls-certificate", "hunter2"]),
    ],
)
def test_what_may_be_a_secret_is_not_repeated(role: str, argv: list[str], refused: Callable[..., list[str]]) -> None:
    """A line for each mistake names the flag without its value."""
    lines = refused(role, *argv)
    assert lines and not any("hunter2" in line for line in lines)
    assert all(argv[0].partition("=")[0] in line or "--tls-" in line for line in lines)


@_named([setting for setting in SETTINGS.values() if setting.is_secret])
def test_secrets_have_no_flag(setting: Setting, refused: Callable[..., list[str]]) -> None:
    """Every user of a machine can read its command lines."""
    (line,) = refused("serve", setting.flag, "hunter2")
    assert f"{setting.flag}: set {setting.variable} instead" in line and "hunter2" not in line


def test_secrets_are_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by the settings themselves either."""
    monkeypatch.setenv("REELMILL_TEMPORAL_API_KEY", "hunter2")
    settings = Settings(database_url="postgres://user:hunter2@host/name", temporal_tls=True)  # type: ignore[arg-type]
    assert settings.resolved_database_url() == "postgresql+psycopg://user:hunter2@host/name"
    for text in (repr(settings), str(settings), settings.model_dump_json()):
        assert "hunter2" not in text


@pytest.mark.parametrize(
    ("name", "argv", "hint"),
    [
        ("AWS_S3_ENDPOINT", [], "set AWS_ENDPOINT_URL_S3, or give --bucket (REELMILL_BUCKET) 's3://*=s3://*?endpoint=URL'"),
        (
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE",
            [],
            "give --bucket (REELMILL_BUCKET) 'gs://*=gs://*?endpoint=https://HOST'",
        ),
        ("CLOUDSDK_AUTH_ACCESS_TOKEN", [], "set GOOGLE_APPLICATION_CREDENTIALS"),
        ("CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT", [], "allow the account with --service-role (REELMILL_SERVICE_ROLE)"),
        ("ALIBABA_CLOUD_PROFILE", ["--bucket", "oss://*=oss://*?endpoint=https://here"], "set OSS_ACCESS_KEY_ID"),
    ],
)
def test_variables_of_clouds_that_would_be_ignored(
    refused: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, name: str, argv: list[str], hint: str
) -> None:
    """They are refused with what does it, where a bucket could use them; otherwise they do not matter."""
    monkeypatch.setenv(name, "secret")
    (line,) = refused("serve", *argv)
    assert line.startswith(f"reelmill-server serve: {name} is not used here: {hint}") and "secret" not in line
    parse_command_line(["serve", "--bucket", ""])
    parse_command_line(["api", *NEEDED["api"]])


def test_variables_that_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside one that counts, or to a bucket that has what they would give."""
    monkeypatch.setenv("S3_ENDPOINT", "http://127.0.0.1:9000")
    parse_command_line(["serve", "--bucket", "s3://*=s3://*?endpoint=http://127.0.0.1:9000"])
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    parse_command_line(["serve"])


@pytest.mark.parametrize(
    ("name", "argv", "elsewhere"),
    [
        ("GOOGLE_APPLICATION_CREDENTIALS", [], "s3://*"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", [], "gs://*"),
        ("AWS_PROFILE", [], "gs://*"),
        ("AWS_PROFILE", ["--bucket", "oss://*=oss://*?endpoint=https://here"], "gs://*"),
    ],
)
def test_credentials_that_are_missing(
    refused: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
    argv: list[str],
    elsewhere: str,
) -> None:
    """They are named at the start, where a bucket needs them; that a file is there is enough."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    for other in ("AWS_CA_BUNDLE", "AWS_DEFAULT_PROFILE", "STORAGE_EMULATOR_HOST"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, str(tmp_path / "none"))
    (line,) = refused("serve", *argv)
    assert line.startswith(f"reelmill-server serve: {name}") and ("No such file" in line or "no such profile" in line)
    parse_command_line(["serve", "--bucket", elsewhere])
    parse_command_line(["api", *NEEDED["api"]])
    (tmp_path / "none").touch()
    (tmp_path / "config").write_text(f"[profile {tmp_path / 'none'}]\n")
    parse_command_line(["serve", *argv])


def test_a_profile_of_a_bucket_that_is_missing(
    refused: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is named with its flag."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    (line,) = refused("serve", "--bucket", "s3://a=s3://b?profile=studio")
    assert line.startswith("reelmill-server serve: profile=studio in --bucket (REELMILL_BUCKET): there is no such profile")
