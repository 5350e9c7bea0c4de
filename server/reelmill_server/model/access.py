"""Who may do what: actions on projects in the vendor's terms, roles that name several, and prefixes for URIs.

A grant is written `ROLE@PROJECT[,source=PREFIX]…[,target=PREFIX]…`:

    viewer@films                                            read tasks of the project films
    submitter@team-*,source=s3://in/,target=s3://out/team/  submit, too, from and to these prefixes, in all projects team-…
    imm:GetTask@acs:imm:*:*:project/films                   one action, and the project as the vendor writes it
    admin@*                                                 everything
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reelmill_server.uris import Resource, dot_steps

_VIEW = "GetTask ListTasks WatchTask WatchTasks GetProject ListProjects ListNotifications GetCapabilities ListWorkers".split()
_SUBMIT = "CreateMediaConvertTask PlanMediaConvertTask ProbeMedia CancelTask RetryTask RedeliverNotification".split()
_ADMINISTER = "CreateProject UpdateProject DeleteProject CreateKey ListKeys RevokeKey".split()
ROLES: Mapping[str, frozenset[str]] = {
    "viewer": frozenset(_VIEW),
    "submitter": frozenset((*_VIEW, *_SUBMIT)),
    "admin": frozenset((*_VIEW, *_SUBMIT, *_ADMINISTER)),
}
ACTIONS = ROLES["admin"]
"""All actions. Each has the name of its RPC; the vendor writes `imm:` before it."""
EVERY_PROJECT = "*"

_ACTION = "imm:"
_RESOURCE = re.compile(r"acs:imm:[^:/\s]*:[^:/\s]*:project/")
_PROJECT = re.compile(r"\*|[A-Za-z_][A-Za-z0-9_-]*\*?")
_PREFIX = re.compile(r"[a-z][a-z0-9]*://[^\s{}?#]+")


def action_text(action: str, project: str) -> str:
    """Return an action on a project as the vendor writes it."""
    return f"{_ACTION}{action} on acs:imm:*:*:project/{project}"


@dataclass(frozen=True)
class Grant:
    """Actions on a project, or on all whose names begin like `project` if that ends in `*`, with sources and targets below
    these prefixes; without prefixes, wherever the server lets anyone."""

    text: str
    actions: frozenset[str]
    project: str
    sources: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()

    def covers(self, project: str) -> bool:
        """Return whether it is about this project."""
        return project.startswith(self.project[:-1]) if self.project.endswith("*") else project == self.project


def parse_grant(text: str) -> Grant:
    """Parse a grant. Raises ValueError, which says what was expected."""
    head, *rules = text.strip().split(",")
    who, at, where = head.partition("@")
    if not at:
        raise ValueError("expected ROLE@PROJECT, for example submitter@films")
    project = _RESOURCE.sub("", where, count=1)
    if not _PROJECT.fullmatch(project):
        raise ValueError("expected the name of a project after the @, or a prefix of names that ends in *")
    prefixes: dict[str, list[str]] = {"source": [], "target": []}
    for rule in rules:
        kind, _, prefix = rule.strip().partition("=")
        if kind not in prefixes or not _PREFIX.fullmatch(prefix) or dot_steps(Resource.of(prefix).path):
            raise ValueError("expected source= or target= with the prefix of a URI, for example target=s3://bucket/folder/")
        prefixes[kind].append(prefix)
    return Grant(text.strip(), _actions(who), project, tuple(prefixes["source"]), tuple(prefixes["target"]))


def _actions(who: str) -> frozenset[str]:
    if who == f"{_ACTION}*":
        return ACTIONS
    named = who.removeprefix(_ACTION)
    if who.startswith(_ACTION) and named in ACTIONS:
        return frozenset((named,))
    if who in ROLES:
        return ROLES[who]
    raise ValueError(f"expected {', '.join(ROLES)} or an action, for example imm:GetTask, before the @")


@dataclass(frozen=True)
class Principal:
    """Who calls, and what it may do. The name says how that is known: key:NAME, jwt:SUBJECT, mtls:NAME."""

    name: str
    grants: tuple[Grant, ...]
    known: bool = True
    """Whether it said who it is; no service that asks has callers that did not."""

    def knows(self, project: str) -> bool:
        """Return whether any grant is about this project; for others it does not exist."""
        return any(grant.covers(project) for grant in self.grants)

    def may(self, action: str, project: str) -> bool:
        """Return whether a grant allows this action on this project."""
        return bool(self._grants(action, project))

    def may_somewhere(self, action: str) -> bool:
        """Return whether a grant allows this action on any project."""
        return any(action in grant.actions for grant in self.grants)

    def may_everywhere(self, action: str) -> bool:
        """Return whether a grant allows this action on all projects."""
        return any(action in grant.actions and grant.project == EVERY_PROJECT for grant in self.grants)

    def projects(self, action: str) -> tuple[str, ...]:
        """Return the projects on which this action is allowed: names, and prefixes that end in `*`."""
        return tuple(sorted({grant.project for grant in self.grants if action in grant.actions}))

    def may_use(self, action: str, project: str, sources: Iterable[str], targets: Iterable[str]) -> bool:
        """Return whether one grant allows this action with these URIs; targets may be templates, with tags filled in."""
        read, written = tuple(sources), tuple(targets)
        return any(_allows(grant, read, written) for grant in self._grants(action, project))

    def _grants(self, action: str, project: str) -> tuple[Grant, ...]:
        return tuple(grant for grant in self.grants if action in grant.actions and grant.covers(project))


ANYONE = Principal("anonymous", (Grant("admin@*", ACTIONS, EVERY_PROJECT),), known=False)
"""The caller of a service that asks nobody."""


def _allows(grant: Grant, sources: tuple[str, ...], targets: tuple[str, ...]) -> bool:
    # What a template takes from a source's name could lead out of a target's prefix.
    if grant.targets and any(dot_steps(Resource.of(uri).path) for uri in sources):
        return False
    return all(
        not prefixes or any(_below(prefix, uri) for prefix in prefixes)
        for prefixes, uris in ((grant.sources, sources), (grant.targets, targets))
        for uri in uris
    )


def _below(prefix: str, uri: str) -> bool:
    """Return whether a URI is in the folder `prefix`, or is that object itself."""
    above, below = Resource.of(prefix), Resource.of(uri)
    if (above.scheme, above.authority) != (below.scheme, below.authority) or dot_steps(below.path):
        return False
    folder = above.path.rstrip("/")
    return not folder or below.path == folder or below.path.startswith(f"{folder}/")
