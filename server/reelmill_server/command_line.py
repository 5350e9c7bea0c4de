"""The command line of the server: roles, and one flag for each setting that a role uses.

Flags, their help and their defaults are made from the fields of Settings; this file only says which belong together.
Secrets have no flag, because a command line can be read by every user of the machine.
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import ByteSize, SecretStr, ValidationError

from reelmill_server import __version__
from reelmill_server.settings import Settings, environment_name, flag_name

Role = Literal["serve", "api", "worker", "migrate", "plan", "capabilities"]

ROLES: Mapping[Role, str] = {
    "serve": "run everything on this machine: API, engine and worker",
    "api": "run only the API; needs a Temporal address",
    "worker": "run only a worker; needs a Temporal address",
    "migrate": "bring the database to this version's tables, then exit",
    "plan": "print what a request would do, and do nothing",
    "capabilities": "prove the encoders of this machine, print them, then exit",
}

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Network": ("listen", "http", "tls_certificate", "tls_key"),
    "Records": (
        "data_dir",
        "database_url",
        "retention_hours",
        "max_projects",
        "project_concurrency",
        "project_queue",
        "reconcile_seconds",
        "watch_poll_seconds",
    ),
    "Storage": (
        "file_root",
        "bucket",
        "web_host",
        "web_private",
        "web_max_bytes",
        "service_role",
        "cache_control",
        "object_tags",
        "object_metadata",
        "storage_tries",
    ),
    "Engine": (
        "temporal_address",
        "temporal_namespace",
        "temporal_binary",
        "temporal_tls",
        "temporal_tls_roots",
        "temporal_tls_certificate",
        "temporal_tls_key",
        "temporal_api_key",
    ),
    "Work": (
        "worker_slots",
        "worker_cores",
        "worker_memory_bytes",
        "lane",
        "fast_slots",
        "fast_core_seconds",
        "accelerator_wait_seconds",
        "admission_wait_seconds",
        "inspect_slots",
        "task_timeout_seconds",
        "max_attempts",
        "heartbeat_timeout_seconds",
        "stall_seconds",
        "drain_seconds",
        "child_memory_bytes",
        "scratch_bytes",
        "source_cache_bytes",
        "scratch_uri",
        "chunk_seconds",
        "chunk_core_seconds",
    ),
    "Limits on media": (
        "max_pixels",
        "max_streams",
        "max_duration_seconds",
        "max_output_frames",
        "max_pictures",
        "max_source_bytes",
    ),
    "Encoders": ("encoder_order", "encoder_cooldown_seconds", "encoder_sessions"),
    "Notification": (
        "notify_timeout_seconds",
        "notify_retry_hours",
        "notify_region",
        "notify_account",
        "webhook_secrets",
        "webhook_host",
        "webhook_allow_http",
        "webhook_allow_private",
        "mns_endpoint",
        "mns_access_key_id",
        "mns_access_key_secret",
        "rocketmq_endpoint",
        "rocketmq_tls",
        "rocketmq_access_key",
        "rocketmq_secret_key",
        "pubsub_project",
        "pubsub_endpoint",
    ),
    "Metrics and traces": ("metrics_projects", "otel_endpoint"),
    "Log": ("log_format", "log_level"),
}

_ROLE_GROUPS: Mapping[Role, tuple[str, ...]] = {
    "serve": tuple(GROUPS),
    "api": ("Network", "Records", "Storage", "Engine", "Work", "Limits on media", "Notification", "Metrics and traces", "Log"),
    "worker": ("Network", "Records", "Storage", "Engine", "Work", "Limits on media", "Encoders", "Metrics and traces", "Log"),
    "migrate": ("Records", "Log"),
    "plan": ("Storage", "Work", "Limits on media", "Encoders", "Log"),
    "capabilities": ("Work", "Encoders", "Log"),
}

_WORKER_ONLY = frozenset(
    {"worker_slots", "worker_cores", "worker_memory_bytes", "lane", "fast_slots", "fast_core_seconds", "admission_wait_seconds"}
    | {"chunk_seconds", "chunk_core_seconds"}
)
_ROLE_OMITS: Mapping[Role, frozenset[str]] = {
    "serve": frozenset(),
    "api": frozenset({"temporal_binary", "stall_seconds", "scratch_bytes", "source_cache_bytes"} | _WORKER_ONLY),
    "worker": frozenset(
        {"listen", "tls_certificate", "tls_key", "database_url", "retention_hours", "reconcile_seconds"}
        | {"max_projects", "project_concurrency", "project_queue", "metrics_projects"}
        | {"watch_poll_seconds", "temporal_binary", "accelerator_wait_seconds"}
    ),
    "migrate": frozenset(GROUPS["Records"]) - {"data_dir", "database_url"},
    "plan": frozenset(GROUPS["Work"]) - {"child_memory_bytes"},
    "capabilities": frozenset(GROUPS["Work"]) - {"child_memory_bytes"},
}

_REPEATABLE = frozenset(
    {"file_root", "lane", "encoder_order", "encoder_sessions", "bucket", "web_host", "service_role", "webhook_host"}
    | {"cache_control", "object_tags", "object_metadata"}
)
_METAVARS: Mapping[str, str] = {
    "lane": "LANE",
    "listen": "HOST:PORT",
    "http": "HOST:PORT",
    "temporal_address": "HOST:PORT",
    "data_dir": "FOLDER",
    "file_root": "FOLDER",
    "tls_certificate": "FILE",
    "tls_key": "FILE",
    "temporal_binary": "FILE",
    "database_url": "URL",
    "webhook_host": "HOST",
    "mns_endpoint": "URL",
    "rocketmq_endpoint": "HOST:PORT",
    "pubsub_endpoint": "URL",
    "encoder_order": "FAMILY[,FAMILY…]",
    "encoder_sessions": "FAMILY=COUNT",
    "bucket": "PATTERN[=TARGET]",
    "web_host": "HOST",
    "service_role": "NAME[=ROLE]",
    "cache_control": "EXTENSION=VALUE",
    "scratch_uri": "URI",
    "object_tags": "NAME=VALUE",
    "object_metadata": "NAME=VALUE",
}
_UNITS: Mapping[str, str] = {"_seconds": "SECONDS", "_hours": "HOURS", "_bytes": "BYTES"}


@dataclass(frozen=True)
class CommandLine:
    """What was asked for. `file` is the request of `plan` ("-": standard input), `json` the flag of `capabilities`."""

    role: Role
    settings: Settings
    file: Path | None = None
    json: bool = False


def parse_command_line(argv: Sequence[str]) -> CommandLine:
    """Read the arguments (without the program's name) and the environment; exits with 2 and says why when they are wrong."""
    parsers: dict[str, argparse.ArgumentParser] = {}
    given = vars(_build_parser(parsers).parse_args(argv))
    role = cast(Role, given.pop("role"))
    file, json = given.pop("file", None), given.pop("json", False)
    try:
        settings = Settings(**given)
    except ValidationError as error:
        parsers[role].error(_explain(error))
    problem = _unfit(role, settings)
    if problem:
        parsers[role].error(problem)
    return CommandLine(role, settings, file, json)


def role_fields(role: Role) -> tuple[str, ...]:
    """Name the settings that a role uses, in the order of its help."""
    return tuple(field for group in _ROLE_GROUPS[role] for field in GROUPS[group] if field not in _ROLE_OMITS[role])


def default_text(field: str) -> str:
    """Write a setting's default as a reader wants to see it; "" when there is none or the description says it."""
    default = Settings.model_fields[field].default
    if isinstance(default, bool):
        return "on" if default else "off"
    if isinstance(default, ByteSize):
        return default.human_readable().replace(".0", "") if default else "0"
    if isinstance(default, tuple):
        return ",".join(str(item) for item in default) if field != "file_root" else ""
    return str(default) if isinstance(default, str | int | float | Path) else ""


def _build_parser(parsers: dict[str, argparse.ArgumentParser]) -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="reelmill-server",
        description="Converts media as a service.",
        epilog="`reelmill-server ROLE --help` lists the settings of a role. Each can also be set in the environment.",
    )
    top.add_argument("--version", action="version", version=f"reelmill {__version__}")
    roles = top.add_subparsers(dest="role", metavar="ROLE", title="roles", required=True)
    for role, summary in ROLES.items():
        parser = roles.add_parser(
            role,
            help=summary,
            usage=f"%(prog)s [-h]{' FILE' if role == 'plan' else ''} [--setting VALUE]…",
            description=summary[0].upper() + summary[1:] + ".",
            epilog=_secrets_note(role),
            formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=30, width=_help_width()),
            allow_abbrev=False,
        )
        parsers[role] = parser
        _add_role_arguments(role, parser)
        _add_setting_flags(role, parser)
    return top


def _help_width() -> int:
    """Columns for help text: the terminal's, within what reads well."""
    try:
        return max(70, min(110, os.get_terminal_size().columns))
    except OSError:
        return 100


def _add_role_arguments(role: Role, parser: argparse.ArgumentParser) -> None:
    if role == "plan":
        parser.add_argument("file", metavar="FILE", type=Path, help="the request as JSON or YAML; - reads standard input")
    if role == "capabilities":
        parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def _add_setting_flags(role: Role, parser: argparse.ArgumentParser) -> None:
    wanted = [field for field in role_fields(role) if not _is_secret_only(field)]
    for title, members in GROUPS.items():
        fields = [field for field in members if field in wanted]
        group = parser.add_argument_group(title) if fields else None
        for field in fields:
            assert group is not None
            group.add_argument(flag_name(field), dest=field, default=argparse.SUPPRESS, help=_help(field), **_flag_form(field))


def _flag_form(field: str) -> dict[str, Any]:
    """How argparse reads a flag. Values stay text: Settings checks them, as it does those of the environment."""
    info = Settings.model_fields[field]
    if info.annotation is bool:
        return {"action": argparse.BooleanOptionalAction}
    unit = next((unit for suffix, unit in _UNITS.items() if field.endswith(suffix)), "COUNT")
    choices = getattr(info.annotation, "__args__", ()) if field.startswith("log_") else ()
    metavar = _METAVARS.get(field) or ("{" + ",".join(choices) + "}" if choices else "NAME" if info.annotation is str else unit)
    return {"metavar": metavar, **({"action": "append"} if field in _REPEATABLE else {})}


def _help(field: str) -> str:
    default = default_text(field)
    notes = [f"default: {default}"] if default else []
    text = f"{Settings.model_fields[field].description} [{'; '.join([*notes, environment_name(field)])}]"
    return text.replace("%", "%%")


def _is_secret_only(field: str) -> bool:
    """Whether a field is nothing but a secret. The database URL may hold one, but mostly does not: it keeps its flag."""
    return isinstance(Settings.model_fields[field].default, SecretStr) and field != "database_url"


def _secrets_note(role: Role) -> str:
    secrets = [field for field in role_fields(role) if _is_secret_only(field)]
    notes = [f"{environment_name(field)}: {Settings.model_fields[field].description}" for field in secrets]
    return f"Only in the environment, because a command line is not private: {' '.join(notes)}" if notes else ""


def _explain(error: ValidationError) -> str:
    """One line for each wrong setting, by both its names and without its value, which may be a secret."""
    lines = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        text = problem["msg"].removeprefix("Value error, ")
        field = str(problem["loc"][0]) if problem["loc"] else ""
        lines.append(f"{flag_name(field)} ({environment_name(field)}): {text}" if field else text)
    return "\n  ".join(["wrong settings:", *dict.fromkeys(lines)]) if len(lines) > 1 else lines[0]


def _unfit(role: Role, settings: Settings) -> str:
    """Say what a role lacks in settings that are right in themselves; "" for nothing."""
    if role in ("api", "worker") and not settings.temporal_address:
        return f"{flag_name('temporal_address')} ({environment_name('temporal_address')}): the role `{role}` needs one"
    if role == "worker" and settings.worker_slots == 0:
        return f"{flag_name('worker_slots')} ({environment_name('worker_slots')}): a worker needs at least 1"
    return ""
