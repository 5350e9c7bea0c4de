"""Draw texts of any script, once, as pictures with transparency."""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from reelmill_server.errors import MediaLimitExceeded
from reelmill_server.media.overlay import bidi, fonts
from reelmill_server.media.overlay.fonts import Face
from reelmill_server.media.overlay.glyphs import Font, Glyphs, script_runs
from reelmill_server.model.overlay_request import AT_BOTTOM, AT_RIGHT, Corner, TextSpec

_TAB = "    "
_SHOWN_CHARACTERS = 5
_MOST_PIXELS = 100_000_000
_UNIT = 64  # units of length per pixel
# Outputs have threads of their own, and a FreeType font serves one thread at a time.
_DRAWING = Lock()


@dataclass(frozen=True)
class _Line:
    """Runs of glyphs from left to right; `from_right`: the line begins at the right edge."""

    runs: Sequence[tuple[Font, Glyphs]]
    from_right: bool

    @property
    def length(self) -> int:
        """Return its length in 1/64 pixel."""
        return sum(glyphs.advance for _, glyphs in self.runs)


def draw_text(
    spec: TextSpec, corner: Corner, at_most: tuple[int, int], aspect: Fraction, note: Callable[[str], None]
) -> NDArray[np.uint8]:
    """Return the text as RGBA, cropped to its ink; of one larger than `at_most` pixels (width, height), the part at `corner`.

    `aspect`: the display aspect ratio of a pixel. `note` takes warnings for the user: characters that no font has are left
    out, and so is what does not fit. Raises MediaLimitExceeded for a text that is too large to be drawn.
    """
    content = "\n".join(unicodedata.normalize("NFC", spec.content).replace("\t", _TAB).splitlines())
    chosen = _Chooser(spec.font, content, note)
    with _DRAWING:
        lines = [_shaped(line, spec.size, chosen) for line in content.splitlines()]
        chosen.tell()
        whole, room = _masks(spec, lines, max(at_most)), (round(at_most[0] * aspect), at_most[1])
    size = whole[0].size
    if size[0] > room[0] or size[1] > room[1]:
        note(f"a text of {size[0]}x{size[1]} pixels does not fit into the picture: cut")
    area = _part(size, room, corner)
    picture = _coloured(spec, *(mask.crop(area) for mask in whole))
    if aspect != 1 and picture.width:
        picture = picture.resize((max(1, round(picture.width / aspect)), picture.height), Image.Resampling.LANCZOS)
    return np.asarray(picture)


class _Chooser:
    """Choose a font for each character of a text: the requested one, else one that comes with the server, else any."""

    def __init__(self, name: str, content: str, note: Callable[[str], None]) -> None:
        language = fonts.language_of(content)
        wanted = fonts.wanted_face(name, language)
        self._name, self._note = name, note
        self._faces = [*([wanted] if wanted else []), *fonts.packaged_faces(name, language)]
        self._missing: dict[str, None] = {}
        if wanted is None and "Serif" in name:
            note(f"the font {name} (or Noto Serif CJK) is not installed: another font was used")

    def __call__(self, character: str, current: Face | None) -> Face | None:
        """Return the font of a character, None when none has it."""
        kind = unicodedata.category(character)
        if current and (kind == "Cf" or (kind.startswith("M") and current.has(character))):
            return current  # joiners and combining marks belong to the letter before
        face = next((face for face in self._faces if face.has(character)), None)
        if face is None:
            face = next((face for face in fonts.other_faces() if face.has(character)), None)
            if face is not None:
                self._faces.append(face)
        if face is None and kind not in ("Cc", "Cf"):
            self._missing[character] = None
        return face

    def tell(self) -> None:
        """Warn about missing characters, once."""
        if not self._missing:
            return
        codes = ", ".join(f"U+{ord(character):04X}" for character in list(self._missing)[:_SHOWN_CHARACTERS])
        rest = len(self._missing) - _SHOWN_CHARACTERS
        scripts = ", ".join(dict.fromkeys(_script(character) for character in self._missing))
        self._note(
            f"no font has {codes}{f' and {rest} more' if rest > 0 else ''} ({scripts}), looked for in {self._name}, the fonts "
            "that come with the server and all installed ones: left out"
        )


def _script(character: str) -> str:
    """Return the script of a letter, the first word of its name in Unicode, or else the kind of sign it is."""
    if unicodedata.category(character).startswith("L"):
        return unicodedata.name(character, "unknown").split()[0].title()
    return "symbol" if unicodedata.category(character).startswith("S") else "sign"


def _shaped(line: str, size: int, choose: _Chooser) -> _Line:
    faces: list[Face | None] = []
    current: Face | None = None
    for character in line:
        faces.append(choose(character, current))
        current = faces[-1] or current
    layout = bidi.layout(line)
    runs: list[tuple[Font, Glyphs]] = []
    for span in layout.spans:
        parts = []
        for face, group in groupby(range(span.start, span.end), faces.__getitem__):
            text = "".join(line[number] for number in group)
            parts += [(face.at(size), part) for part in script_runs(text)] if face else []
        runs += [(font, font.shape(part, span.from_right)) for font, part in parts[:: -1 if span.from_right else 1]]
    return _Line(runs, layout.from_right)


def _part(size: tuple[int, int], room: tuple[int, int], corner: Corner) -> tuple[int, int, int, int]:
    """Return the part of `size` that is at most as large as `room` and lies at the corner: left, top, right, bottom."""
    left = max(0, size[0] - room[0]) if corner in AT_RIGHT else 0
    top = max(0, size[1] - room[1]) if corner in AT_BOTTOM else 0
    return left, top, min(size[0], left + room[0]), min(size[1], top + room[1])


def _masks(spec: TextSpec, lines: Sequence[_Line], widest_border: int) -> tuple[Image.Image, Image.Image]:
    """Return the masks of the border and of the letters, both cropped to the ink."""
    border = min(spec.border_width, widest_border)
    used = {font for line in lines for font, _ in line.runs}
    ascent = max((font.ascent for font in used), default=0)
    height = ascent + max((font.descent for font in used), default=0)
    width = max((line.length for line in lines), default=0)
    margin = border + spec.size  # letters may extend beyond their advance width
    size = (width // _UNIT + 2 * margin, len(lines) * height + 2 * margin)
    if size[0] * size[1] > _MOST_PIXELS:
        raise MediaLimitExceeded(f"a watermark's text of {size[0]}x{size[1]} pixels is too large: shorten it, or its border")
    around, letters = (np.zeros(size[::-1], np.uint8) for _ in range(2))
    for number, line in enumerate(lines):
        x, baseline = margin * _UNIT, margin + ascent + number * height
        x += width - line.length if line.from_right else 0
        for font, glyphs in line.runs:
            font.draw(glyphs, letters, x, baseline)
            if border:
                font.draw(glyphs, around, x, baseline, border)
            x += glyphs.advance
    ink = Image.fromarray(np.maximum(around, letters)).getbbox() or (0, 0, 0, 0)
    return Image.fromarray(around).crop(ink), Image.fromarray(letters).crop(ink)


def _coloured(spec: TextSpec, border: Image.Image, letters: Image.Image) -> Image.Image:
    """Return letters over their border; the opacity is that of both together."""
    picture = Image.new("RGBA", letters.size, (*ImageColor.getrgb(spec.border_color)[:3], 0))
    picture.putalpha(border)
    front = Image.new("RGBA", letters.size, (*ImageColor.getrgb(spec.color)[:3], 0))
    front.putalpha(letters)
    picture = Image.alpha_composite(picture, front)
    picture.putalpha(picture.getchannel("A").point(lambda value: round(value * spec.opacity)))
    return picture
