"""Describe each setting for help and documentation, from its field."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, get_args

from pydantic import ByteSize
from pydantic.fields import FieldInfo

from reelmill_server.settings import GROUPS
from reelmill_server.settings.fields import EnvironmentOnly, Metavar, PemFile, Separated
from reelmill_server.settings.group import Group, Role, UsedBy, environment_name, flag_name

_Marker = TypeVar("_Marker")


@dataclass(frozen=True)
class Setting:
    """One field of a group, as users see it."""

    field: str
    group: type[Group]
    info: FieldInfo

    @property
    def variable(self) -> str:
        """The name of its environment variable."""
        return environment_name(self.field)

    @property
    def flag(self) -> str:
        """The name of its flag."""
        return flag_name(self.field)

    @property
    def roles(self) -> tuple[Role, ...]:
        """The roles that use it."""
        return (self.marker(UsedBy) or self.group.used_by).roles

    @property
    def is_secret(self) -> bool:
        """Whether it can be set in the environment only."""
        return self.marker(EnvironmentOnly) is not None

    @property
    def is_switch(self) -> bool:
        """Whether its flag has no value, and a second form that switches it off."""
        return self.info.annotation is bool

    @property
    def is_pem_file(self) -> bool:
        """Whether its value, if it has one, is the path of a PEM file."""
        return self.marker(PemFile) is not None

    @property
    def is_repeatable(self) -> bool:
        """Whether its flag may be given several times."""
        return self.marker(Separated) is not None

    @property
    def metavar(self) -> str:
        """Placeholder for its value in help: its unit, its form, or all possible values."""
        marker = self.marker(Metavar)
        return marker.text if marker else "{" + ",".join(get_args(self.info.annotation)) + "}"

    @property
    def description(self) -> str:
        """Its effect, and how to pass several values."""
        separated = self.marker(Separated)
        several = f" Repeatable; in the variable, separated by {' or '.join(map(repr, separated.by))}." if separated else ""
        return f"{self.info.description}{several}"

    @property
    def default(self) -> str:
        """Its default as a reader wants to see it; "" when there is none or the description says it."""
        default = self.info.default
        if isinstance(default, bool):
            return "on" if default else "off"
        if isinstance(default, ByteSize):
            return default.human_readable().replace(".0", "") if default else "0"
        if isinstance(default, tuple):
            return ",".join(default)
        return str(default) if isinstance(default, str | int | float | Path) else ""

    def marker(self, kind: type[_Marker]) -> _Marker | None:
        """Return what the annotation says of a kind."""
        return next((marker for marker in self.info.metadata if isinstance(marker, kind)), None)


SETTINGS: Mapping[str, Setting] = {
    field: Setting(field, group, info) for group in GROUPS for field, info in group.model_fields.items()
}
"""By field, in the order of the help."""


def settings_of(role: Role) -> Iterator[Setting]:
    """Return the settings that a role uses, in the order of its help."""
    return (setting for setting in SETTINGS.values() if role in setting.roles)
