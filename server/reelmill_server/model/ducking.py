"""How music gives way to a voice."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DuckingSpec:
    """What is asked: `threshold_db` of the voice in dBFS, the `ratio` above it, `attack_ms` and `release_ms`."""

    threshold_db: float = -30.0
    ratio: float = 8.0
    attack_ms: float = 20.0
    release_ms: float = 400.0


@dataclass(frozen=True)
class DuckingPlan:
    """Mixed lines that are lowered while others, the `voices`, are loud; both by the numbers of their lines."""

    asked: DuckingSpec
    voices: tuple[int, ...]
