"""The model as JSON: every dataclass according to its annotations."""

from typing import Any

from pydantic import TypeAdapter

_ADAPTERS: dict[type, TypeAdapter[Any]] = {}


def _adapter(kind: type) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def plain(value: Any) -> Any:
    """Return a dataclass instance as data that `json.dumps` accepts."""
    return _adapter(type(value)).dump_python(value, mode="json")


def to_json(value: Any) -> bytes:
    """Return a dataclass instance as JSON."""
    return _adapter(type(value)).dump_json(value)
