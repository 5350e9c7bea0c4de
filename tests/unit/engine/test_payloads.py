"""What crosses the engine."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from reelmill_server.engine.payloads import DATA_CONVERTER
from reelmill_server.engine.work import Work
from reelmill_server.model.request import ConvertRequest, SourceSpec
from reelmill_server.model.task import Progress

WORK = Work(ConvertRequest("task", "default", (SourceSpec("file:///a.mp4"),), ()), attempt=3, priority=1)


def test_types_are_learnt_once_and_not_for_each_workflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's library makes a converter for each workflow; learning the types of a task takes milliseconds."""
    learnt: list[Any] = []
    init = TypeAdapter.__init__

    def counting(self: Any, type: Any, **options: Any) -> None:
        learnt.append(type)
        init(self, type, **options)

    converters = [DATA_CONVERTER.payload_converter_class() for _ in range(3)]
    (payload,) = converters[0].to_payloads([WORK])
    assert converters[0].from_payloads([payload], [Work]) == [WORK]
    monkeypatch.setattr(TypeAdapter, "__init__", counting)
    assert [converter.from_payloads([payload], [Work]) for converter in converters] == [[WORK]] * 3
    assert learnt == []


async def test_fewer_payloads_than_types_are_read() -> None:
    """A chunk that waits for a worker has no heartbeat, and a worker of another version may tell less."""
    assert await DATA_CONVERTER.decode([], [Progress]) == []
    payloads = await DATA_CONVERTER.encode([Progress(percent=7)])
    assert await DATA_CONVERTER.decode(payloads, [Progress, Work]) == [Progress(percent=7)]
