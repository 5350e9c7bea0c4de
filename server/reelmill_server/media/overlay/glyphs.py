"""Shape and draw text: HarfBuzz chooses and places glyphs, FreeType fills and strokes their outlines."""

import ctypes
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby

import freetype
import numpy as np
import uharfbuzz
from numpy.typing import NDArray

_OUTLINES = frozenset(("glyf", "CFF ", "CFF2"))
_COLORS = frozenset(("CBDT", "COLR", "SVG ", "sbix"))
_WEIGHT = "wght"
_UNIT = 64  # per pixel, in FreeType and here


@dataclass(frozen=True)
class Glyphs:
    """Glyphs of one font from left to right: their numbers, and their positions right of and above the text's beginning.

    All lengths are in 1/64 pixel.
    """

    placed: Sequence[tuple[int, int, int]]
    advance: int


class Font:
    """Face `number` of a font file, `size` pixels to the em; `weight` is that of a variable font.

    `ascent`, `descent`: pixels from the baseline to the top and to the bottom of a line.
    """

    def __init__(self, path: str, number: int, weight: int, size: int) -> None:
        face = _opened(path, number)
        self._shaper = uharfbuzz.Font(face)
        self._shaper.scale = (size * _UNIT, size * _UNIT)
        self._rasterizer = freetype.Face(path, number)
        self._rasterizer.set_pixel_sizes(0, size)
        if face.axis_infos:
            weights = [weight if axis.tag == _WEIGHT else axis.default_value for axis in face.axis_infos]
            self._shaper.set_variations({_WEIGHT: weight})
            self._rasterizer.set_var_design_coords(weights)

        self.ascent: int = round(self._rasterizer.size.ascender / _UNIT)
        self.descent: int = round(-self._rasterizer.size.descender / _UNIT)

    def shape(self, text: str, from_right: bool) -> Glyphs:
        """Choose and place the glyphs of a text of one script and direction."""
        buffer = uharfbuzz.Buffer()
        buffer.add_str(text)
        buffer.guess_segment_properties()
        buffer.direction = "rtl" if from_right else "ltr"
        uharfbuzz.shape(self._shaper, buffer)
        placed, advance = [], 0
        for glyph, position in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
            placed.append((glyph.codepoint, advance + position.x_offset, position.y_offset))
            advance += position.x_advance
        return Glyphs(placed, advance)

    def draw(self, glyphs: Glyphs, mask: NDArray[np.uint8], x: int, baseline: int, border: int = 0) -> None:
        """Draw onto `mask` from `x` (1/64 pixel) on; with a border (pixels), draw only the outline of the letters."""
        stroker = freetype.Stroker()
        stroker.set(border * _UNIT, freetype.FT_STROKER_LINECAP_ROUND, freetype.FT_STROKER_LINEJOIN_ROUND, 0)
        for number, right, up in glyphs.placed:
            self._rasterizer.load_glyph(number, freetype.FT_LOAD_DEFAULT | freetype.FT_LOAD_NO_BITMAP)
            glyph = self._rasterizer.glyph.get_glyph()
            if border:
                glyph.stroke(stroker, True)
            left, rest = divmod(x + right, _UNIT)
            drawn = glyph.to_bitmap(freetype.FT_RENDER_MODE_NORMAL, freetype.Vector(rest, up), True)
            _lay(_samples(drawn.bitmap), mask, left + drawn.left, baseline - drawn.top)


def _samples(bitmap: freetype.Bitmap) -> NDArray[np.uint8]:
    # `bitmap.buffer` would build a list of Python integers: hundreds of megabytes for a wide border.
    data = ctypes.string_at(bitmap._FT_Bitmap.buffer, bitmap.rows * bitmap.pitch)
    return np.frombuffer(data, np.uint8).reshape(bitmap.rows, bitmap.pitch)[:, : bitmap.width]


def _lay(samples: NDArray[np.uint8], mask: NDArray[np.uint8], left: int, top: int) -> None:
    """Merge `samples` into `mask`, as far as they lie in it; where letters overlap, the darker sample counts."""
    high, wide = samples.shape
    rows, columns = slice(max(0, top), max(0, top + high)), slice(max(0, left), max(0, left + wide))
    below = mask[rows, columns]
    above = samples[rows.start - top :, columns.start - left :][: below.shape[0], : below.shape[1]]
    np.maximum(below, above, out=below)


def script_runs(text: str) -> Iterator[str]:
    """Split a text where its script changes; digits, spaces and signs stay with the letters before them."""
    scripts: list[str | None] = []
    for character in text:
        scripts.append(_script(character) or (scripts[-1] if scripts else None))
    first = next((script for script in scripts if script), None)
    for _, group in groupby(zip(text, scripts, strict=True), lambda pair: pair[1] or first):
        yield "".join(character for character, _ in group)


@cache
def _script(character: str) -> str | None:
    buffer = uharfbuzz.Buffer()
    buffer.add_str(character)
    buffer.guess_segment_properties()
    script: str | None = buffer.script
    return script


@cache
def characters(path: str, number: int = 0) -> Collection[int]:
    """Return the characters that face `number` of a font file has; none for a file that is no font, or has color glyphs
    only.
    """
    try:
        face = _opened(path, number)
        freetype.Face(path, number)
    except (uharfbuzz.HarfBuzzError, freetype.FT_Exception):
        return frozenset()
    tables = _OUTLINES.intersection(face.table_tags)
    codes: Collection[int] = face.unicodes if tables and _COLORS.isdisjoint(face.table_tags) else frozenset()
    return codes


def family_names(path: str) -> Sequence[str]:
    """Return the names of the faces of a font file, in their order."""
    try:
        count = _opened(path, 0).count
        return [_opened(path, number).get_name(uharfbuzz.OTNameIdPredefined.FONT_FAMILY) or "" for number in range(count)]
    except uharfbuzz.HarfBuzzError:
        return ()


@cache
def _opened(path: str, number: int) -> uharfbuzz.Face:
    return uharfbuzz.Face(uharfbuzz.Blob.from_file_path(path), number)
