"""Estimated cost of an attempt."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """Estimated resources to carry out a plan.

    `cores`: how many it keeps busy, if the machine has them. `memory_bytes`: peak resident memory of the child.
    `scratch_bytes`: size of its outputs on the worker's disk. `core_seconds`: total CPU time.
    """

    cores: float = 1.0
    memory_bytes: int = 0
    scratch_bytes: int = 0
    core_seconds: float = 0.0
