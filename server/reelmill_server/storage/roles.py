"""Roles: which ones requests may name, and their full names in each cloud."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from reelmill_server.errors import AccessDenied, InvalidArgument
from reelmill_server.model.request import Credentials, Role

Cloud = Literal["aws", "aliyun", "google"]

CLOUDS: Mapping[str, Cloud] = {"s3": "aws", "oss": "aliyun", "gs": "google"}
"""The cloud whose roles access the objects of a scheme."""


@dataclass(frozen=True)
class _Form:
    """Form of a cloud's role names: a pattern, a template for plain names in an account, and a description for messages."""

    pattern: re.Pattern[str]
    template: str
    description: str


_FORMS: Mapping[Cloud, _Form] = {
    "aws": _Form(
        re.compile(r"arn:aws[\w-]*:iam::(?P<account>\d{12}):role/[\w+=,.@/-]+"),
        "arn:aws:iam::{account}:role/{name}",
        "a role of AWS: arn:aws:iam::ACCOUNT:role/NAME",
    ),
    "aliyun": _Form(
        re.compile(r"acs:ram::(?P<account>\d+):role/[\w.-]+"),
        "acs:ram::{account}:role/{name}",
        "a role of Alibaba Cloud: acs:ram::ACCOUNT:role/NAME",
    ),
    "google": _Form(
        re.compile(r"[\w.-]+@(?P<account>[\w.:-]+)\.iam\.gserviceaccount\.com"),
        "{name}@{account}.iam.gserviceaccount.com",
        "a service account of Google Cloud: NAME@PROJECT.iam.gserviceaccount.com",
    ),
}
MAX_POLICY_CHARACTERS = 2048
"""Characters, the lowest limit of the clouds."""


@dataclass(frozen=True)
class Identity:
    """Identity for a cloud: full names of roles to assume in this order; none: the worker's own identity.

    `policy` narrows the last role, in the cloud's own format.
    """

    roles: tuple[str, ...] = ()
    policy: str = ""


class RoleTable:
    """Roles that requests may name: entries `PATTERN`, or `NAME=ROLE`, where an empty ROLE is the worker's own identity."""

    def __init__(self, entries: Sequence[str]) -> None:
        self._names = dict(entry.split("=", 1) for entry in entries if "=" in entry)
        self._patterns = tuple(entry for entry in entries if "=" not in entry)

    def identity(self, credentials: Credentials, cloud: Cloud) -> Identity:
        """Return the identity for these credentials in a cloud. Raises InvalidArgument, or AccessDenied for a forbidden
        role."""
        roles = tuple(filter(None, (self._full_name(role, cloud) for role in credentials.roles)))
        if not credentials.policy:
            return Identity(roles)
        if not roles or not is_policy(credentials.policy):
            raise InvalidArgument(
                f"a policy must be a JSON object of at most {MAX_POLICY_CHARACTERS} characters and needs a role"
            )
        if cloud == "google" and set(json.loads(credentials.policy)) != {"accessBoundary"}:
            raise InvalidArgument(
                'Google Cloud does not support this policy: write {"accessBoundary": {"accessBoundaryRules": […]}}'
            )
        return Identity(roles, credentials.policy)

    def _full_name(self, role: Role, cloud: Cloud) -> str:
        form = _FORMS[cloud]
        if role.name in self._names:
            name = self._names[role.name]
        else:
            plain = role.account and re.fullmatch(r"[\w.-]+", role.name)
            name = form.template.format(name=role.name, account=role.account) if plain else role.name
            if not any(fnmatchcase(name, pattern) for pattern in self._patterns):
                raise AccessDenied(f"the role {name!r} is not one that this server may assume")
        match = form.pattern.fullmatch(name)
        if name and match is None:
            raise InvalidArgument(f"the role {name!r} is not {form.description}")
        if match and role.account and match["account"] != role.account:
            raise InvalidArgument(f"the role {name!r} does not belong to the account {role.account}")
        return name


def is_policy(text: str) -> bool:
    """Return whether a string is a JSON object short enough for a policy."""
    try:
        return isinstance(json.loads(text), dict) and len(text) <= MAX_POLICY_CHARACTERS
    except ValueError:
        return False
