"""Numbers that are none, in every field of every request."""

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from reelmill_server.api import validate
from reelmill_server.api.services import SERVICES
from reelmill_server.errors import InvalidArgument
from tests.unit.api.test_validate import Anywhere

_FLOATS = (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE)
Path = tuple[FieldDescriptor, ...]


def _paths(message: Descriptor, on_the_way: tuple[str, ...] = ()) -> Iterator[Path]:
    """Every way to a number in a request."""
    for field in message.fields:
        inner = field.message_type
        if field.type in _FLOATS:
            yield (field,)
        elif inner is not None and inner.full_name.startswith("reelmill.") and inner.full_name not in on_the_way:
            yield from ((field, *rest) for rest in _paths(inner, (*on_the_way, inner.full_name)))


def _requests() -> Iterator[tuple[Descriptor, Path]]:
    for service in SERVICES:
        for method in descriptor_pool.Default().FindServiceByName(service).methods:
            for path in _paths(method.input_type):
                yield method.input_type, path


def _set(message: Any, path: Path, value: float) -> None:
    field, *rest = path
    if not rest:
        if field.is_repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)
        return
    inner = getattr(message, field.name)
    _set(inner.add() if field.is_repeated else inner, tuple(rest), value)


def _check(request: Message) -> None:
    body = getattr(request, "request", request)
    if body.DESCRIPTOR.name == "CreateMediaConvertTaskRequest":
        validate.check_create(body, Anywhere())
    else:
        validate.check(request)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_no_number_of_a_request_may_be_none(value: float) -> None:
    """INVALID_ARGUMENT with the field, wherever it is."""
    tried = 0
    for kind, path in _requests():
        request = message_factory.GetMessageClass(kind)()
        _set(request, path, value)
        with pytest.raises(InvalidArgument) as refused:
            _check(request)
        assert [one.field for one in refused.value.violations if path[-1].name in one.field], path
        tried += 1
    assert tried > 60
