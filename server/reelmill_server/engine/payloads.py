"""How data crosses the engine: as JSON, by pydantic."""

from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
)

_JSON = PydanticJSONPlainPayloadConverter()


class _Payloads(CompositePayloadConverter):
    """The library's own of pydantic, but all share one that remembers types: the library makes one for each workflow, and to
    learn the types of a task took it longer than all else that a workflow does."""

    def __init__(self) -> None:
        usual = DefaultPayloadConverter.default_encoding_payload_converters
        super().__init__(*(_JSON if isinstance(one, JSONPlainPayloadConverter) else one for one in usual))


DATA_CONVERTER = DataConverter(payload_converter_class=_Payloads)
