"""Roles: which ones may be named, and what they are called where they are assumed."""

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
"""Whose roles reach the objects of a scheme."""


@dataclass(frozen=True)
class _Form:
    """How a cloud writes roles: a pattern, what a plain name of an account becomes, and words for messages."""

    pattern: re.Pattern[str]
    template: str
    words: str


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
LONGEST_POLICY = 2048
"""Characters, the least of what the clouds take."""


@dataclass(frozen=True)
class Identity:
    """In whose name a cloud is called: full names of roles, assumed one after the other; none: the worker's own.

    `policy` narrows the last one, as the cloud takes it.
    """

    roles: tuple[str, ...] = ()
    policy: str = ""


class RoleTable:
    """The roles that may be named: entries `PATTERN`, or `NAME=ROLE`, where an empty ROLE is the worker's own identity."""

    def __init__(self, entries: Sequence[str]) -> None:
        self._names = dict(entry.split("=", 1) for entry in entries if "=" in entry)
        self._patterns = tuple(entry for entry in entries if "=" not in entry)

    def identity(self, credentials: Credentials, cloud: Cloud) -> Identity:
        """Who these credentials are there. Raises InvalidArgument, or AccessDenied for a role that may not be named."""
        roles = tuple(filter(None, (self._full_name(role, cloud) for role in credentials.roles)))
        if not credentials.policy:
            return Identity(roles)
        if not roles or not is_policy(credentials.policy):
            raise InvalidArgument(f"a policy is a JSON object of at most {LONGEST_POLICY} characters, and narrows a role")
        if cloud == "google" and set(json.loads(credentials.policy)) != {"accessBoundary"}:
            raise InvalidArgument(
                'the policy has no counterpart on Google Cloud: write {"accessBoundary": {"accessBoundaryRules": […]}}'
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
                raise AccessDenied(f"the role {name!r} is not among those that this server may assume")
        match = form.pattern.fullmatch(name)
        if name and match is None:
            raise InvalidArgument(f"the role {name!r} is not {form.words}")
        if match and role.account and match["account"] != role.account:
            raise InvalidArgument(f"the role {name!r} is not of the account {role.account}")
        return name


def is_policy(text: str) -> bool:
    """Whether a text is a JSON object that is not too long for a policy."""
    try:
        return isinstance(json.loads(text), dict) and len(text) <= LONGEST_POLICY
    except ValueError:
        return False
