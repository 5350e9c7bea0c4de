"""Tone-map HDR to BT.709 by a 3D lookup table, since few builds of libav have filters that compute it.

The light of the source (SMPTE ST 2084, or ARIB STD-B67 with the OOTF of BT.2100 for 1000 cd/m²) is compressed by the EETF of
BT.2390 to 203 cd/m², the reference white of BT.2408, by its brightest component so that hues stay; converted from the
primaries of BT.2020 to those of BT.709, clipped, and coded for a display of gamma 2.4 (BT.1886).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from reelmill_server.media.libav.log import option_text

SIZE = 33  # points per side: the interpolation error stays near that of rounding to 8 bits
WHITE_NITS = 203.0
HLG_PEAK_NITS = 1000.0
# SMPTE ST 2084
PQ_M1, PQ_M2, PQ_C1, PQ_C2, PQ_C3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
# ARIB STD-B67, BT.2100
HLG_A, HLG_B, HLG_C, OOTF_GAMMA = 0.17883277, 0.28466892, 0.55991073, 1.2
BT2020_LUMA = (0.2627, 0.6780, 0.0593)
# BT.2087: BT.2020 to BT.709, linear
_TO_BT709 = ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187))

Colour = tuple[float, float, float]


def pq_nits(signal: float) -> float:
    """Return the light of a PQ signal (0..1), cd/m²."""
    power = max(signal, 0.0) ** (1 / PQ_M2)
    return float(10_000 * (max(power - PQ_C1, 0.0) / (PQ_C2 - PQ_C3 * power)) ** (1 / PQ_M1))


def pq_signal(nits: float) -> float:
    """Return the PQ signal (0..1) of a light in cd/m²."""
    power = (max(nits, 0.0) / 10_000) ** PQ_M1
    return float(((PQ_C1 + PQ_C2 * power) / (1 + PQ_C3 * power)) ** PQ_M2)


def hlg_nits(colour: Colour) -> Colour:
    """Return the light of an HLG color on a display of 1000 cd/m²."""
    red, green, blue = (s * s / 3 if s <= 0.5 else (2.718281828459045 ** ((s - HLG_C) / HLG_A) + HLG_B) / 12 for s in colour)
    luma = BT2020_LUMA[0] * red + BT2020_LUMA[1] * green + BT2020_LUMA[2] * blue
    gain = HLG_PEAK_NITS * luma ** (OOTF_GAMMA - 1) if luma > 0 else 0.0
    return red * gain, green * gain, blue * gain


def compressed(nits: float, peak: float) -> float:
    """Compress light by BT.2390's EETF from black..`peak` to black..203 cd/m²."""
    top = pq_signal(peak)
    signal, limit = min(pq_signal(nits) / top, 1.0), pq_signal(WHITE_NITS) / top
    knee = 1.5 * limit - 0.5
    if signal > knee:
        t = (signal - knee) / (1 - knee)
        signal = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * limit
    return pq_nits(signal * top)


def sdr(light: Colour, peak: float) -> Colour:
    """Return the BT.709 signal (0..1) of a light in cd/m², in the primaries of BT.2020, for sources as bright as `peak`."""
    brightest = max(light)
    if brightest <= 0:
        return 0.0, 0.0, 0.0
    gain = compressed(brightest, peak) / brightest / WHITE_NITS
    linear = [sum(weight * part for weight, part in zip(row, light, strict=True)) * gain for row in _TO_BT709]
    red, green, blue = (min(max(part, 0.0), 1.0) ** (1 / 2.4) for part in linear)
    return red, green, blue


@cache
def cube(name: str) -> str:
    """Write the table `hlg` or `pq-<peak in cd/m²>` as an Adobe/Iridas .cube file, red counting fastest."""
    kind, _, peak = name.partition("-")
    steps = [number / (SIZE - 1) for number in range(SIZE)]
    nits = [pq_nits(step) for step in steps]
    lines = [f"LUT_3D_SIZE {SIZE}"]
    for blue in range(SIZE):
        for green in range(SIZE):
            for red in range(SIZE):
                if kind == "hlg":
                    colour = sdr(hlg_nits((steps[red], steps[green], steps[blue])), HLG_PEAK_NITS)
                else:
                    colour = sdr((nits[red], nits[green], nits[blue]), float(peak))
                lines.append(" ".join(f"{part:.6f}" for part in colour))
    return "\n".join(lines) + "\n"


@contextmanager
def table_files(filters: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Replace the name of a table in `lut3d=file=` by a file that exists inside the block: libav reads it when it builds the
    filter.
    """
    if not any(text.startswith("lut3d=") for text in filters):
        yield filters
        return
    with TemporaryDirectory() as folder:
        yield tuple(_with_file(text, Path(folder)) for text in filters)


def _with_file(text: str, folder: Path) -> str:
    before, mark, rest = text.partition("lut3d=file=")
    if before or not mark:
        return text
    name, _, options = rest.partition(":")
    path = folder / f"{name}.cube"
    path.write_text(cube(name))
    return f"{mark}{option_text(path)}:{options}"
