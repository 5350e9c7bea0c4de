"""Trials of encoders whose drivers crash or hang."""

import os
import signal
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from reelmill_server.media import capabilities as trials
from reelmill_server.model.capability import SOFTWARE, Capability, Limits
from reelmill_server.worker.child import main
from reelmill_server.worker.messages import TrialResults
from reelmill_server.worker.parent import capabilities, child_process
from reelmill_server.worker.parent.capabilities import Capabilities

ORDER = ("nvenc", "vaapi", SOFTWARE)


def _drivers(faults: dict[str, str], *arguments: Any) -> None:
    """The entry point of a child on a machine whose families fail like this."""

    def tried(codec: str, device: str, encoder: str, budget: object = None) -> Capability:
        fault = faults.get(device)
        if fault == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if fault == "hang":
            threading.Event().wait()
        return Capability(encoder, codec, device, True)

    trials.try_video = tried
    main.main(*arguments)


@pytest.mark.slow
async def test_a_bad_driver_takes_only_its_own_encoders_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """One crashes, one never answers; software works, in its place of the order. Both are tried again after the cool-down."""
    child_process.preload()
    monkeypatch.setattr(capabilities, "_FAMILY_SECONDS", 8.0)
    monkeypatch.setattr(child_process, "enter", partial(_drivers, {"nvenc": "crash", "vaapi": "hang"}))
    known = Capabilities(Limits(), ORDER, {}, 0)
    await known.discover()
    results = {capability.name: capability for capability in known.encoders}
    assert [name for name in results if results[name].codec == "h264"] == ["h264_nvenc", "h264_vaapi", "libx264"]
    assert {name for name in ("libx264", "libx265", "libsvtav1", "aac") if results[name].available} >= {"libx264", "aac"}
    assert "its driver failed at a trial" in results["h264_nvenc"].reason and "SIGSEGV" in results["hevc_nvenc"].reason
    assert results["h264_vaapi"].reason == "its driver did not answer within 8 s" and not results["h264_vaapi"].available
    monkeypatch.setattr(child_process, "enter", partial(_drivers, {}))
    await known.retry_lost()
    assert all(known.works(name) for name in ("h264_nvenc", "h264_vaapi", "libx264"))


async def test_software_is_not_lost_by_a_slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials that do not end in time are repeated, each time with twice as much."""
    child_process.preload()
    waited = list[float]()
    run = capabilities.run_trials

    async def late(limits: Limits, order: Sequence[str], only: Sequence[str] = (), seconds: float = 0) -> TrialResults | None:
        waited.append(seconds)
        return await run(limits, order, only, 300) if len(waited) > 2 else None

    monkeypatch.setattr(capabilities, "run_trials", late)
    known = Capabilities(Limits(), (SOFTWARE,), {}, 0)
    await known.discover()
    assert known.works("libx264") and known.decoders and known.versions
    assert waited == [60, 120, 240]
