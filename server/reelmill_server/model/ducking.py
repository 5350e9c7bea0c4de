"""How music gives way to a voice."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DuckingSpec:
    """Settings of a compressor of the music that the voice drives.

    `threshold_db`: level of the voice in dBFS from which on the music is lowered; `ratio`: of so many dB of the voice above
    it, the music loses all but one; `attack_ms`, `release_ms`: until it is lowered, and until it is back.
    """

    threshold_db: float = -30.0
    ratio: float = 8.0
    attack_ms: float = 20.0
    release_ms: float = 400.0


@dataclass(frozen=True)
class DuckingPlan:
    """Mixed lines that are lowered while others, the `voices`, are loud; both by the numbers of their lines."""

    asked: DuckingSpec
    voices: tuple[int, ...]
