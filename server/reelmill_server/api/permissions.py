"""List what each RPC needs of its caller. An RPC without a rule here is refused, whoever calls.

A project that no grant of the caller is about does not exist for it: the answer is the one about a name that nobody has, and it
is given before anything is looked up.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from reelmill.v1.media_convert_service_pb2 import CreateMediaConvertTaskRequest
from reelmill_server.api.requests import tags_of
from reelmill_server.errors import Forbidden, InternalError
from reelmill_server.model.access import EVERY_PROJECT, Principal, action_text
from reelmill_server.plan.output.naming import with_tags
from reelmill_server.tasks.projects import no_such_project

_PACKAGE = "/reelmill.v1."


@dataclass(frozen=True)
class Rule:
    """Permission that a caller needs for an RPC: the right to its action on one project, on all of them, or on any.

    `project` returns the name of the one project from a request. Otherwise the right must hold for all projects if
    `everywhere`, else for any. `changes`: calls are written to the audit log.
    """

    project: Callable[[Any], str] | None = None
    everywhere: bool = False
    changes: bool = False


def _named(request: Any) -> str:
    return str(request.project_name)


def _planned(request: Any) -> str:
    return str(request.request.project_name)


_READ, _CHANGE = Rule(_named), Rule(_named, changes=True)
_SERVICES: Mapping[str, Mapping[str, Rule]] = {
    "MediaConvertService": {
        "CreateMediaConvertTask": _CHANGE,
        "GetTask": _READ,
        "ListTasks": _READ,
        "WatchTask": _READ,
        "WatchTasks": _READ,
        "CancelTask": _CHANGE,
        "RetryTask": _CHANGE,  # and what its request names, which the service looks up
        "PlanMediaConvertTask": Rule(_planned),
        "ProbeMedia": _READ,
        "GetCapabilities": Rule(),
        "ListWorkers": Rule(),  # names the tasks that the caller may see
    },
    "ProjectService": {
        "CreateProject": _CHANGE,
        "GetProject": _READ,
        "UpdateProject": _CHANGE,
        "ListProjects": Rule(),  # shows those on which the action is allowed
        "DeleteProject": _CHANGE,
    },
    "NotificationService": {"ListNotifications": _READ, "RedeliverNotification": _CHANGE},
    "KeyService": {
        "CreateKey": Rule(everywhere=True, changes=True),
        "ListKeys": Rule(everywhere=True),
        "RevokeKey": Rule(everywhere=True, changes=True),
    },
}
RULES: Mapping[str, Rule] = {
    f"{_PACKAGE}{service}/{method}": rule for service, rules in _SERVICES.items() for method, rule in rules.items()
}
"""By the path of the RPC; the action has the name of its method."""

SOURCES = frozenset(("Source.uri", "SourceSubtitle.uri", "Watermark.uri", "ProbeMediaRequest.source_uri"))
"""Fields of requests that name what is read, by message and field."""
TARGETS = frozenset(
    (
        *("Target.uri", "TargetGroup.uri", "GroupTarget.uri", "ExtractSubtitle.uri", "Snapshot.uri", "Animation.uri"),
        *("Sprite.uri", "Sprite.web_vtt_uri", "Sprite.image_playlist_uri", "Notification.extended_message_uri"),
    )
)
"""Fields of requests that name what is written."""


def action_of(method: str) -> str:
    """Return the action of an RPC by its path, without the vendor's `imm:`."""
    return method.rpartition("/")[2]


def authorize(principal: Principal, method: str, request: Message) -> None:
    """Raise ResourceNotFound or Forbidden unless the principal may make this call."""
    rule, action = RULES.get(method), action_of(method)
    if rule is None:
        raise InternalError(f"{action} has no rule")
    if rule.everywhere:
        allowed, place = principal.may_everywhere(action), EVERY_PROJECT
    elif rule.project is None:
        allowed, place = principal.may_somewhere(action), EVERY_PROJECT
    else:
        place = rule.project(request)
        if not place:
            return  # the service refuses it, as it would from anyone
        if not principal.knows(place):
            raise no_such_project(place)
        allowed = principal.may(action, place)
    if not allowed:
        raise Forbidden(f"this needs {action_text(action, place)}")
    if rule.project is not None:
        check_uris(principal, action, place, request)


def check_uris(principal: Principal, action: str, project: str, request: Message) -> None:
    """Raise Forbidden unless one grant of the action lets the principal use all URIs in a request."""
    uris = list(_uris(request))
    if uris and not principal.may_use(
        action,
        project,
        [text for name, text in uris if name in SOURCES],
        [text for name, text in uris if name in TARGETS],
    ):
        raise Forbidden(
            f"no grant of {action_text(action, project)} lets this caller use all of these sources and targets"
            " (docs/authentication.md)"
        )


def _uris(request: Message) -> Iterator[tuple[str, str]]:
    """Yield the URIs in a request, with message and field; those of targets with the request's tags filled in."""
    body: Any = getattr(request, "request", request)
    tags = tags_of(body) if isinstance(body, CreateMediaConvertTaskRequest) else {}
    for name, text in _texts(body):
        yield name, with_tags(text, tags) if name in TARGETS else text


def _texts(message: Message) -> Iterator[tuple[str, str]]:
    for field, value in message.ListFields():
        name = f"{message.DESCRIPTOR.name}.{field.name}"
        if name in SOURCES or name in TARGETS:
            yield name, value
        elif field.message_type is not None and field.message_type.full_name.startswith(_PACKAGE[1:]):
            for part in value if field.is_repeated else (value,):
                yield from _texts(part)
