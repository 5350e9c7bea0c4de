"""A worker says that an accelerator is there while it is, and not longer."""

from functools import partial
from typing import Any

import pytest

from reelmill_server.app import background, work
from tests.waiting import eventually


class Shown:
    """Stands for the engine's worker: whether it polls, for which family."""

    def __init__(self) -> None:
        self.families: list[str] = []

    def worker(self, _: Any, family: str) -> "Shown":
        """What would poll."""
        self.asked = family
        return self

    async def __aenter__(self) -> None:
        self.families.append(self.asked)

    async def __aexit__(self, *_: object) -> None:
        self.families.remove(self.asked)


class Encoders:
    """Of which those in `working` work."""

    def __init__(self) -> None:
        self.working: tuple[str, ...] = ()

    def has_sessions(self, family: str, streams: int) -> bool:
        """Like Capabilities."""
        assert streams == 0  # a card that is busy is there all the same
        return family in self.working


async def test_presence_follows_what_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shown when the encoder works, no more when it is lost, again when it is back, and not after the end."""
    encoders: Any = Encoders()
    shown = Shown()
    monkeypatch.setattr(work, "presence_worker", shown.worker)
    monkeypatch.setattr(work, "_TRIAL_CHECK_SECONDS", 0.01)
    step = partial(work._show_presence, None, "nvenc", encoders)
    async with background.background("presence", step, 0.01):
        for working in ((), ("nvenc",), (), ("nvenc",)):
            encoders.working = working
            await eventually(lambda working=working: tuple(shown.families) == working, f"presence of {working}")  # type: ignore[misc]
    assert shown.families == []
