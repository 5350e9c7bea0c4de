"""Requests whose fields are parameters of a query or a form: numbers and booleans as text, the rest as JSON."""

import json
from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from reelmill_server.api.http.codecs import to_message
from reelmill_server.api.http.methods import Method
from reelmill_server.errors import InvalidArgument, Violation

_MOST_LEVELS = 20


def message_of_fields(method: Method, parameters: Mapping[str, Any], ignore_unknown: bool = False) -> Message:
    """Return the request that parameters describe. Raises InvalidArgument with every problem of a kind."""
    fields = {
        key: field
        for field in method.request_type.DESCRIPTOR.fields
        for key in (field.json_name, field.name)
        if key in parameters
    }
    values: dict[str, object] = {} if ignore_unknown else dict.fromkeys(parameters)
    violations = []
    for key, field in fields.items():
        try:
            values[key] = _value(field, parameters[key])
        except (ValueError, RecursionError):
            violations.append(Violation(field.name, "must be JSON"))
    if violations:
        raise InvalidArgument(violations=violations)
    return to_message(method, values, ignore_unknown)


def nested(parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return parameters as values, with what some SDKs flatten, as in `Sources.1.URI`, put together to lists and objects.

    Raises InvalidArgument for a parameter that is both a value and an object: one of them would be dropped.
    """
    tree: dict[str, Any] = {}
    for name, text in parameters.items():
        *parents, last = name.split(".", _MOST_LEVELS)
        place: Any = tree
        for part in parents:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                break
        if not isinstance(place, dict) or last in place:
            raise InvalidArgument(violations=[Violation(name, "is given as a value and as an object: expected one of them")])
        place[last] = text
    return {name: _listed(value) for name, value in tree.items()}


def _listed(value: Any) -> Any:
    """Return objects whose names are numbers as lists."""
    if not isinstance(value, dict):
        return value
    if all(name.isdecimal() and name.isascii() for name in value):
        return [_listed(value[name]) for name in sorted(value, key=lambda name: (len(name), name))]
    return {name: _listed(item) for name, item in value.items()}


def _value(field: Any, text: Any) -> object:
    """Return a parameter's value. Raises ValueError for broken JSON. An empty text is one of a text field only."""
    if not isinstance(text, str):
        return text
    if field.message_type is None and not field.is_repeated:
        is_text = field.cpp_type == FieldDescriptor.CPPTYPE_STRING
        return text if text or is_text else None
    if not text:
        return None
    if field.is_repeated and field.message_type is None and not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",")]
    if field.message_type is not None and field.message_type.full_name == "google.protobuf.Timestamp":
        return text.strip('"')
    value: object = json.loads(text)
    return value
