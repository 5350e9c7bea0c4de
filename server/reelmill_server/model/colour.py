"""Colors as ITU-T H.273 and libav number them: the numbers that the code names, and libav's names of all.

Media may use numbers that are not listed here, so fields of the model are plain integers.
"""

from collections.abc import Mapping
from enum import IntEnum


class Matrix(IntEnum):
    """MatrixCoefficients (AVColorSpace): how luma and chroma are derived from red, green and blue."""

    GBR = 0
    BT709 = 1
    UNSPECIFIED = 2
    FCC = 4
    BT470BG = 5
    SMPTE170M = 6
    SMPTE240M = 7
    BT2020_NCL = 9
    BT2020_CL = 10


class Range(IntEnum):
    """AVColorRange: whether values leave headroom and footroom (a flag in H.273)."""

    UNSPECIFIED = 0
    LIMITED = 1
    FULL = 2


class Transfer(IntEnum):
    """TransferCharacteristics (AVColorTransferCharacteristic): how light is converted to values."""

    BT709 = 1
    UNSPECIFIED = 2
    PQ = 16
    HLG = 18


class Primaries(IntEnum):
    """ColourPrimaries (AVColorPrimaries): the red, green and blue of the color space."""

    BT709 = 1
    UNSPECIFIED = 2
    BT2020 = 9


MATRIX_NAMES: Mapping[int, str] = {
    Matrix.GBR: "gbr",
    Matrix.BT709: "bt709",
    Matrix.FCC: "fcc",
    Matrix.BT470BG: "bt470bg",
    Matrix.SMPTE170M: "smpte170m",
    Matrix.SMPTE240M: "smpte240m",
    Matrix.BT2020_NCL: "bt2020nc",
    Matrix.BT2020_CL: "bt2020c",
}
SCALE_NAMES: Mapping[int, str] = {
    Matrix.BT709: "bt709",
    Matrix.BT470BG: "bt470",
    Matrix.SMPTE170M: "smpte170m",
    Matrix.SMPTE240M: "smpte240m",
    Matrix.BT2020_NCL: "bt2020",
}
"""Matrices supported by libav's scale filter, by its own names."""
RANGE_NAMES: Mapping[int, str] = {Range.LIMITED: "tv", Range.FULL: "pc"}
TRANSFER_NAMES: Mapping[int, str] = {
    Transfer.BT709: "bt709",
    4: "gamma22",
    5: "gamma28",
    6: "smpte170m",
    7: "smpte240m",
    8: "linear",
    13: "iec61966-2-1",
    14: "bt2020-10",
    15: "bt2020-12",
    Transfer.PQ: "smpte2084",
    Transfer.HLG: "arib-std-b67",
}
PRIMARIES_NAMES: Mapping[int, str] = {
    Primaries.BT709: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "film",
    Primaries.BT2020: "bt2020",
    12: "smpte432",
}
LUMA_WEIGHTS: Mapping[int, tuple[float, float]] = {
    Matrix.BT709: (0.2126, 0.0722),
    Matrix.FCC: (0.30, 0.11),
    Matrix.BT470BG: (0.299, 0.114),
    Matrix.SMPTE170M: (0.299, 0.114),
    Matrix.SMPTE240M: (0.212, 0.087),
    Matrix.BT2020_NCL: (0.2627, 0.0593),
    Matrix.BT2020_CL: (0.2627, 0.0593),
}
"""Weights of red and blue in luma; green has the rest."""
