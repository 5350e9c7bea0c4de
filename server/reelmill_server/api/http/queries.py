"""Requests whose fields are parameters of a query or a form: numbers and booleans as text, the rest as JSON."""

import json
from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from reelmill_server.api.http.codecs import to_message
from reelmill_server.api.http.methods import Method
from reelmill_server.errors import InvalidArgument, Violation


def message_of_fields(method: Method, parameters: Mapping[str, str], ignore_unknown: bool = False) -> Message:
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


def _value(field: Any, text: str) -> object:
    """Return a parameter's value. Raises ValueError for broken JSON. An empty text is one of a text field only."""
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
