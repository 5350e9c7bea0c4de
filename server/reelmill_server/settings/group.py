"""A group of settings, the roles of the server, and the two names of a setting."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, model_validator

ENVIRONMENT_PREFIX = "REELMILL_"

Role = Literal["serve", "api", "worker", "migrate", "plan", "capabilities"]

ROLES: Mapping[Role, str] = {
    "serve": "run everything on this machine: API, engine and worker",
    "api": "run the API only; needs a Temporal address",
    "worker": "run a worker only; needs a Temporal address",
    "migrate": "upgrade the database to this version's schema, then exit",
    "plan": "print what a request would do, without doing it",
    "capabilities": "test the encoders of this machine, print the results, then exit",
}


class UsedBy:
    """The roles that use a group, or a field of it."""

    def __init__(self, *roles: Role) -> None:
        """Take them in the order of `ROLES`."""
        self.roles = roles


_GroupT = TypeVar("_GroupT", bound="Group")
_role: ContextVar[Role | None] = ContextVar("role", default=None)


@contextmanager
def read_for(role: Role) -> Iterator[None]:
    """Read settings as a role does that may have the variables of others beside its own: see `checked_by`."""
    token = _role.set(role)
    try:
        yield
    finally:
        _role.reset(token)


def checked_by(used_by: UsedBy) -> Callable[[Callable[[_GroupT], None]], Any]:
    """Make a method the check of how settings go together, for the roles that use all of them.

    Roles of one service often share some of their variables: `migrate` may have the token of an administrator without the
    authentication that accepts it. Every role still checks each value by itself. Settings that are read for no role are
    checked as a whole.
    """

    def decorate(check: Callable[[_GroupT], None]) -> Any:
        def check_together(group: _GroupT) -> _GroupT:
            role = _role.get()
            if role is None or role in used_by.roles:
                check(group)
            return group

        return model_validator(mode="after")(check_together)

    return decorate


class Group(BaseModel):
    """The settings of one part of the server: a section of the help, and of the tables in docs/operating.md.

    Each field is a setting: its name gives those of its variable and its flag, its type the form of its values (fields.py).
    An annotation `UsedBy` of a field takes the place of the group's.
    """

    model_config = ConfigDict(frozen=True, validate_default=True, hide_input_in_errors=True, str_strip_whitespace=True)

    title: ClassVar[str]
    used_by: ClassVar[UsedBy]

    def require_together(self, first: str, second: str) -> None:
        """Raise ValueError when one of two fields is set and the other is not."""
        if (getattr(self, first) is None) != (getattr(self, second) is None):
            raise ValueError(f"{both_names(first)} and {both_names(second)}: set both or neither")


def environment_name(field: str) -> str:
    """Return the environment variable of a field, for example REELMILL_DATA_DIR."""
    return ENVIRONMENT_PREFIX + field.upper()


def flag_name(field: str) -> str:
    """Return the command line flag of a field, for example --data-dir."""
    return "--" + field.replace("_", "-")


def both_names(field: str) -> str:
    """Return the flag and the variable of a field, for messages that cannot know which of them was used."""
    return f"{flag_name(field)} ({environment_name(field)})"
