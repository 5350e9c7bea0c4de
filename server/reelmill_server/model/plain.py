"""The model as JSON: every dataclass according to its annotations."""

from collections.abc import Callable
from functools import cache
from typing import Any, get_type_hints

from pydantic import TypeAdapter


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """Return what reads and writes a type. Learning a large one takes a twentieth of a second, once in a process."""
    return TypeAdapter(kind)


def learn(*functions: Callable[..., Any]) -> None:
    """Learn the types that functions, or methods, take and return."""
    for function in functions:
        for kind in get_type_hints(function).values():
            adapter(kind)


def plain(value: Any) -> Any:
    """Return a dataclass instance as data that `json.dumps` accepts."""
    return adapter(value.__class__).dump_python(value, mode="json")


def to_json(value: Any) -> bytes:
    """Return a dataclass instance as JSON."""
    return adapter(value.__class__).dump_json(value)
