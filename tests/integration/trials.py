"""Trials of encoders, made once in each process of the tests."""

from copy import copy
from typing import Any

from reelmill_server.worker.parent.capabilities import Capabilities

_KEPT = ("decoders", "filters", "detectors", "versions", "_encoders")
_results: dict[str, Any] = {}


async def discover(capabilities: Capabilities) -> None:
    """Let `capabilities` know what was tried: a second of CPU each time, else."""
    if not _results:
        await capabilities.discover()
        _results.update({name: getattr(capabilities, name) for name in _KEPT})
    for name, result in _results.items():
        setattr(capabilities, name, copy(result))
