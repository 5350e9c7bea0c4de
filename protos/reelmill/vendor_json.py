"""Conversion of Reelmill's messages to and from JSON in the vendor's form.

`parse` is lenient about spelling (`TranscodeVideo` or `transcode_video`, `h264` or `VIDEO_CODEC_H264`) and strict about
everything else: it reads the whole document and reports all problems at once, each with the path of its field.
`dump` writes the vendor's spelling, and `parse(dump(message), type(message))` returns an equal message.

Both work for any message of `reelmill.v1`; fields of type `bytes`, which it does not use, are not supported.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from reelmill._vendor_values import InvalidValue, describe, json_number, normalized, read_scalar, write_scalar

MessageT = TypeVar("MessageT", bound=Message)

_STRUCT = "google.protobuf.Struct"

# Messages whose JSON form is a string, and a description of that form.
_TEXT_FORMS = {
    "google.protobuf.Timestamp": "an RFC 3339 time such as 2026-01-31T12:00:00Z",
    "google.protobuf.Duration": "a duration such as 1.5s",
}


_MOST_PROBLEMS = 100
_MOST_KEY_CHARACTERS = 128  # of one that is no field


class VendorJsonError(ValueError):
    """A document does not fit its message.

    `problems` lists them, the first 100 at most, as (path, text): the path in snake_case, for example
    `targets[0].video.transcode_video.codec` ("" for the document itself), and what was expected there.
    """

    def __init__(self, problems: Iterable[tuple[str, str]]) -> None:
        self.problems = list(problems)
        super().__init__("; ".join(f"{path}: {text}" if path else text for path, text in self.problems))


def parse(data: Mapping[str, object], message_type: type[MessageT], *, ignore_unknown: bool = False) -> MessageT:
    """Convert JSON-like data to a message.

    Keys may be the vendor's names or snake_case; enum names match without regard to case, `_` and `-`, with or without their
    type's prefix. `null` and empty arrays count as absent, an empty object as a present message. Raises VendorJsonError with
    all problems, 100 at most; unknown fields are among them unless `ignore_unknown`.
    """
    reader = _Reader(ignore_unknown)
    message = message_type()
    reader.read_message(data, message, "")
    if reader.problems:
        raise VendorJsonError(reader.problems)
    return message


def dump(message: Message, *, zeros: bool = False) -> dict[str, Any]:
    """Convert a message to JSON-like data in the vendor's form; absent fields are left out, and so are zeros unless `zeros`.

    With `zeros`, numbers and booleans that are 0 or false are written in every message that is present, so that a program need
    not know which fields a message has (`TargetIndex`, `Progress`). Empty texts and lists are left out all the same.

    64-bit integers are numbers. Two values do not survive the way back through `parse`: an enum number unknown to this version,
    which stays a number, and NaN or an infinity inside a Struct, which becomes a string.
    """
    if message.DESCRIPTOR.full_name == _STRUCT:
        return _dump_struct(message)
    fields: list[tuple[Any, Any]] = list(message.ListFields())
    if zeros:
        present = {field.name for field, _ in fields}
        plain = [field for field in message.DESCRIPTOR.fields if _is_plain_number(field) and field.name not in present]
        fields += [(field, field.default_value) for field in plain]
        fields.sort(key=lambda pair: int(pair[0].number))
    return {field.json_name: _dump_field(field, value, zeros) for field, value in fields}


class _Reader:
    """Reader of one document into one message; collects its problems."""

    def __init__(self, ignore_unknown: bool) -> None:
        self.ignore_unknown = ignore_unknown
        self.problems: list[tuple[str, str]] = []

    def read_message(self, data: object, message: Message, path: str) -> None:
        """Fill `message` from an object."""
        if message.DESCRIPTOR.full_name in (_STRUCT, *_TEXT_FORMS):
            self.read_well_known(data, message, path)
            return
        if not isinstance(data, Mapping):
            self._report(path, f"must be an object, not {describe(data)}")
            return
        fields = _fields_by_key(message.DESCRIPTOR)
        seen: set[str] = set()
        for key, value in data.items():
            field = fields.get(key) if isinstance(key, str) else None
            if field is None:
                self.report_unknown_field(str(key), message, path)
            elif field.name in seen:
                self._report(_join(path, field.name), f"is given twice, once as {key}")
            else:
                seen.add(field.name)
                self.read_field(value, message, field, _join(path, field.name))

    def _report(self, path: str, text: str) -> None:
        """Record a problem. Raises VendorJsonError once there are too many: to report millions would take long."""
        self.problems.append((path, text))
        if len(self.problems) > _MOST_PROBLEMS:
            raise VendorJsonError([*self.problems[:-1], ("", f"these are the first {_MOST_PROBLEMS} problems")])

    def report_unknown_field(self, key: str, message: Message, path: str) -> None:
        """Record an unknown field, and suggest the likely one."""
        if self.ignore_unknown:
            return
        snake_case = key == key.lower()
        names = {
            normalized(field.json_name): field.name if snake_case else field.json_name for field in message.DESCRIPTOR.fields
        }
        place = _join(path, key[:_MOST_KEY_CHARACTERS])
        self._report(place, f"is not a field of {message.DESCRIPTOR.name}{_suggestion(key, names)}")

    def read_field(self, value: object, message: Message, field: FieldDescriptor, path: str) -> None:
        """Set one field from its JSON value."""
        if value is None:
            return
        if _is_map(field):
            self.read_map(value, message, field, path)
        elif field.is_repeated:
            self.read_list(value, message, field, path)
        elif field.message_type is not None:
            submessage = getattr(message, field.name)
            submessage.SetInParent()
            self.read_message(value, submessage, path)
        else:
            self.read_scalar(value, field, path, partial(setattr, message, field.name))

    def read_list(self, value: object, message: Message, field: FieldDescriptor, path: str) -> None:
        """Append the elements of an array."""
        if not isinstance(value, list | tuple):
            self._report(path, f"must be an array, not {describe(value)}")
            return
        items = getattr(message, field.name)
        for index, element in enumerate(value):
            element_path = f"{path}[{index}]"
            if field.message_type is not None:
                self.read_message(element, items.add(), element_path)
            else:
                self.read_scalar(element, field, element_path, items.append)

    def read_map(self, value: object, message: Message, field: FieldDescriptor, path: str) -> None:
        """Fill a map from an object."""
        if not isinstance(value, Mapping):
            self._report(path, f"must be an object, not {describe(value)}")
            return
        entries = getattr(message, field.name)
        key_field, value_field = _map_entry(field)
        for raw_key, element in value.items():
            element_path = f"{path}[{raw_key!r}]"
            keys: list[Any] = []
            self.read_scalar(raw_key, key_field, element_path, keys.append)
            for key in keys:
                if value_field.message_type is not None:
                    self.read_message(element, entries[key], element_path)
                else:
                    self.read_scalar(element, value_field, element_path, partial(entries.__setitem__, key))

    def read_scalar(self, value: object, field: FieldDescriptor, path: str, store: Callable[[Any], object]) -> None:
        """Convert one value and pass it to `store`."""
        try:
            store(read_scalar(value, field))
        except InvalidValue as error:
            self._report(path, str(error))

    def read_well_known(self, data: object, message: Message, path: str) -> None:
        """Fill a message that has its own JSON form."""
        struct = message.DESCRIPTOR.full_name == _STRUCT
        try:
            if not isinstance(data, Mapping if struct else str):
                raise TypeError
            form: Any = dict(data) if isinstance(data, Mapping) else data
            json_format.ParseDict(form, message)
        except (json_format.ParseError, TypeError, ValueError, AttributeError):
            text = "an object of JSON values" if struct else _TEXT_FORMS[message.DESCRIPTOR.full_name]
            self._report(path, f"must be {text}")


@cache
def _fields_by_key(descriptor: Descriptor) -> dict[str, FieldDescriptor]:
    return {key: field for field in descriptor.fields for key in (field.json_name, field.name)}


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _map_entry(field: FieldDescriptor) -> tuple[FieldDescriptor, FieldDescriptor]:
    assert field.message_type is not None  # true for every map
    entry = field.message_type.fields_by_name
    return entry["key"], entry["value"]


def _dump_field(field: FieldDescriptor, value: Any, zeros: bool) -> Any:
    if _is_map(field):
        _, value_field = _map_entry(field)
        return {str(key): _dump_value(value_field, value[key], zeros) for key in value}
    if field.is_repeated:
        return [_dump_value(field, element, zeros) for element in value]
    return _dump_value(field, value, zeros)


def _dump_value(field: FieldDescriptor, value: Any, zeros: bool) -> Any:
    if field.message_type is None:
        return write_scalar(value, field)
    if field.message_type.full_name in _TEXT_FORMS:
        return json_format.MessageToDict(value)
    return dump(value, zeros=zeros)


# Kinds of fields that have a zero worth writing: an enum's zero means that nothing was said.
_NUMBERS = frozenset(
    {
        FieldDescriptor.CPPTYPE_INT32,
        FieldDescriptor.CPPTYPE_INT64,
        FieldDescriptor.CPPTYPE_UINT32,
        FieldDescriptor.CPPTYPE_UINT64,
        FieldDescriptor.CPPTYPE_DOUBLE,
        FieldDescriptor.CPPTYPE_FLOAT,
        FieldDescriptor.CPPTYPE_BOOL,
    }
)


def _is_plain_number(field: Any) -> bool:
    """Return whether a field is a single number or boolean that cannot be absent."""
    return field.cpp_type in _NUMBERS and not field.is_repeated and not field.has_presence


def _dump_struct(message: Any) -> dict[str, Any]:
    return {key: _dump_struct_value(message.fields[key]) for key in message.fields}


def _dump_struct_value(value: Any) -> Any:
    """Convert a value of a Struct. json_format would refuse NaN and write 1 as 1.0."""
    case = value.WhichOneof("kind")
    if case == "struct_value":
        return _dump_struct(value.struct_value)
    if case == "list_value":
        return [_dump_struct_value(element) for element in value.list_value.values]
    if case == "number_value":
        return json_number(value.number_value)
    return None if case in (None, "null_value") else getattr(value, case)


def _suggestion(key: str, names: Mapping[str, str]) -> str:
    if len(key) > _MOST_KEY_CHARACTERS:
        return ""
    close = difflib.get_close_matches(normalized(key), names, n=1, cutoff=0.6)
    return f"; did you mean {names[close[0]]}?" if close else ""


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
