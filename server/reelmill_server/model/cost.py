"""What an attempt is expected to need of its worker."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """What carrying out a plan takes, by estimate.

    `cores`: how many it keeps busy while it runs, if the machine has them. `memory_bytes`: the child's resident memory at its
    peak. `scratch_bytes`: what its outputs take on the worker's disk. `core_seconds`: CPU work in all.
    """

    cores: float = 1.0
    memory_bytes: int = 0
    scratch_bytes: int = 0
    core_seconds: float = 0.0
