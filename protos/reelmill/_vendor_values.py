"""Single values in the vendor's JSON: numbers, texts and enum words, in both directions. Used by `vendor_json` only."""

import math
import re
import struct
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING

from google.protobuf.descriptor import FieldDescriptor

if TYPE_CHECKING:
    from google.protobuf.descriptor import EnumDescriptor

# Enums whose words the vendor writes in CamelCase; all others are lower case.
_CAMEL_CASE_ENUMS = frozenset({"TaskStatus", "TaskPhase", "TaskType", "TaskSort", "NotificationState"})

# Words that some version of the vendor's documents uses beside today's.
_OTHER_WORDS = {"SortOrder": {"des": "SORT_ORDER_DESC"}}

_INT32 = (-(2**31), 2**31 - 1)
_INT64 = (-(2**63), 2**63 - 1)
_UINT32 = (0, 2**32 - 1)
_UINT64 = (0, 2**64 - 1)
_FLOAT32_MAX = 3.4028234663852886e38
_EXACT_INTEGERS = 2**53
_INTEGER_TEXT = re.compile(r"-?[0-9]{1,20}")
_NUMBER_TEXT = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|NaN|-?Infinity")


class UnfitValue(Exception):
    """A value does not fit its field; the text says what would."""


def read_scalar(value: object, field: FieldDescriptor) -> object:
    """The Python value of a scalar or enum field from its JSON value; raises UnfitValue."""
    if field.enum_type is not None:
        return _enum_number(value, field.enum_type)
    return _SCALARS[field.cpp_type](value)


def write_scalar(value: object, field: FieldDescriptor) -> object:
    """The JSON value of a scalar or enum field."""
    if field.enum_type is not None and isinstance(value, int):
        return _enum_word(field.enum_type, value)
    if not isinstance(value, float):
        return value
    return json_number(_shortest_float32(value) if field.cpp_type == FieldDescriptor.CPPTYPE_FLOAT else value)


def json_number(value: float) -> float | int | str:
    """A number as JSON writes it: a whole one without `.0`, words for NaN and the infinities."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    negative_zero = value == 0 and math.copysign(1, value) < 0
    return int(value) if value.is_integer() and abs(value) < _EXACT_INTEGERS and not negative_zero else value


def plain(word: str) -> str:
    """A name without what spellings differ in: case, `_` and `-`."""
    return word.lower().replace("_", "").replace("-", "")


def kind(value: object) -> str:
    """What a JSON value is, in words that a user of JSON knows."""
    kinds: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (type(None), "null"),
        (bool, str(value).lower()),
        (str, f"the string {value!r}"),
        ((int, float), f"the number {value!r}"),
        (Mapping, "an object"),
        ((list, tuple), "an array"),
    )
    return next((text for type_, text in kinds if isinstance(value, type_)), f"a {type(value).__name__}")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise UnfitValue(f"must be a string, not {kind(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UnfitValue("must be a string of valid Unicode") from None
    return value


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise UnfitValue(f"must be true or false, not {kind(value)}")


def _integer(value: object, bounds: tuple[int, int]) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif (isinstance(value, float) and value.is_integer()) or (isinstance(value, str) and _INTEGER_TEXT.fullmatch(value)):
        number = int(value)
    else:
        raise UnfitValue(f"must be a whole number, not {kind(value)}")
    if not bounds[0] <= number <= bounds[1]:
        raise UnfitValue(f"must be a whole number from {bounds[0]} to {bounds[1]}")
    return number


def _number(value: object, largest: float) -> float:
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    if not isinstance(value, int | float | str) or not (numeric or _NUMBER_TEXT.fullmatch(str(value))):
        raise UnfitValue(f"must be a number, not {kind(value)}")
    try:
        number = float(value)
    except OverflowError:
        raise UnfitValue("is too large a number") from None
    if math.isfinite(number) and abs(number) > largest:
        raise UnfitValue("is too large a number")
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
    words = _enum_words(enum)
    if value is False and "false" in words:
        return words["false"]
    if isinstance(value, int) and not isinstance(value, bool) and value in enum.values_by_number:
        return value
    if isinstance(value, str) and (not value or plain(value) in words):
        return words[plain(value)] if value else 0
    allowed = ", ".join(str(_enum_word(enum, number)) for number in enum.values_by_number if number)
    found = repr(value) if isinstance(value, str) else kind(value)
    raise UnfitValue(f"must be one of {allowed}, not {found}")


@cache
def _enum_words(enum: "EnumDescriptor") -> dict[str, int]:
    """Every accepted word of an enum, in plain form, with its number."""
    prefix = _enum_prefix(enum)
    words = {plain(value.name): value.number for value in enum.values}
    words |= {plain(value.name.removeprefix(prefix)): value.number for value in enum.values}
    others = _OTHER_WORDS.get(enum.name, {})
    return words | {word: enum.values_by_name[name].number for word, name in others.items()}


def _enum_prefix(enum: "EnumDescriptor") -> str:
    return enum.values_by_number[0].name.removesuffix("UNSPECIFIED")


def _enum_word(enum: "EnumDescriptor", number: int) -> str | int:
    """The vendor's word for a number of an enum; the number itself when it has no name here."""
    value = enum.values_by_number.get(number)
    if value is None:
        return number
    word = value.name.removeprefix(_enum_prefix(enum))
    return word.title().replace("_", "") if enum.name in _CAMEL_CASE_ENUMS else word.lower()


def _shortest_float32(value: float) -> float:
    """The float with the fewest digits that becomes the same 32-bit float, so that 0.1 stays 0.1."""
    if not math.isfinite(value):
        return value
    packed = struct.pack("<f", value)
    candidates = (float(f"{value:.{digits}g}") for digits in range(6, 9))
    near = (candidate for candidate in candidates if abs(candidate) <= _FLOAT32_MAX)
    return next((candidate for candidate in near if struct.pack("<f", candidate) == packed), value)
