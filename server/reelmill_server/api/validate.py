"""Checks requests: the rules in the protos, and those that need more than one message or the server's own settings.

All that is wrong is found and told at once.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from math import isfinite

import protovalidate
from google.protobuf.message import Message

from reelmill.v1 import media_convert_service_pb2, notification_pb2, source_pb2
from reelmill_server.api import notifying, supported
from reelmill_server.api.image_requests import images
from reelmill_server.api.requests import credentials
from reelmill_server.api.validate_targets import group_problems, media_problems, target_problems, uri_problems
from reelmill_server.api.words import AnyTarget
from reelmill_server.errors import FieldNotSupported, InvalidArgument, ReelmillError, Violation
from reelmill_server.notify.registry import Channels
from reelmill_server.storage.base import Storage
from reelmill_server.storage.roles import LONGEST_POLICY, is_policy

_MAX_REQUEST_BYTES = 256 * 1024  # the engine takes 2 MB, in a form up to six times as long
_MAX_OFFSET_SECONDS = 86_400  # a day: no film is longer
_MAX_TAGS = 100
_MAX_TAG_KEY = 128
_MAX_TAG_VALUE = 1024


def check(message: Message, more: Callable[[], Iterator[Violation | ReelmillError]] = lambda: iter(())) -> None:
    """Raises InvalidArgument with every violation of the protos' rules and of `more`; then FieldNotSupported with every field
    that is set and not honoured; then the first other error of `more`."""
    found = list(more())
    violations = [*_by_rules(message), *(item for item in found if isinstance(item, Violation))]
    missing = list(supported.unsupported(message))
    if violations:
        raise InvalidArgument(violations=[*violations, *missing])
    if missing:
        raise FieldNotSupported(violations=missing)
    for item in found:
        if isinstance(item, ReelmillError):
            raise item


def check_rules(message: Message) -> None:
    """Raises InvalidArgument with every violation of the protos' rules."""
    violations = list(_by_rules(message))
    if violations:
        raise InvalidArgument(violations=violations)


def check_required(message: Message, field: str) -> None:
    """Raises InvalidArgument when the message `field` is absent."""
    if not message.HasField(field):
        raise InvalidArgument(violations=[Violation(field, "is required")])


_FIELD_OF_RULE = {
    "create.alignment_index_in_sources": "alignment_index",
    "create.alignment_source_not_attached": "alignment_index",
}
"""The field at fault where a rule of the protos looks at more than one and can name none."""


def _by_rules(message: Message) -> Iterator[Violation]:
    for violation in protovalidate.collect_violations(message):
        rule = violation.proto.rule_id
        yield Violation(_path(violation.proto) or _FIELD_OF_RULE.get(rule, ""), violation.proto.message or rule)


def _path(violation: object) -> str:
    """The field's path, as `targets[0].video.crf`."""
    path = getattr(violation, "field", None)
    text = ""
    for element in path.elements if path else ():
        text += f".{element.field_name}" if text else element.field_name
        subscript = element.subscript
        if subscript is not None and subscript.field == "index":
            text += f"[{subscript.value}]"
    return text


def check_create(
    request: media_convert_service_pb2.CreateMediaConvertTaskRequest,
    storage: Storage,
    missing_project: ReelmillError | None = None,
    service_role: str = "",
    channels: Channels | None = None,
) -> None:
    """Checks a whole conversion request, its size first, as the rules take time for each element; `service_role` is the
    project's. Without `channels` nobody will be told, and whether they could be is not checked.

    Raises InvalidArgument, FieldNotSupported, AccessDenied or `missing_project`; a missing project is one violation among
    others when there are others.
    """
    if request.ByteSize() > _MAX_REQUEST_BYTES:
        expected = f"must have at most {_MAX_REQUEST_BYTES} bytes as a message, not {request.ByteSize()}"
        raise InvalidArgument(violations=[Violation("", expected)])
    places = {source.uri for source in request.sources} | {group.uri for group in request.target_groups}
    for target, _ in _all_targets(request):
        places |= {target.uri, *(entry.uri for _, _, entry in images(target))}

    def told() -> Iterator[Violation | ReelmillError]:
        return notifying.problems(
            request.notification, channels, places, partial(uri_problems, check_uri=storage.check_writable)
        )

    try:
        acting = storage.acting_as(credentials(request.credential_config, service_role))
        check(request, lambda: chain(_conversion(request, acting, service_role), told()))
    except (InvalidArgument, FieldNotSupported) as error:
        if missing_project is not None:
            violation = Violation("project_name", missing_project.message)
            raise type(error)(violations=[violation, *error.violations]) from error
        raise
    if missing_project is not None:
        raise missing_project


def check_probe(request: media_convert_service_pb2.ProbeMediaRequest, storage: Storage, service_role: str) -> None:
    """Checks a request to look at one file. Raises InvalidArgument, FieldNotSupported or AccessDenied."""
    acting = storage.acting_as(credentials(request.credential_config, service_role))

    def problems() -> Iterator[Violation | ReelmillError]:
        yield from credential_problems(request.credential_config, service_role)
        yield from uri_problems(request.source_uri, "source_uri", acting.check_readable)

    check(request, problems)


def _conversion(
    request: media_convert_service_pb2.CreateMediaConvertTaskRequest, storage: Storage, service_role: str
) -> Iterator[Violation | ReelmillError]:
    yield from credential_problems(request.credential_config, service_role)
    for index, source in enumerate(request.sources):
        yield from uri_problems(source.uri, f"sources[{index}].uri", storage.check_readable)
        if source.align_mode and not source.attached:
            yield Violation(f"sources[{index}].align_mode", "goes with attached only")
        yield from _subtitle_files(source, f"sources[{index}]", storage)
    yield from _tags(request)
    for target, field in _all_targets(request):
        if target.container:  # without one only pictures and subtitles are made, and video, audio and speed are ignored
            yield from media_problems(request, target, field, storage)
    for index, target in enumerate(request.targets):
        yield from target_problems(target, f"targets[{index}]", set(request.tags.fields), storage)
    for index, group in enumerate(request.target_groups):
        yield from group_problems(group, f"target_groups[{index}]", set(request.tags.fields), storage)


def _all_targets(request: media_convert_service_pb2.CreateMediaConvertTaskRequest) -> Iterator[tuple[AnyTarget, str]]:
    """The targets of their own and the members of groups, with their paths."""
    for index, target in enumerate(request.targets):
        yield target, f"targets[{index}]"
    for number, group in enumerate(request.target_groups):
        for index, member in enumerate(group.targets):
            yield member, f"target_groups[{number}].targets[{index}]"


def credential_problems(config: notification_pb2.CredentialConfig, service_role: str) -> Iterator[Violation]:
    """What is wrong with the roles of a request, whatever they are to reach."""
    for index, link in enumerate(config.chain):
        here = f"credential_config.chain[{index}]"
        if not link.role:
            yield Violation(f"{here}.role", "is required")
        if link.role_type == notification_pb2.ROLE_TYPE_SERVICE:
            yield Violation(f"{here}.role_type", "must be user: the service assumes roles as its own identity")
    if config.policy and not credentials(config, service_role).roles:
        yield Violation("credential_config.policy", "narrows a role: set service_role")
    if config.policy and not is_policy(config.policy):
        yield Violation("credential_config.policy", f"must be a JSON object of at most {LONGEST_POLICY} characters")


def _subtitle_files(source: source_pb2.Source, field: str, storage: Storage) -> Iterator[Violation | ReelmillError]:
    if source.attached and source.subtitles:
        yield Violation(f"{field}.subtitles", "an attached source gives no subtitles: add them to one that is not attached")
    for index, file in enumerate(source.subtitles):
        here = f"{field}.subtitles[{index}]"
        yield from uri_problems(file.uri, f"{here}.uri", storage.check_readable)
        if abs(file.time_offset) > _MAX_OFFSET_SECONDS:
            yield Violation(f"{here}.time_offset", f"must be within {_MAX_OFFSET_SECONDS} s")


def _tags(request: media_convert_service_pb2.CreateMediaConvertTaskRequest) -> Iterator[Violation]:
    if len(request.tags.fields) > _MAX_TAGS:
        yield Violation("tags", f"must have at most {_MAX_TAGS} entries")
    for key, value in request.tags.fields.items():
        if value.WhichOneof("kind") in ("struct_value", "list_value") or not isfinite(value.number_value):
            yield Violation(f"tags.{key}", "must be a string, a finite number, a boolean or null")
        if not key or len(key) > _MAX_TAG_KEY or len(value.string_value) > _MAX_TAG_VALUE:
            yield Violation(
                f"tags.{key}", f"must have a key of 1 to {_MAX_TAG_KEY} and a value of at most {_MAX_TAG_VALUE} characters"
            )
