"""What work costs, as plain data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """What carrying out a plan takes: cores kept busy, peak bytes of memory, bytes of scratch, seconds of one core in all."""

    cores: float = 1.0
    memory_bytes: int = 0
    scratch_bytes: int = 0
    core_seconds: float = 0.0
