"""Messages of Reelmill to and from JSON in the vendor's form.

`parse` is generous about spelling (`TranscodeVideo` or `transcode_video`, `h264` or `VIDEO_CODEC_H264`) and strict about
everything else: it reads the whole document and reports every problem at once, each with the path of its field.
`dump` writes the vendor's own spelling, and `parse(dump(message), type(message))` gives the same message back.

Both serve any message of `reelmill.v1`; fields of type `bytes`, which it does not use, are not handled.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from reelmill._vendor_values import UnfitValue, json_number, kind, plain, read_scalar, write_scalar

MessageT = TypeVar("MessageT", bound=Message)

_STRUCT = "google.protobuf.Struct"

# Messages whose JSON form is a text, and how to say which.
_TEXT_FORMS = {
    "google.protobuf.Timestamp": "an RFC 3339 time such as 2026-01-31T12:00:00Z",
    "google.protobuf.Duration": "a duration such as 1.5s",
}


class VendorJsonError(ValueError):
    """A document does not fit its message.

    `problems` lists everything found as (path, text): the path in snake_case, for example
    `targets[0].video.transcode_video.codec` ("" for the document itself), and what was expected there.
    """

    def __init__(self, problems: Iterable[tuple[str, str]]) -> None:
        self.problems = list(problems)
        super().__init__("; ".join(f"{path}: {text}" if path else text for path, text in self.problems))


def parse(data: Mapping[str, object], message_type: type[MessageT], *, ignore_unknown: bool = False) -> MessageT:
    """Makes a message from JSON-like data.

    Keys may be the vendor's names or snake_case; enum words match without regard to case, `_` and `-`, with or without their
    type's prefix. `null` and empty arrays count as absent, an empty object as a present message. Raises VendorJsonError with
    all problems; unknown fields are among them unless `ignore_unknown`.
    """
    reader = _Reader(ignore_unknown)
    message = message_type()
    reader.read_message(data, message, "")
    if reader.problems:
        raise VendorJsonError(reader.problems)
    return message


def dump(message: Message) -> dict[str, Any]:
    """Makes JSON-like data in the vendor's form from a message; absent fields are left out.

    64-bit integers are numbers. Two things do not make the whole way back through `parse`: an enum number that this version
    does not know, which stays a number, and NaN or an infinity inside a Struct, which becomes its word.
    """
    if message.DESCRIPTOR.full_name == _STRUCT:
        return _dump_struct(message)
    return {field.json_name: _dump_field(field, value) for field, value in message.ListFields()}


class _Reader:
    """Reads one document into one message and collects what is wrong with it."""

    def __init__(self, ignore_unknown: bool) -> None:
        self.ignore_unknown = ignore_unknown
        self.problems: list[tuple[str, str]] = []

    def read_message(self, data: object, message: Message, path: str) -> None:
        """Fills `message` from an object."""
        if message.DESCRIPTOR.full_name in (_STRUCT, *_TEXT_FORMS):
            self.read_well_known(data, message, path)
            return
        if not isinstance(data, Mapping):
            self.problems.append((path, f"must be an object, not {kind(data)}"))
            return
        fields = _fields_by_key(message.DESCRIPTOR)
        seen: set[str] = set()
        for key, value in data.items():
            field = fields.get(key) if isinstance(key, str) else None
            if field is None:
                self.report_unknown_field(str(key), message, path)
            elif field.name in seen:
                self.problems.append((_join(path, field.name), f"is given twice, once as {key}"))
            else:
                seen.add(field.name)
                self.read_field(value, message, field, _join(path, field.name))

    def report_unknown_field(self, key: str, message: Message, path: str) -> None:
        """Notes a key that is no field, with the likely one."""
        if self.ignore_unknown:
            return
        snake_case = key == key.lower()
        names = {plain(field.json_name): field.name if snake_case else field.json_name for field in message.DESCRIPTOR.fields}
        self.problems.append((_join(path, key), f"is not a field of {message.DESCRIPTOR.name}{_suggestion(key, names)}"))

    def read_field(self, value: object, message: Message, field: FieldDescriptor, path: str) -> None:
        """Sets one field from its JSON value."""
        if value is None:
            return
        if _is_map(field):
            self.read_map(value, message, field, path)
        elif field.is_repeated:
            self.read_list(value, message, field, path)
        elif field.message_type is not None:
            part = getattr(message, field.name)
            part.SetInParent()
            self.read_message(value, part, path)
        else:
            self.read_scalar(value, field, path, partial(setattr, message, field.name))

    def read_list(self, value: object, message: Message, field: FieldDescriptor, path: str) -> None:
        """Appends the elements of an array."""
        if not isinstance(value, list | tuple):
            self.problems.append((path, f"must be an array, not {kind(value)}"))
            return
        items = getattr(message, field.name)
        for index, element in enumerate(value):
            where = f"{path}[{index}]"
            if field.message_type is not None:
                self.read_message(element, items.add(), where)
            else:
                self.read_scalar(element, field, where, items.append)

    def read_map(self, value: object, message: Message, field: FieldDescriptor, path: str) -> None:
        """Fills a map from an object."""
        if not isinstance(value, Mapping):
            self.problems.append((path, f"must be an object, not {kind(value)}"))
            return
        entries = getattr(message, field.name)
        key_field, value_field = _map_entry(field)
        for raw_key, element in value.items():
            where = f"{path}[{raw_key!r}]"
            keys: list[Any] = []
            self.read_scalar(raw_key, key_field, where, keys.append)
            for key in keys:
                if value_field.message_type is not None:
                    self.read_message(element, entries[key], where)
                else:
                    self.read_scalar(element, value_field, where, partial(entries.__setitem__, key))

    def read_scalar(self, value: object, field: FieldDescriptor, path: str, store: Callable[[Any], object]) -> None:
        """Converts one value and hands it to `store`."""
        try:
            store(read_scalar(value, field))
        except UnfitValue as unfit:
            self.problems.append((path, str(unfit)))

    def read_well_known(self, data: object, message: Message, path: str) -> None:
        """Fills a message that has a JSON form of its own."""
        struct = message.DESCRIPTOR.full_name == _STRUCT
        try:
            if not isinstance(data, Mapping if struct else str):
                raise TypeError
            form: Any = dict(data) if isinstance(data, Mapping) else data
            json_format.ParseDict(form, message)
        except (json_format.ParseError, TypeError, ValueError, AttributeError):
            text = "an object of JSON values" if struct else _TEXT_FORMS[message.DESCRIPTOR.full_name]
            self.problems.append((path, f"must be {text}"))


@cache
def _fields_by_key(descriptor: Descriptor) -> dict[str, FieldDescriptor]:
    return {key: field for field in descriptor.fields for key in (field.json_name, field.name)}


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _map_entry(field: FieldDescriptor) -> tuple[FieldDescriptor, FieldDescriptor]:
    assert field.message_type is not None  # what makes it a map
    entry = field.message_type.fields_by_name
    return entry["key"], entry["value"]


def _dump_field(field: FieldDescriptor, value: Any) -> Any:
    if _is_map(field):
        _, value_field = _map_entry(field)
        return {str(key): _dump_value(value_field, value[key]) for key in value}
    if field.is_repeated:
        return [_dump_value(field, element) for element in value]
    return _dump_value(field, value)


def _dump_value(field: FieldDescriptor, value: Any) -> Any:
    if field.message_type is None:
        return write_scalar(value, field)
    if field.message_type.full_name in _TEXT_FORMS:
        return json_format.MessageToDict(value)
    return dump(value)


def _dump_struct(message: Any) -> dict[str, Any]:
    return {key: _dump_struct_value(message.fields[key]) for key in message.fields}


def _dump_struct_value(value: Any) -> Any:
    """json_format would refuse NaN here and write 1 as 1.0."""
    case = value.WhichOneof("kind")
    if case == "struct_value":
        return _dump_struct(value.struct_value)
    if case == "list_value":
        return [_dump_struct_value(element) for element in value.list_value.values]
    if case == "number_value":
        return json_number(value.number_value)
    return None if case in (None, "null_value") else getattr(value, case)


def _suggestion(word: str, names: Mapping[str, str]) -> str:
    close = difflib.get_close_matches(plain(word), names, n=1, cutoff=0.6)
    return f"; did you mean {names[close[0]]}?" if close else ""


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
