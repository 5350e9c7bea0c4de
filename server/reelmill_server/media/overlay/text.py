"""Draws texts of any script, once, as pictures with transparency."""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw

from reelmill_server.errors import MediaLimitExceeded
from reelmill_server.media.overlay import bidi, fonts
from reelmill_server.media.overlay.fonts import Face
from reelmill_server.model.request import AT_BOTTOM, AT_RIGHT, Corner, TextSpec

_TAB = "    "
_SHOWN_CHARACTERS = 5
_MOST_PIXELS = 100_000_000


@dataclass(frozen=True)
class _Run:
    """Characters of one font and one direction."""

    text: str
    face: Face
    level: int

    @property
    def direction(self) -> str:
        """As Pillow calls it."""
        return "rtl" if self.level % 2 else "ltr"

    def length(self, size: int) -> float:
        """Pixels from its beginning to its end."""
        return self.face.at(size).getlength(self.text, direction=self.direction)


@dataclass(frozen=True)
class _Line:
    """Runs from left to right; `at_right`: the line is of a script from right to left and begins at the right edge."""

    runs: Sequence[_Run]
    at_right: bool

    def length(self, size: int) -> float:
        """Pixels from its beginning to its end."""
        return sum(run.length(size) for run in self.runs)


def draw_text(
    spec: TextSpec, corner: Corner, at_most: tuple[int, int], aspect: Fraction, note: Callable[[str], None]
) -> NDArray[np.uint8]:
    """The text as RGBA, as large as its ink; of one that is larger than `at_most` pixels (width, height) what lies at `corner`.

    `aspect`: how much wider than high a pixel is shown. `note` is told what a user should know: characters that no font has
    are left out, and so is what does not fit. Raises MediaLimitExceeded for a text that is too large to be drawn.
    """
    content = "\n".join(unicodedata.normalize("NFC", spec.content).replace("\t", _TAB).splitlines())
    content = bidi.without_marks(content)
    chosen = _Chooser(spec.font, content, note)
    lines = [_Line(_runs(line, chosen), bidi.direction(line) == 1) for line in content.splitlines()]
    chosen.tell()
    whole, room = _masks(spec, lines, max(at_most)), (round(at_most[0] * aspect), at_most[1])
    size = whole[0].size
    if size[0] > room[0] or size[1] > room[1]:
        note(f"a text of {size[0]}x{size[1]} pixels does not fit into the picture: cut")
    seen = _part(size, room, corner)
    picture = _coloured(spec, *(mask.crop(seen) for mask in whole))
    if aspect != 1 and picture.width:
        picture = picture.resize((max(1, round(picture.width / aspect)), picture.height), Image.Resampling.LANCZOS)
    return np.asarray(picture)


class _Chooser:
    """Chooses a font for each character of a text: the wanted one, else one that comes with the server, else any."""

    def __init__(self, name: str, content: str, note: Callable[[str], None]) -> None:
        language = fonts.language_of(content)
        wanted = fonts.wanted_face(name, language)
        self._name, self._note = name, note
        self._faces = [*([wanted] if wanted else []), *fonts.packaged_faces(name, language)]
        self._missing: dict[str, None] = {}
        if wanted is None and "Serif" in name:
            note(f"the font {name} (or Noto Serif CJK) is not installed: another font was used")

    def __call__(self, character: str, current: Face | None) -> Face | None:
        """The font of a character, None when none has it."""
        kind = unicodedata.category(character)
        if current and (kind == "Cf" or (kind.startswith("M") and current.has(character))):
            return current  # joiners and marks belong to the letter before
        face = next((face for face in self._faces if face.has(character)), None)
        if face is None:
            face = next((face for face in fonts.other_faces() if face.has(character)), None)
            if face is not None:
                self._faces.append(face)
        if face is None and kind not in ("Cc", "Cf"):
            self._missing[character] = None
        return face

    def tell(self) -> None:
        """Notes what is missing, once."""
        if not self._missing:
            return
        some = ", ".join(f"U+{ord(character):04X}" for character in list(self._missing)[:_SHOWN_CHARACTERS])
        more = len(self._missing) - _SHOWN_CHARACTERS
        scripts = ", ".join(dict.fromkeys(_script(character) for character in self._missing))
        self._note(
            f"no font has {some}{f' and {more} more' if more > 0 else ''} ({scripts}), looked for in {self._name}, the fonts "
            "that come with the server and all installed ones: left out"
        )


def _script(character: str) -> str:
    """The script of a letter as the first word of its name in Unicode, else what kind of sign it is."""
    if unicodedata.category(character).startswith("L"):
        return unicodedata.name(character, "unknown").split()[0].title()
    return "symbol" if unicodedata.category(character).startswith("S") else "sign"


def _runs(line: str, choose: _Chooser) -> Sequence[_Run]:
    """The line in runs from left to right."""
    placed: list[tuple[str, Face, int]] = []
    current: Face | None = None
    for character, level in zip(line, bidi.levels(line), strict=True):
        face = choose(character, current)
        if face is not None:
            placed.append((character, face, level))
            current = face
    runs = [
        _Run("".join(character for character, _, _ in group), *key)
        for key, group in ((key, list(group)) for key, group in groupby(placed, lambda item: item[1:]))
    ]
    return [runs[number] for number in bidi.visual_order([run.level for run in runs])]


def _part(size: tuple[int, int], room: tuple[int, int], corner: Corner) -> tuple[int, int, int, int]:
    """What of `size` is at most as large as `room` and lies at the corner: left, top, right, bottom."""
    left = max(0, size[0] - room[0]) if corner in AT_RIGHT else 0
    top = max(0, size[1] - room[1]) if corner in AT_BOTTOM else 0
    return left, top, min(size[0], left + room[0]), min(size[1], top + room[1])


def _masks(spec: TextSpec, lines: Sequence[_Line], widest_border: int) -> tuple[Image.Image, Image.Image]:
    """Where the border and where the letters are, both cut to the ink."""
    border = min(spec.border_width, widest_border)
    faces = {run.face for line in lines for run in line.runs}
    heights = [face.at(spec.size).getmetrics() for face in faces] or [(0, 0)]
    ascent, descent = (max(height[part] for height in heights) for part in (0, 1))
    width = max((line.length(spec.size) for line in lines), default=0)
    margin = border + spec.size  # letters lean out of their measures
    size = (round(width) + 2 * margin, len(lines) * (ascent + descent) + 2 * margin)
    if size[0] * size[1] > _MOST_PIXELS:
        raise MediaLimitExceeded(f"a watermark's text of {size[0]}x{size[1]} pixels is too large: shorten it, or its border")
    border_mask, letters = Image.new("L", size), Image.new("L", size)
    for number, line in enumerate(lines):
        x, y = float(margin), margin + ascent + number * (ascent + descent)
        x += width - line.length(spec.size) if line.at_right else 0
        for run in line.runs:
            font = run.face.at(spec.size)
            for mask, stroke in ((letters, 0), (border_mask, border)):
                draw = ImageDraw.Draw(mask)
                draw.text((x, y), run.text, 255, font, "ls", direction=run.direction, stroke_width=stroke)
            x += run.length(spec.size)
    ink = border_mask.getbbox() or (0, 0, 0, 0)
    return border_mask.crop(ink), letters.crop(ink)


def _coloured(spec: TextSpec, border: Image.Image, letters: Image.Image) -> Image.Image:
    """Letters over their border; the opacity is that of both together."""
    picture = Image.new("RGBA", letters.size, (*ImageColor.getrgb(spec.border_color)[:3], 0))
    picture.putalpha(border)
    front = Image.new("RGBA", letters.size, (*ImageColor.getrgb(spec.color)[:3], 0))
    front.putalpha(letters)
    picture = Image.alpha_composite(picture, front)
    picture.putalpha(picture.getchannel("A").point(lambda value: round(value * spec.opacity)))
    return picture
