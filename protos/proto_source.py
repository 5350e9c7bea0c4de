"""Write the descriptor of a flat proto2 file as its source: compilers need as text what a package ships as a descriptor."""

from collections.abc import Iterator
from typing import Any

from google.protobuf import descriptor_pool, message_factory, text_encoding, text_format
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.message import Message

_LABELS = {1: "optional", 2: "required", 3: "repeated"}
_TO_MAX = 536870912


def source(file: FileDescriptorProto, imports: list[FileDescriptorProto]) -> str:
    """Return the source of a file without nested types, groups and maps; `imports` are the files that it imports."""
    return "\n".join(_Writer(file, imports).file()) + "\n"


class _Writer:
    """Writes one file. Options are read in a pool that knows the extensions which the file itself defines."""

    def __init__(self, file: FileDescriptorProto, imports: list[FileDescriptorProto]) -> None:
        self._file = file
        self._pool = descriptor_pool.DescriptorPool()
        for each in (*imports, file):
            self._pool.Add(each)

    def file(self) -> Iterator[str]:
        """Yield the lines of the file."""
        yield f'syntax = "{self._file.syntax or "proto2"}";'
        yield f"\npackage {self._file.package};\n"
        yield from (f'import "{name}";' for name in self._file.dependency)
        yield ""
        yield from (f"option {option};" for option in self._options(self._file.options))
        for extension in self._file.extension:
            yield f"\nextend {extension.extendee.lstrip('.')} {{"
            yield from self._field(extension, "  ")
            yield "}"
        for message in self._file.message_type:
            yield from self._message(message)
        for enum in self._file.enum_type:
            yield from self._enum(enum)

    def _message(self, message: DescriptorProto) -> Iterator[str]:
        assert not message.nested_type and not message.enum_type, "expected a flat file"
        yield f"\nmessage {message.name} {{"
        yield from (f"  option {option};" for option in self._options(message.options))
        opened = -1
        for field in message.field:
            inside = field.oneof_index if field.HasField("oneof_index") else -1
            if inside != opened:
                yield from ("  }",) if opened >= 0 else ()
                if inside >= 0:
                    yield f"  oneof {message.oneof_decl[inside].name} {{"
                    yield from (f"    option {option};" for option in self._options(message.oneof_decl[inside].options))
                opened = inside
            yield from self._field(field, "    " if inside >= 0 else "  ", labeled=inside < 0)
        yield from ("  }",) if opened >= 0 else ()
        yield from (f"  reserved {one.start}{_to(one.start, one.end)};" for one in message.reserved_range)
        yield from (f'  reserved "{name}";' for name in message.reserved_name)
        yield from (f"  extensions {one.start}{_to(one.start, one.end)};" for one in message.extension_range)
        yield "}"

    def _field(self, field: FieldDescriptorProto, indent: str, labeled: bool = True) -> Iterator[str]:
        kind = field.type_name.lstrip(".") or FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
        label = f"{_LABELS[field.label]} " if labeled else ""
        options = [*([f"default = {field.default_value}"] if field.HasField("default_value") else [])]
        options += self._options(field.options)
        shown = f" [\n{indent}  {f',{chr(10)}{indent}  '.join(options)}\n{indent}]" if options else ""
        yield f"{indent}{label}{kind} {field.name} = {field.number}{shown};"

    def _enum(self, enum: EnumDescriptorProto) -> Iterator[str]:
        yield f"\nenum {enum.name} {{"
        yield from (f"  option {option};" for option in self._options(enum.options))
        for value in enum.value:
            options = list(self._options(value.options))
            shown = f" [{', '.join(options)}]" if options else ""
            yield f"  {value.name} = {value.number}{shown};"
        yield from (f"  reserved {one.start}{_to(one.start, one.end + 1)};" for one in enum.reserved_range)  # ends are inside
        yield from (f'  reserved "{name}";' for name in enum.reserved_name)
        yield "}"

    def _options(self, options: Message) -> Iterator[str]:
        """Yield options as `name = value`, a repeated one once for each value."""
        kind = self._pool.FindMessageTypeByName(options.DESCRIPTOR.full_name)
        known: Any = message_factory.GetMessageClass(kind).FromString(options.SerializeToString())
        for field, value in known.ListFields():
            name = f"({field.full_name})" if field.is_extension else field.name
            for one in value if field.is_repeated else (value,):
                if isinstance(one, Message):
                    yield f"{name} = {{ {text_format.MessageToString(one, as_one_line=True)} }}"
                elif isinstance(one, str):
                    yield f'{name} = "{text_encoding.CEscape(one.encode(), False)}"'
                else:
                    yield f"{name} = {_scalar(field, one)}"


def _scalar(field: Any, value: object) -> str:
    if field.enum_type is not None:
        return str(field.enum_type.values_by_number[value].name)
    return str(value).lower()


def _to(start: int, end: int) -> str:
    return " to max" if end == _TO_MAX else f" to {end - 1}" if end > start + 1 else ""
