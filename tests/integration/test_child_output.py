"""What a child prints: logged line by line, bounded, whatever it is."""

import os
from functools import partial
from typing import Any

import pytest
from structlog.testing import capture_logs

from reelmill_server.model.capability import Limits
from reelmill_server.worker import messages
from reelmill_server.worker.child import main as child
from reelmill_server.worker.parent import child_process


def _print(text: bytes, times: int, *arguments: Any) -> None:
    """The entry point of a child whose libraries print."""

    def work(attempt: Any) -> messages.FromChild:
        for number in range(times):
            try:
                os.write(1 + number % 2, text)
            except BrokenPipeError:
                break
        return messages.Probed(())

    child._ACTIONS = {**child._ACTIONS, "probe": work}
    child.main(*arguments)


async def _logged(monkeypatch: pytest.MonkeyPatch, text: bytes, times: int) -> list[str]:
    child_process.preload()
    monkeypatch.setattr(child_process, "enter", partial(_print, text, times))
    with capture_logs() as logs:
        async with child_process.start(messages.Assignment("probe", Limits())) as process:
            assert isinstance(await process.receive(30), messages.Probed)
    return [event["line"] for event in logs if event["event"] == "child output"]


async def test_lines_are_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of both streams; what would move a cursor does not."""
    assert await _logged(monkeypatch, b"x265 [info]: \x1b[31mred\n", 2) == ["x265 [info]:  [31mred"] * 2


async def test_what_x265_says_in_a_container_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for each of its threads; what else it says is logged."""
    text = b"set_mempolicy: Operation not permitted\n" * 8 + b"set_mempolicy: Bad address\n"
    assert await _logged(monkeypatch, text, 1) == ["set_mempolicy: Bad address"]


async def test_a_line_without_an_end_is_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last, for example."""
    assert await _logged(monkeypatch, b"a bit", 1) == ["a bit"]


@pytest.mark.sample(every=2)
@pytest.mark.parametrize(("text", "times"), [(b"flood\n", 100_000), (b"z" * 100_000, 100)])
async def test_a_flood_ends(monkeypatch: pytest.MonkeyPatch, text: bytes, times: int) -> None:
    """The child goes on, and its parent has read enough."""
    lines = await _logged(monkeypatch, text, times)
    assert len(lines) <= 100 and max(map(len, lines)) <= 500
