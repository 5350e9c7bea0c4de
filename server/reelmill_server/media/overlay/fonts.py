"""Find fonts, installed ones first and then those that come with the server, and the characters that each has."""

import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from reelmill_server.media.overlay.glyphs import Font, characters, family_names

_FOLDERS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "~/.local/share/fonts",
    "~/.fonts",
    "/Library/Fonts",
    "/System/Library/Fonts",
)
_SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")
_PACKAGES = ("manimgx_fonts_cjk", "manimgx_fonts")
_PACKAGED_CJK = "NotoSansCJK-VF.otf.ttc"
_ITALIC = ("Italic", "Oblique")
_MONOSPACED = "Mono"
_REGULAR, _BOLD = 400, 700
# Which face of a collection, and which of the files with one region each, has the forms of a language.
_REGIONS = {"ja": "JP", "ko": "KR", "zh": "SC"}


@dataclass(frozen=True)
class Family:
    """A font name of the contract: the file names that match it, best first, and its weight."""

    files: tuple[str, ...]
    weight: int


FAMILIES: Mapping[str, Family] = {
    "SourceHanSans-Regular": Family(("SourceHanSans*-Regular.*", "NotoSansCJK*-Regular.*", "NotoSansCJK*VF*"), _REGULAR),
    "SourceHanSans-Bold": Family(("SourceHanSans*-Bold.*", "NotoSansCJK*-Bold.*", "NotoSansCJK*VF*"), _BOLD),
    "SourceHanSerif-Regular": Family(("SourceHanSerif*-Regular.*", "NotoSerifCJK*-Regular.*", "NotoSerifCJK*VF*"), _REGULAR),
    "SourceHanSerif-Bold": Family(("SourceHanSerif*-Bold.*", "NotoSerifCJK*-Bold.*", "NotoSerifCJK*VF*"), _BOLD),
}
"""The contract's fonts. Noto CJK is the same design as Source Han under another name."""


@dataclass(frozen=True)
class Face:
    """A font in a file; `weight` selects that of a variable font."""

    path: str
    number: int = 0
    weight: int = _REGULAR

    def has(self, character: str) -> bool:
        """Return whether it has a glyph for the character."""
        return ord(character) in characters(self.path, self.number)

    def at(self, size: int) -> Font:
        """Return the font to draw with, `size` pixels to the em."""
        return _font(self, size)


@cache
def _font(face: Face, size: int) -> Font:
    return Font(face.path, face.number, face.weight, size)


def language_of(text: str) -> str:
    """Return the language of a text among those that share characters but not their forms: ja by its kana, ko by its hangul,
    else zh.
    """
    names = [unicodedata.name(character, "") for character in text]
    if any(name.startswith(("HIRAGANA", "KATAKANA")) for name in names):
        return "ja"
    return "ko" if any(name.startswith("HANGUL") for name in names) else "zh"


def wanted_face(name: str, language: str) -> Face | None:
    """Return the installed font of this name, None when there is none."""
    family, region = FAMILIES[name], _REGIONS[language]
    for pattern in family.files:
        paths = [path for path in _installed() if fnmatch(path.name, pattern)]
        paths.sort(key=lambda path: (region not in path.stem.split("-")[0], path.name))
        if paths:
            return Face(str(paths[0]), _region_number(str(paths[0]), region), family.weight)
    return None


def packaged_faces(name: str, language: str) -> Sequence[Face]:
    """Return the fonts that come with the server, in the weight of the font `name`: Chinese, Japanese and Korean first."""
    weight = FAMILIES[name].weight
    faces = []
    for path in _packaged():
        number = _region_number(str(path), _REGIONS[language]) if path.name == _PACKAGED_CJK else 0
        faces.append(Face(str(path), number, weight))
    return faces


def other_faces() -> Iterator[Face]:
    """Return all other installed upright fonts."""
    for path in _installed():
        if not any(word in path.stem for word in _ITALIC):
            yield Face(str(path))


@cache
def _packaged() -> tuple[Path, ...]:
    files: list[Path] = []
    for package in _PACKAGES:
        spec = find_spec(package)
        if spec and spec.origin:
            paths = sorted(Path(spec.origin).parent.iterdir(), key=lambda path: path.name.partition("[")[0])
            files += [path for path in paths if path.suffix in _SUFFIXES and not any(word in path.stem for word in _ITALIC)]
    return tuple(files)


@cache
def _installed() -> tuple[Path, ...]:
    folders = [Path(folder).expanduser() for folder in _FOLDERS]
    if "XDG_DATA_HOME" in os.environ:
        folders.append(Path(os.environ["XDG_DATA_HOME"], "fonts"))
    files = [Path(root, name) for folder in folders for root, _, names in os.walk(folder) for name in names]
    return tuple(sorted(path for path in files if path.suffix.lower() in _SUFFIXES))


@cache
def _region_number(path: str, region: str) -> int:
    """Return the number of the face of a collection that has the forms of a region; 0 when none says so."""
    for number, name in enumerate(family_names(path)):
        words = name.split()
        if region in words and _MONOSPACED not in words:
            return number
    return 0
