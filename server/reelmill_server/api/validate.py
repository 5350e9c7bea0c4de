"""Validation of requests: the rules in the protos, and those that need more than one message or the server's settings.

All problems are collected and reported at once.
"""

from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import chain
from math import isfinite
from typing import Any

import protovalidate
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from buf.validate import validate_pb2
from reelmill.v1 import media_convert_service_pb2, notification_pb2, source_pb2
from reelmill_server.api import notification_requests, supported_fields
from reelmill_server.api.field_values import AnyTarget
from reelmill_server.api.image_requests import images
from reelmill_server.api.requests import credentials
from reelmill_server.api.validate_outputs import uri_problems
from reelmill_server.api.validate_targets import group_problems, media_problems, target_problems
from reelmill_server.errors import FieldNotSupported, InvalidArgument, ReelmillError, Violation
from reelmill_server.notify.registry import Channels
from reelmill_server.storage.base import Storage
from reelmill_server.storage.roles import MAX_POLICY_CHARACTERS, is_policy

_PACKAGE = "reelmill.v1."
_MAX_REQUEST_BYTES = 256 * 1024  # the engine accepts 2 MB, in a form up to six times as long
_MAX_OFFSET_SECONDS = 86_400  # a day, longer than any video
_MAX_TAGS = 100
_MAX_TAG_KEY = 128
_MAX_TAG_VALUE = 1024
_NO_NUL = "must not contain the character U+0000"


def check(message: Message, custom_rules: Callable[[], Iterator[Violation | ReelmillError]] = lambda: iter(())) -> None:
    """Check a request against the protos' rules and `custom_rules`.

    Raises InvalidArgument with every violation; else FieldNotSupported with every unsupported field that is set; else the first
    other error of `custom_rules`.
    """
    _check_values(message)
    results = list(custom_rules())
    violations = [*_proto_violations(message), *(item for item in results if isinstance(item, Violation))]
    unsupported_fields = list(supported_fields.unsupported(message))
    if violations:
        raise InvalidArgument(violations=[*violations, *unsupported_fields])
    if unsupported_fields:
        raise FieldNotSupported(violations=unsupported_fields)
    for item in results:
        if isinstance(item, ReelmillError):
            raise item


def check_rules(message: Message) -> None:
    """Raise InvalidArgument with every violation of the protos' rules."""
    _check_values(message)
    violations = list(_proto_violations(message))
    if violations:
        raise InvalidArgument(violations=violations)


def _check_values(message: Message) -> None:
    """Raise InvalidArgument for NaN and infinities, which no rule can calculate with, for texts that cannot be kept, and for
    lists that are too long, as the rules take time for each element.
    """
    violations = [*_odd_values(message)]
    if violations:
        raise InvalidArgument(violations=violations)


def _odd_values(message: Message, prefix: str = "") -> Iterator[Violation]:
    """Yield the numbers that are none, the texts with U+0000 and the lists with too many elements, in our messages."""
    for field, value in message.ListFields():
        path, inner = f"{prefix}{field.name}", field.message_type
        if inner is not None and not inner.full_name.startswith(_PACKAGE):
            continue
        if field.is_repeated and len(value) > (most := _most_items(field)) > 0:
            yield Violation(path, f"must contain no more than {most} item(s)")
            continue
        several = enumerate(value) if field.is_repeated else ((None, value),)
        for index, item in several:
            place = path if index is None else f"{path}[{index}]"
            if inner is not None:
                yield from _odd_values(item, f"{place}.")
            elif isinstance(item, float) and not isfinite(item):
                yield Violation(place, "must be a finite number")
            elif isinstance(item, str) and "\0" in item:
                yield Violation(place, _NO_NUL)


@cache
def _most_items(field: FieldDescriptor) -> int:
    """Return how many elements the rules allow; 0: any number."""
    options: Any = field.GetOptions()
    return int(options.Extensions[validate_pb2.field].repeated.max_items)


def check_required(message: Message, field: str) -> None:
    """Raise InvalidArgument when the message `field` is absent."""
    if not message.HasField(field):
        raise InvalidArgument(violations=[Violation(field, "is required")])


_FIELD_OF_RULE = {
    "create.alignment_index_in_sources": "alignment_index",
    "create.alignment_source_not_attached": "alignment_index",
}
"""The field at fault of those rules of the protos that concern more than one field and therefore name none."""


def _proto_violations(message: Message) -> Iterator[Violation]:
    for violation in protovalidate.collect_violations(message):
        rule = violation.proto.rule_id
        yield Violation(_path(violation.proto) or _FIELD_OF_RULE.get(rule, ""), violation.proto.message or rule)


def _path(violation: object) -> str:
    """Return the field's path in the form `targets[0].video.crf`."""
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
    """Check a conversion request; `service_role` is that of the project. Without `channels`, recipients are not checked.

    The size is checked first, as the rules take time for each element. Raises InvalidArgument, FieldNotSupported, AccessDenied
    or `missing_project`, which becomes one of the violations if there are others.
    """
    if request.ByteSize() > _MAX_REQUEST_BYTES:
        expected = f"must be at most {_MAX_REQUEST_BYTES} bytes as a message, not {request.ByteSize()}"
        raise InvalidArgument(violations=[Violation("", expected)])
    reserved_uris = {source.uri for source in request.sources} | {group.uri for group in request.target_groups}
    for target, _ in _all_targets(request):
        reserved_uris |= {target.uri, *(entry.uri for _, _, entry in images(target))}

    def recipient_problems() -> Iterator[Violation | ReelmillError]:
        return notification_requests.problems(
            request.notification, channels, reserved_uris, partial(uri_problems, check_uri=storage.check_writable)
        )

    try:
        authorized = storage.acting_as(credentials(request.credential_config, service_role))
        check(request, lambda: chain(_conversion(request, authorized, service_role), recipient_problems()))
    except (InvalidArgument, FieldNotSupported) as error:
        if missing_project is not None:
            violation = Violation("project_name", missing_project.message)
            raise type(error)(violations=[violation, *error.violations]) from error
        raise
    if missing_project is not None:
        raise missing_project


def check_probe(request: media_convert_service_pb2.ProbeMediaRequest, storage: Storage, service_role: str) -> None:
    """Check a request to probe a file. Raises InvalidArgument, FieldNotSupported or AccessDenied."""
    authorized = storage.acting_as(credentials(request.credential_config, service_role))

    def problems() -> Iterator[Violation | ReelmillError]:
        yield from credential_problems(request.credential_config, service_role)
        yield from uri_problems(request.source_uri, "source_uri", authorized.check_readable)

    check(request, problems)


def _conversion(
    request: media_convert_service_pb2.CreateMediaConvertTaskRequest, storage: Storage, service_role: str
) -> Iterator[Violation | ReelmillError]:
    yield from credential_problems(request.credential_config, service_role)
    for index, source in enumerate(request.sources):
        yield from uri_problems(source.uri, f"sources[{index}].uri", storage.check_readable)
        if source.align_mode and not source.attached:
            yield Violation(f"sources[{index}].align_mode", "is only allowed with attached")
        yield from _subtitle_files(source, f"sources[{index}]", storage)
    yield from _tags(request)
    for target, field in _all_targets(request):
        if target.container:  # else only images and subtitles are written, and video, audio and speed are ignored
            yield from media_problems(request, target, field, storage)
    for index, target in enumerate(request.targets):
        yield from target_problems(target, f"targets[{index}]", set(request.tags.fields), storage)
    for index, group in enumerate(request.target_groups):
        yield from group_problems(group, f"target_groups[{index}]", set(request.tags.fields), storage)


def _all_targets(request: media_convert_service_pb2.CreateMediaConvertTaskRequest) -> Iterator[tuple[AnyTarget, str]]:
    """Yield the targets and the members of groups, with their paths."""
    for index, target in enumerate(request.targets):
        yield target, f"targets[{index}]"
    for number, group in enumerate(request.target_groups):
        for index, member in enumerate(group.targets):
            yield member, f"target_groups[{number}].targets[{index}]"


def credential_problems(config: notification_pb2.CredentialConfig, service_role: str) -> Iterator[Violation]:
    """Yield what is wrong with the roles of a request."""
    for index, link in enumerate(config.chain):
        path = f"credential_config.chain[{index}]"
        if not link.role:
            yield Violation(f"{path}.role", "is required")
        if link.role_type == notification_pb2.ROLE_TYPE_SERVICE:
            yield Violation(f"{path}.role_type", "must be user: the service assumes roles with its own identity")
    if config.policy and not credentials(config, service_role).roles:
        yield Violation("credential_config.policy", "needs a role to narrow: set service_role")
    if config.policy and not is_policy(config.policy):
        yield Violation("credential_config.policy", f"must be a JSON object of at most {MAX_POLICY_CHARACTERS} characters")


def _subtitle_files(source: source_pb2.Source, field: str, storage: Storage) -> Iterator[Violation | ReelmillError]:
    if source.attached and source.subtitles:
        yield Violation(
            f"{field}.subtitles", "an attached source cannot have subtitles: add them to a source that is not attached"
        )
    for index, file in enumerate(source.subtitles):
        path = f"{field}.subtitles[{index}]"
        yield from uri_problems(file.uri, f"{path}.uri", storage.check_readable)
        if abs(file.time_offset) > _MAX_OFFSET_SECONDS:
            yield Violation(f"{path}.time_offset", f"must be within {_MAX_OFFSET_SECONDS} s")


def _tags(request: media_convert_service_pb2.CreateMediaConvertTaskRequest) -> Iterator[Violation]:
    if len(request.tags.fields) > _MAX_TAGS:
        yield Violation("tags", f"must have at most {_MAX_TAGS} entries")
    for key, value in request.tags.fields.items():
        if value.WhichOneof("kind") in ("struct_value", "list_value") or not isfinite(value.number_value):
            yield Violation(f"tags.{key}", "must be a string, a finite number, a boolean or null")
        if "\0" in key or "\0" in value.string_value:
            yield Violation(f"tags.{key}".replace("\0", "\\0"), _NO_NUL)
        if not key or len(key) > _MAX_TAG_KEY or len(value.string_value) > _MAX_TAG_VALUE:
            yield Violation(
                f"tags.{key}", f"must have a key of 1 to {_MAX_TAG_KEY} and a value of at most {_MAX_TAG_VALUE} characters"
            )
