"""A quality to encode at: what is asked, which CRF was found for it, and what became of it."""

from dataclasses import dataclass
from enum import StrEnum


class Metric(StrEnum):
    """How quality is measured: VMAF (0 to 100), or the mean XPSNR of frames in dB, of luma and chroma as 4:1:1."""

    VMAF = "vmaf"
    XPSNR = "xpsnr"


@dataclass(frozen=True)
class QualityTarget:
    """A quality to encode at. CRF on the contract's scale of 0 to 51, `max_bitrate` in bit/s, None: no bound.

    `crf`: found by the search, None before it; `predicted`: the value that its samples promise. `every`: only each n-th frame
    is scored, as on samples.
    """

    metric: Metric
    value: float
    min_crf: float = 8.0
    max_crf: float = 48.0
    max_bitrate: int | None = None
    crf: float | None = None
    predicted: float | None = None
    every: int = 1


@dataclass(frozen=True)
class QualityResult:
    """The quality that a stream was given: the CRF found, what its samples promised, and `final`, measured over all of it."""

    metric: Metric
    target: float
    crf: float
    predicted: float
    final: float
