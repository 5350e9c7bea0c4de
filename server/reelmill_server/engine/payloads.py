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

from reelmill_server.model.plain import to_json


class _Json(PydanticJSONPlainPayloadConverter):
    """The library's JSON converter, except that dataclasses are written as their annotations say, not as they happen to be."""

    def to_payload(self, value: Any) -> Payload | None:
        """Write `value` as JSON."""
        if not is_dataclass(value):
            return super().to_payload(value)
        return Payload(metadata={"encoding": self.encoding.encode()}, data=to_json(value))


_JSON = _Json()


class _Payloads(CompositePayloadConverter):
    """The library's pydantic converter with one shared cache of types.

    The library makes a converter for each workflow; learning the types of a task anew took longer than all else in a
    workflow.
    """

    def __init__(self) -> None:
        usual = DefaultPayloadConverter.default_encoding_payload_converters
        super().__init__(*(_JSON if isinstance(one, JSONPlainPayloadConverter) else one for one in usual))

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        """Read as many values as there are payloads.

        The library fails with AttributeError where there are more types: an activity that waits has no heartbeat.
        """
        return super().from_payloads(payloads, (type_hints or [])[: len(payloads)])


DATA_CONVERTER = DataConverter(payload_converter_class=_Payloads)
