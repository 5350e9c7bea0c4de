"""Payloads in the engine: JSON, by pydantic."""

from collections.abc import Sequence
from dataclasses import is_dataclass
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
)

from reelmill_server.model.plain import adapter, to_json


class _Json(PydanticJSONPlainPayloadConverter):
    """The library's JSON converter, except that dataclasses are written as their annotations say, not as they happen to be, and
    that types are learned once for each process.

    The library makes a converter for each workflow; learning the types of a task anew took longer than all else in a workflow.
    """

    def to_payload(self, value: Any) -> Payload | None:
        """Write `value` as JSON."""
        if not is_dataclass(value):
            return super().to_payload(value)
        return Payload(metadata={"encoding": self.encoding.encode()}, data=to_json(value))

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        """Read JSON as a value of that type, or as plain data."""
        return adapter(Any if type_hint is None else type_hint).validate_json(payload.data)


class _Payloads(CompositePayloadConverter):
    """The library's converter with that one for JSON."""

    def __init__(self) -> None:
        usual = DefaultPayloadConverter.default_encoding_payload_converters
        super().__init__(*(_Json() if isinstance(converter, JSONPlainPayloadConverter) else converter for converter in usual))

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        """Read as many values as there are payloads.

        The library fails with AttributeError where there are more types: an activity that waits has no heartbeat.
        """
        return super().from_payloads(payloads, (type_hints or [])[: len(payloads)])


DATA_CONVERTER = DataConverter(payload_converter_class=_Payloads)
