"""The names of flags and variables, which scripts and manifests rely on, against the list of those that were released."""

import re
from collections import defaultdict
from pathlib import Path

import pytest

from reelmill_server.plan.stream import undecodable
from reelmill_server.settings.command_line import parse_command_line
from reelmill_server.settings.group import ROLES, Role
from reelmill_server.settings.reference import SETTINGS

RELEASED = Path(__file__).parents[2] / "golden/settings/names.txt"
_ENTRY = re.compile(r"^  (--[a-z-]+)(.*(?:\n {6,}.*)*)", re.MULTILINE)
_VARIABLE = re.compile(r"REELMILL_[A-Z_]+")
_DEFAULT = re.compile(r"\[default: (.*?); REELMILL_")


def _help(role: Role, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit):
        parse_command_line([role, "--help"])
    return capsys.readouterr().out


def test_no_name_or_default_changes(capsys: pytest.CaptureFixture[str]) -> None:
    """Compare variable, flag, roles and default of every setting, as help shows them, with the list.

    A new setting gets its line there; a line that changes or goes breaks somebody's deployment.
    """
    roles: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
    for role in ROLES:
        text = _help(role, capsys)
        shown = set()
        for flag, rest in _ENTRY.findall(text):
            entry = " ".join(rest.split())
            default = _DEFAULT.search(entry)
            variable = _VARIABLE.findall(entry)
            if variable:
                shown.add(variable[-1])
                switch = f"/--no-{flag[2:]}" if f"--no-{flag[2:]}" in entry else ""
                roles[variable[-1], flag + switch, default[1] if default else ""].append(role)
        for variable_only in sorted(set(_VARIABLE.findall(text)) - shown):
            roles[variable_only, "", ""].append(role)
    rows = sorted(f"{variable} | {flag} | {default} | {' '.join(names)}" for (variable, flag, default), names in roles.items())
    assert rows == RELEASED.read_text().splitlines()


def test_what_children_say_of_a_setting_is_its_name() -> None:
    """They load no settings, so the name is written there."""
    setting = SETTINGS["decoder"]
    assert f"{setting.flag}, {setting.variable}" == undecodable.SETTING
