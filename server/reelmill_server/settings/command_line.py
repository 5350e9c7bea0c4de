"""The command line of the server: roles, and one flag for each setting that a role uses, derived from the groups.

Values stay text until the settings check them, as they check those of the environment (docs/adr/0016-settings.md).
"""

import argparse
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, cast

from pydantic import ValidationError

from reelmill_server import __version__
from reelmill_server.settings import GROUPS, Settings
from reelmill_server.settings.clouds import missing_credentials, refused_variables
from reelmill_server.settings.fields import is_loopback, split_address
from reelmill_server.settings.group import ROLES, Role, both_names, environment_name, read_for
from reelmill_server.settings.reference import SETTINGS, Setting, settings_of

_PROGRAM = "reelmill-server"
_SECRETS = Path("/run/secrets")  # where Docker and Podman put the secrets of a container: files with the names of variables
_NOT_PRIVATE = "environment only: a command line is not private"

_EXPECTED: Mapping[str, str] = {
    "bool_parsing": "expected on or off",
    "byte_size": "expected a number of bytes, for example 8GiB",
    "byte_size_unit": "expected a number of bytes, for example 8GiB",
    "float_parsing": "expected a number",
    "greater_than_equal": "expected at least {ge}",
    "int_parsing": "expected a whole number",
    "less_than_equal": "expected at most {le}",
    "literal_error": "expected {expected}",
    "too_short": "expected at least one value",
}
"""Texts for errors of pydantic, by their type; the others keep pydantic's text."""


@dataclass(frozen=True)
class CommandLine:
    """The parsed command line. `file` is the request of `plan` ("-": standard input), `json` the flag of `capabilities`."""

    role: Role
    settings: Settings
    file: Path | None = None
    json: bool = False


def parse_command_line(argv: Sequence[str]) -> CommandLine:
    """Read the arguments (without the program's name) and the environment; exit with 2 and say why when they are wrong."""
    namespace, unknown = _build_parser().parse_known_args(argv)
    given = vars(namespace)
    role = cast(Role, given.pop("role"))
    file, json = given.pop("file", None), given.pop("json", False)
    if unknown:
        _refuse(role, _unknown(role, unknown))
    try:
        secrets: dict[str, Any] = {"_secrets_dir": _SECRETS} if _SECRETS.is_dir() else {}
        with read_for(role):
            settings = Settings(**secrets, **given)
    except ValidationError as error:
        _refuse(role, _wrong(error, given))
    missing = list(_missing(role, settings, given))
    if missing:
        _refuse(role, missing)
    return CommandLine(role, settings, file, json)


def _refuse(role: Role, problems: Iterable[str]) -> NoReturn:
    """Print each problem once, on a line of its own, and exit."""
    for problem in dict.fromkeys(problems):
        print(f"{_PROGRAM} {role}: {problem}", file=sys.stderr)
    sys.exit(2)


def _unknown(role: Role, arguments: Sequence[str]) -> Iterator[str]:
    """Name the flags that the role has not, but no values beside them: one may be a secret."""
    flags = [argument.partition("=")[0] for argument in arguments if argument.startswith("-")]
    others = {setting.flag for setting in SETTINGS.values() if not setting.is_secret}
    for flag in flags:
        yield f"{flag}: {f'not a setting of the role `{role}`' if flag in others else 'no such flag'}"
    if not flags:
        yield from (f"{argument}: unexpected argument" for argument in arguments)


def _wrong(error: ValidationError, given: Mapping[str, Any]) -> Iterator[str]:
    """Name what is wrong, as it was given, without its value, which may be a secret."""
    for problem in error.errors(include_url=False, include_input=False):
        expected = _EXPECTED.get(problem["type"])
        text = expected.format_map(problem.get("ctx", {})) if expected else problem["msg"].removeprefix("Value error, ")
        if not problem["loc"]:  # it concerns several settings, which the text names
            yield text
            continue
        field, *place = problem["loc"]
        position = f"value {place[0] + 1}: " if place and isinstance(place[0], int) else ""
        yield f"{_name(str(field), given)}: {position}{text}"


def _missing(role: Role, settings: Settings, given: Mapping[str, Any]) -> Iterator[str]:
    """Say what a role lacks although all settings are right in themselves."""
    if role in ("api", "worker") and not settings.temporal_address:
        yield f"{both_names('temporal_address')}: the role `{role}` needs one"
    if role == "worker" and settings.worker_slots == 0:
        yield f"{_name('worker_slots', given)}: a worker needs at least 1"
    yield from _open_to_others(role, settings, given)
    binary = settings.temporal_binary if role == "serve" and not settings.temporal_address else ""
    if binary and shutil.which(binary) is None:
        yield f"{_name('temporal_binary', given)}: there is no such program"
    if role in ("serve", "worker", "plan"):  # those that access buckets
        yield from refused_variables(settings.bucket)
        yield from missing_credentials(settings.bucket)
    for setting in settings_of(role):
        path = getattr(settings, setting.field)
        if setting.is_pem_file and path and (problem := _pem_problem(path)):
            yield f"{_name(setting.field, given)}: {problem}"


def _open_to_others(role: Role, settings: Settings, given: Mapping[str, Any]) -> Iterator[str]:
    """Say that others can reach the API without authentication, and what helps."""
    asks = settings.authentication or settings.insecure
    for field in ("listen", "http_api") if role in ("serve", "api") and not asks else ():
        address = getattr(settings, field)
        if not address or is_loopback(split_address(address)[0]):
            continue
        yield (
            f"{_name(field, given)}: others can reach {address} without authentication: choose"
            f" {both_names('authentication')}, for example keys, listen on 127.0.0.1, or set"
            f" {environment_name('insecure')}=yes where something else protects it (docs/authentication.md)"
        )
    if role in ("serve", "api") and "mtls" in settings.authentication and not settings.tls_client_ca:
        yield f"{_name('authentication', given)}: mtls requires {both_names('tls_client_ca')}"


def _pem_problem(path: Path) -> str:
    """Say why a file is no PEM file that can be read; "" if it is one. The path is not shown: some pass the key itself."""
    try:
        return "" if b"-----BEGIN " in path.read_bytes() else "expected a PEM file"
    except OSError as error:
        return f"the file cannot be read: {error.strerror}"


def _name(field: str, given: Mapping[str, Any]) -> str:
    setting = SETTINGS[field]
    return setting.flag if field in given else setting.variable


class _RefuseSecret(argparse.Action):
    """Stands for a secret: help shows its variable, and its flag is refused."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        """Say where the secret belongs; what came with the flag is not repeated."""
        parser.exit(2, f"{parser.prog}: {self.option_strings[0]}: set {self.metavar} instead ({_NOT_PRIVATE})\n")


class _Parser(argparse.ArgumentParser):
    """Says what is wrong on one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with 2."""
        self.exit(2, f"{self.prog}: {message.removeprefix('argument ')} (see {self.prog} --help)\n")


class _HelpFormatter(argparse.HelpFormatter):
    """Help in two columns, as wide as the terminal within what reads well."""

    def __init__(self, prog: str) -> None:
        try:
            columns = os.get_terminal_size().columns
        except OSError:
            columns = 100
        super().__init__(prog, max_help_position=30, width=max(70, min(110, columns)))

    def _format_action_invocation(self, action: argparse.Action) -> str:
        return str(action.metavar) if isinstance(action, _RefuseSecret) else super()._format_action_invocation(action)


def _build_parser() -> _Parser:
    parser = _Parser(
        prog=_PROGRAM,
        description="Media conversion as a service.",
        epilog=f"`{_PROGRAM} ROLE --help` lists the settings of a role. Each one can also be set in the environment.",
        formatter_class=_HelpFormatter,
        allow_abbrev=False,
    )
    _add_version(parser)
    roles = parser.add_subparsers(dest="role", metavar="ROLE", title="roles", required=True)
    for role, summary in ROLES.items():
        role_parser = roles.add_parser(
            role,
            help=summary,
            usage=f"%(prog)s [-h]{' FILE' if role == 'plan' else ''} [--FLAG VALUE]…",
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog="The environment variable of a setting stands in brackets; a flag wins over it.",
            formatter_class=_HelpFormatter,
            allow_abbrev=False,
        )
        _add_version(role_parser)
        _add_arguments(role_parser, role)
    return parser


def _add_version(parser: _Parser) -> None:
    parser.add_argument("--version", action="version", version=f"{_PROGRAM} {__version__}", help="print the version and exit")


def _add_arguments(parser: _Parser, role: Role) -> None:
    if role == "plan":
        parser.add_argument("file", metavar="FILE", type=Path, help="the request as JSON or YAML; - reads standard input")
    if role == "capabilities":
        parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    for group in GROUPS:
        settings = [setting for setting in settings_of(role) if setting.group is group]
        section = parser.add_argument_group(group.title)  # one without arguments is not shown
        for setting in settings:
            section.add_argument(setting.flag, dest=setting.field, help=_help(setting), **_form(setting))


def _form(setting: Setting) -> dict[str, Any]:
    """Return how argparse reads a flag. What is not given stays out of the result, so that the environment counts."""
    form: dict[str, Any] = {"default": argparse.SUPPRESS}
    if setting.is_switch:
        return form | {"action": argparse.BooleanOptionalAction}
    if setting.is_secret:
        return form | {"action": _RefuseSecret, "metavar": setting.variable, "nargs": "?"}
    return form | {"metavar": setting.metavar, "action": "append" if setting.is_repeatable else "store"}


def _help(setting: Setting) -> str:
    default = f"default: {setting.default}; " if setting.default else ""
    text = f"{setting.description} [{_NOT_PRIVATE if setting.is_secret else default + setting.variable}]"
    return text.replace("%", "%%")
