"""A process from its start to its end, without an engine."""

import asyncio
import gc
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import AsyncMock, Mock

import pytest

from reelmill_server.app import run
from reelmill_server.settings import Settings


async def test_a_ready_server_collects_garbage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Collection is off while it starts (`__main__`), and must be on for all the time that it runs."""
    collecting: list[bool] = []

    def stop_at_once() -> asyncio.Event:
        collecting.append(gc.isenabled())
        stopped = asyncio.Event()
        stopped.set()
        return stopped

    monkeypatch.setattr(run, "_ROLE_NAMES", {(False, False): "nothing"})
    monkeypatch.setattr(run, "_stop_signal", stop_at_once)
    monkeypatch.setattr(run, "observe_core", lambda: Mock(collect=list, describe=list, taken=AsyncMock()))
    monkeypatch.setattr(run, "engine_address", lambda *_: nullcontext("nowhere"))
    monkeypatch.setattr(gc, "freeze", Mock())  # not all that tests have made
    for name in ("close_memory", "raise_limit", "count_from_zero"):
        monkeypatch.setattr(run, name, Mock())
    monkeypatch.setattr(run, "connect_engine", AsyncMock())
    gc.disable()
    try:
        await run.run(Settings(data_dir=tmp_path, http=""), control=False, work=False)
    finally:
        gc.enable()
    assert collecting == [True]
