"""Which characters fonts have, and how a text becomes glyphs and samples."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from reelmill_server.media.overlay.glyphs import Font, characters, family_names, script_runs

CJK = ("manimgx_fonts_cjk", "NotoSansCJK-VF.otf.ttc")
LATIN, ARABIC = ("manimgx_fonts", "NotoSans[wght].ttf"), ("manimgx_fonts", "NotoSansArabic[wght].ttf")


def packaged(package: str, name: str) -> str:
    """The path of a font that comes with the server."""
    spec = find_spec(package)
    assert spec and spec.origin
    return str(Path(spec.origin).parent / name)


def font(package: str, name: str, number: int = 0, weight: int = 400, size: int = 40) -> Font:
    """A font that comes with the server."""
    return Font(packaged(package, name), number, weight, size)


@pytest.mark.parametrize(
    ("file", "number", "has", "lacks"),
    [
        (CJK, 2, "Aé中龘한の𠂉€", "بशไ😀\x00"),
        (ARABIC, 0, "ابپ", "中A"),
        (LATIN, 0, "AéЖΩ€", "中ب\uffff"),
        (("manimgx_fonts", "NotoEmoji[wght].ttf"), 0, "😀", "中"),
    ],
)
def test_a_font_has_what_it_has(file: tuple[str, str], number: int, has: str, lacks: str) -> None:
    """In collections and alone, in the first plane and above."""
    result = characters(packaged(*file), number)
    assert {character for character in has + lacks if ord(character) in result} == set(has)


def test_what_is_no_font_has_nothing(tmp_path: Path) -> None:
    """Neither a missing file, nor one of words, nor half a font."""
    whole = Path(packaged("manimgx_fonts", "NotoSansThai[wght].ttf")).read_bytes()
    (tmp_path / "words").write_bytes(b"these are only words and no font at all")
    for name in ("missing", "words", "."):
        assert not characters(str(tmp_path / name))
        assert not family_names(str(tmp_path / name))
    for length in range(0, 400, 7):
        (tmp_path / f"cut {length}").write_bytes(whole[:length])
        assert not characters(str(tmp_path / f"cut {length}"))


def test_a_font_of_colors_has_nothing_that_is_drawn_here(tmp_path: Path) -> None:
    """Its characters come from another font, rather than being left out without a word."""
    plain = Path(packaged("manimgx_fonts", "NotoSansThai[wght].ttf")).read_bytes()
    (tmp_path / "colors.ttf").write_bytes(plain.replace(b"GDEF", b"COLR", 1))
    assert not characters(str(tmp_path / "colors.ttf"))


def test_the_faces_of_a_collection_have_names() -> None:
    """In their order."""
    names = family_names(packaged(*CJK))
    assert names[:5] == [f"Noto Sans CJK {region}" for region in ("JP", "KR", "SC", "TC", "HK")]
    assert family_names(packaged(*LATIN)) == ["Noto Sans"]


def test_letters_join() -> None:
    """Together they are narrower than apart."""
    arabic = font(*ARABIC)
    assert arabic.shape("ببب", True).advance < 3 * arabic.shape("ب", True).advance * 0.7


def test_what_is_written_from_the_right_begins_there() -> None:
    """The first letter's glyph is the last, and a bracket opens to the left."""
    hebrew = font("manimgx_fonts", "NotoSansHebrew[wght].ttf")
    (alef, *_), (bet, *_) = (hebrew.shape(letter, True).placed[0] for letter in "אב")
    assert [number for number, _, _ in hebrew.shape("אב", True).placed] == [bet, alef]
    latin = font(*LATIN)
    assert latin.shape("(", True).placed == latin.shape(")", False).placed


def test_a_variable_font_has_the_weight_that_is_asked() -> None:
    """Both in its measures and in its ink."""
    ink, lengths = [], []
    for weight in (400, 700):
        mask = np.zeros((60, 200), np.uint8)
        of_weight = font(*LATIN, weight=weight)
        glyphs = of_weight.shape("MII", from_right=False)
        of_weight.draw(glyphs, mask, 64, 45)
        ink.append(int(mask.sum()))
        lengths.append(glyphs.advance)
    assert ink[1] > ink[0] * 1.2 and lengths[1] > lengths[0]


@pytest.mark.parametrize("border", [0, 3])
@pytest.mark.parametrize(("x", "baseline"), [(-20, 30), (80, 30), (10, -2), (10, 75), (-300, 30), (300, 300)])
def test_what_lies_outside_is_cut(x: int, baseline: int, border: int) -> None:
    """What is left is the same as of a picture that is large enough."""
    latin = font(*LATIN)
    glyphs = latin.shape("Ag", from_right=False)
    small, large = np.zeros((60, 100), np.uint8), np.zeros((860, 900), np.uint8)
    latin.draw(glyphs, small, x * 64, baseline, border)
    latin.draw(glyphs, large, (x + 400) * 64, baseline + 400, border)
    assert (small == large[400:460, 400:500]).all()


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("ab, 12", ["ab, 12"]),
        ("12 ab", ["12 ab"]),
        ("abЖЗ1", ["ab", "ЖЗ1"]),
        ("(אב) ابت", ["(אב) ", "ابت"]),
        ("12", ["12"]),
        ("", []),
    ],
)
def test_a_text_is_parted_where_its_script_changes(text: str, runs: list[str]) -> None:
    """What has no script goes with what is before it, at the beginning with what follows."""
    assert list(script_runs(text)) == runs
