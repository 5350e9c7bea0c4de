"""Scalar values of the vendor's JSON: numbers, strings and enum values, in both directions. Used by `vendor_json` only."""

import math
import re
import struct
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING

from google.protobuf.descriptor import FieldDescriptor

if TYPE_CHECKING:
    from google.protobuf.descriptor import EnumDescriptor

# Enums that the vendor writes in CamelCase; all others are lower case.
_CAMEL_CASE_ENUMS = frozenset({"TaskStatus", "TaskPhase", "TaskType", "TaskSort", "NotificationState"})

# Spellings that other versions of the vendor's documentation use.
_ENUM_ALIASES = {"SortOrder": {"des": "SORT_ORDER_DESC"}}

_INT32 = (-(2**31), 2**31 - 1)
_INT64 = (-(2**63), 2**63 - 1)
_UINT32 = (0, 2**32 - 1)
_UINT64 = (0, 2**64 - 1)
_FLOAT32_MAX = 3.4028234663852886e38
_EXACT_INTEGERS = 2**53
_MOST_SHOWN = 200  # characters of a string that is no value
_INTEGER_FORM = re.compile(r"-?[0-9]{1,20}")
_NUMBER_FORM = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|NaN|-?Infinity")


class InvalidValue(Exception):
    """A value does not fit its field; the message says what would."""


def read_scalar(value: object, field: FieldDescriptor) -> object:
    """Convert the JSON value of a scalar or enum field to its Python value; raises InvalidValue."""
    if field.enum_type is not None:
        return _enum_number(value, field.enum_type)
    return _SCALARS[field.cpp_type](value)


def write_scalar(value: object, field: FieldDescriptor) -> object:
    """Convert the Python value of a scalar or enum field to its JSON value."""
    if field.enum_type is not None and isinstance(value, int):
        return _enum_name(field.enum_type, value)
    if not isinstance(value, float):
        return value
    return json_number(_shortest_float32(value) if field.cpp_type == FieldDescriptor.CPPTYPE_FLOAT else value)


def json_number(value: float) -> float | int | str:
    """Convert a number to its JSON form: whole numbers without `.0`, NaN and the infinities as strings."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    negative_zero = value == 0 and math.copysign(1, value) < 0
    return int(value) if value.is_integer() and abs(value) < _EXACT_INTEGERS and not negative_zero else value


def normalized(name: str) -> str:
    """Return a name without the differences between spellings: case, `_` and `-`."""
    return name.lower().replace("_", "").replace("-", "")


def describe(value: object) -> str:
    """Describe a JSON value in terms that a user of JSON knows; of long strings the beginning."""
    if isinstance(value, str):
        return f"the string {value[:_MOST_SHOWN]!r}{'…' if len(value) > _MOST_SHOWN else ''}"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, int | float):
        return f"the number {value!r}"
    kinds: tuple[tuple[type | tuple[type, ...], str], ...] = ((Mapping, "an object"), ((list, tuple), "an array"))
    return next((text for kind, text in kinds if isinstance(value, kind)), f"a {type(value).__name__}")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidValue(f"must be a string, not {describe(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidValue("must be a string of valid Unicode") from None
    return value


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise InvalidValue(f"must be true or false, not {describe(value)}")


def _integer(value: object, bounds: tuple[int, int]) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif (isinstance(value, float) and value.is_integer()) or (isinstance(value, str) and _INTEGER_FORM.fullmatch(value)):
        number = int(value)
    else:
        raise InvalidValue(f"must be a whole number, not {describe(value)}")
    if not bounds[0] <= number <= bounds[1]:
        raise InvalidValue(f"must be a whole number from {bounds[0]} to {bounds[1]}")
    return number


def _number(value: object, largest: float) -> float:
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    if not isinstance(value, int | float | str) or not (numeric or _NUMBER_FORM.fullmatch(str(value))):
        raise InvalidValue(f"must be a number, not {describe(value)}")
    try:
        number = float(value)
    except OverflowError:
        raise InvalidValue("is too large a number") from None
    if math.isfinite(number) and abs(number) > largest:
        raise InvalidValue("is too large a number")
    return number


_SCALARS: dict[int, Callable[[object], object]] = {
    FieldDescriptor.CPPTYPE_STRING: _text,
    FieldDescriptor.CPPTYPE_BOOL: _boolean,
    FieldDescriptor.CPPTYPE_INT32: partial(_integer, bounds=_INT32),
    FieldDescriptor.CPPTYPE_INT64: partial(_integer, bounds=_INT64),
    FieldDescriptor.CPPTYPE_UINT32: partial(_integer, bounds=_UINT32),
    FieldDescriptor.CPPTYPE_UINT64: partial(_integer, bounds=_UINT64),
    FieldDescriptor.CPPTYPE_FLOAT: partial(_number, largest=_FLOAT32_MAX),
    FieldDescriptor.CPPTYPE_DOUBLE: partial(_number, largest=math.inf),
}


def _enum_number(value: object, enum: "EnumDescriptor") -> int:
    numbers = _numbers_by_name(enum)
    if value is False and "false" in numbers:
        return numbers["false"]
    if isinstance(value, int) and not isinstance(value, bool) and value in enum.values_by_number:
        return value
    if isinstance(value, str) and (not value or normalized(value) in numbers):
        return numbers[normalized(value)] if value else 0
    allowed = ", ".join(str(_enum_name(enum, number)) for number in enum.values_by_number if number)
    actual = repr(value) if isinstance(value, str) else describe(value)
    raise InvalidValue(f"must be one of {allowed}, not {actual}")


@cache
def _numbers_by_name(enum: "EnumDescriptor") -> dict[str, int]:
    """Return the number of every accepted name of an enum, with normalized names."""
    prefix = _enum_prefix(enum)
    numbers = {normalized(value.name): value.number for value in enum.values}
    numbers |= {normalized(value.name.removeprefix(prefix)): value.number for value in enum.values}
    aliases = _ENUM_ALIASES.get(enum.name, {})
    return numbers | {alias: enum.values_by_name[name].number for alias, name in aliases.items()}


def _enum_prefix(enum: "EnumDescriptor") -> str:
    return enum.values_by_number[0].name.removesuffix("UNSPECIFIED")


def _enum_name(enum: "EnumDescriptor", number: int) -> str | int:
    """Return the vendor's name for a number of an enum, or the number if it has none here."""
    value = enum.values_by_number.get(number)
    if value is None:
        return number
    name = value.name.removeprefix(_enum_prefix(enum))
    return name.title().replace("_", "") if enum.name in _CAMEL_CASE_ENUMS else name.lower()


def _shortest_float32(value: float) -> float:
    """Return the float with the fewest digits that rounds to the same 32-bit float, so that 0.1 stays 0.1."""
    if not math.isfinite(value):
        return value
    packed = struct.pack("<f", value)
    candidates = (float(f"{value:.{digits}g}") for digits in range(6, 9))
    near = (candidate for candidate in candidates if abs(candidate) <= _FLOAT32_MAX)
    return next((candidate for candidate in near if struct.pack("<f", candidate) == packed), value)
