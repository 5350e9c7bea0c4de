"""Loudness by EBU R 128 and ITU-R BS.1770: what is asked for, planned and measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

SILENCE_LUFS = -70.0
"""The absolute gate: what is not louder has no loudness."""
SILENCE_DBTP = -120.0
LOUDNESS_FORMAT = "flt"
"""The sample format in which loudness is measured and changed; packed, as PyAV reads beyond planes of eight channels."""
DEFAULT_LUFS, DEFAULT_DBTP = -23.0, -1.0


class LoudnessMode(StrEnum):
    """Whether loudness is only measured, or brought to a level."""

    MEASURE = "measure"
    NORMALIZE = "normalize"


@dataclass(frozen=True)
class LoudnessSpec:
    """The loudness asked for: `integrated` in LUFS, `true_peak` in dBTP; `dual_mono`: mono is for two loudspeakers."""

    mode: LoudnessMode = LoudnessMode.NORMALIZE
    integrated: float = DEFAULT_LUFS
    true_peak: float = DEFAULT_DBTP
    dual_mono: bool = False


@dataclass(frozen=True)
class Loudness:
    """Measured loudness: `integrated` in LUFS, `range` in LU, `true_peak` in dBTP."""

    integrated: float = SILENCE_LUFS
    range: float = 0.0
    true_peak: float = SILENCE_DBTP

    @property
    def silent(self) -> bool:
        """Whether nothing of it is louder than the absolute gate."""
        return self.integrated <= SILENCE_LUFS


@dataclass(frozen=True)
class LoudnessPlan:
    """The loudness planned for a stream. `before`: as a first pass has measured it; None: that has not run.

    `decoded_peak`: dBTP of what the encoder made of it with `headroom_db` below the limit; None: not tried. `tries`: that is
    measured now.
    """

    asked: LoudnessSpec
    before: Loudness | None = None
    headroom_db: float = 0.0
    decoded_peak: float | None = None
    tries: bool = False

    @property
    def normalizes(self) -> bool:
        """Whether a gain is applied."""
        return self.asked.mode is LoudnessMode.NORMALIZE

    @property
    def ceiling_db(self) -> float:
        """The limiter's ceiling in dBTP: the limit that was asked for, less what the encoder was found to add to peaks."""
        return self.asked.true_peak - self.headroom_db

    @property
    def peak_db(self) -> float:
        """The true peak after the gain, without a limiter."""
        return (self.before or Loudness()).true_peak + self.gain_db

    @property
    def gain_db(self) -> float:
        """The gain for all of the stream; 0 where nothing is to be changed, or nothing was measured."""
        if not self.normalizes or self.before is None or self.before.silent:
            return 0.0
        return self.asked.integrated - self.before.integrated


@dataclass(frozen=True)
class LoudnessResult:
    """Loudness before the gain and after it, and how many samples a limiter lowered."""

    before: Loudness
    after: Loudness
    gain_db: float = 0.0
    limited_samples: int = 0

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "LoudnessResult":
        """Return the result that `dataclasses.asdict` made `data` of."""
        return cls(**{**data, "before": Loudness(**data["before"]), "after": Loudness(**data["after"])})
