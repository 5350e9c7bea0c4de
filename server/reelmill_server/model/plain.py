"""The model as JSON: every dataclass as its own annotations say, whatever writes it."""

from typing import Any

from pydantic import TypeAdapter

_ADAPTERS: dict[type, TypeAdapter[Any]] = {}


def _adapter(kind: type) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def plain(value: Any) -> Any:
    """Return `value`, an instance of a dataclass, as what `json.dumps` takes."""
    return _adapter(type(value)).dump_python(value, mode="json")


def to_json(value: Any) -> bytes:
    """Return `value`, an instance of a dataclass, as JSON."""
    return _adapter(type(value)).dump_json(value)
