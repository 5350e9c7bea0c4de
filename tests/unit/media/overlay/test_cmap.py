"""Which characters fonts have."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from reelmill_server.media.overlay.cmap import characters


def packaged(package: str, name: str) -> str:
    """The path of a font that comes with the server."""
    spec = find_spec(package)
    assert spec and spec.origin
    return str(Path(spec.origin).parent / name)


@pytest.mark.parametrize(
    ("package", "name", "number", "has", "lacks"),
    [
        ("manimgx_fonts_cjk", "NotoSansCJK-VF.otf.ttc", 2, "Aé中龘한の𠂉€", "بशไ😀\x00"),
        ("manimgx_fonts", "NotoSansArabic[wght].ttf", 0, "ابپ", "中A"),
        ("manimgx_fonts", "NotoSans[wght].ttf", 0, "AéЖΩ€", "中ب\uffff"),
        ("manimgx_fonts", "NotoEmoji[wght].ttf", 0, "😀", "中"),
    ],
)
def test_a_font_has_what_it_has(package: str, name: str, number: int, has: str, lacks: str) -> None:
    """Of both formats of tables, in collections and alone."""
    found = characters(packaged(package, name), number)
    assert {character for character in has + lacks if ord(character) in found} == set(has)


def test_what_is_no_font_has_nothing(tmp_path: Path) -> None:
    """Neither a missing file, nor one of words, nor half a font."""
    whole = Path(packaged("manimgx_fonts", "NotoSansThai[wght].ttf")).read_bytes()
    (tmp_path / "words").write_bytes(b"these are only words and no font at all")
    assert characters(str(tmp_path / "missing")) == characters(str(tmp_path / "words")) == frozenset()
    for length in range(0, 400, 7):
        (tmp_path / "cut").write_bytes(whole[:length])
        assert characters(str(tmp_path / "cut")) == frozenset()
