"""Texts of all scripts: their letters, order and forms."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFont

from reelmill_server.media.overlay import fonts
from reelmill_server.media.overlay.text import draw_text
from reelmill_server.model.overlay_request import Corner, TextSpec

pytestmark = pytest.mark.media


@pytest.fixture(autouse=True)
def packaged_fonts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leaves the fonts that happen to be installed here out."""
    monkeypatch.setattr(fonts, "_installed", tuple)
    yield


@pytest.mark.slow
def test_scripts_are_shaped_and_their_fonts_come_with_the_server() -> None:
    """Arabic letters join: together they are narrower than apart. No script of those that are promised is missing."""
    notes: list[str] = []

    def width(content: str) -> int:
        picture = draw_text(TextSpec(content, size=40), Corner.TOP_LEFT, (2000, 2000), Fraction(1), notes.append)
        return picture.shape[1]

    assert width("بببب") < width("ب ب ب ب") * 0.7
    assert width("शिक्षा") < sum(width(letter) for letter in "शकषा")
    for word in ("中文水印", "日本語かな", "한국어", "Ελλάδα", "Москва", "שלום", "ไทย", "தமிழ்", "አማርኛ", "ქართული", "😀", "½ €"):
        assert width(word) > 10
    assert notes == []


# What shapes, orders and draws is in libraries, whose versions may move a letter by a pixel but change no letter.
TEXTS = {
    "latin": TextSpec("Reelmill fi AV Ágy x\u0302y"),
    "bold": TextSpec("Bold 中文 Ag", font="SourceHanSans-Bold"),
    "border": TextSpec("Ag8&", border_width=4),
    "arabic": TextSpec("السلام عليكم 123 و ٤٥٦"),
    "arabic-marks": TextSpec("مُحَمَّد لا إله"),
    "persian-joiners": TextSpec("می\u200cخواهم ه\u200d"),
    "hebrew": TextSpec("בְּרֵאשִׁית 12.5% (כן)"),
    "mixed": TextSpec("Film (גיבור) ישראל 2 عربي ok"),
    "mixed-from-right": TextSpec("שלום Reelmill 2.0 (beta) עולם"),
    "lines": TextSpec("first line\nשורה שנייה ארוכה\nthird"),
    "cjk": TextSpec("中文水印 日本語 한국어「」"),
    "devanagari": TextSpec("शिक्षा क्षत्रिय र्क"),
    "tamil": TextSpec("கொள்ளை ஸ்ரீ"),
    "thai": TextSpec("ไทย น้ำ ที่"),
    "khmer-myanmar": TextSpec("ខ្មែរ မြန်မာ"),
    "emoji": TextSpec("Hi 😀🎬 ♥"),
}
GOLDEN_TEXTS = Path(__file__).parent.parent / "golden" / "texts"


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("name", TEXTS)
def test_texts_look_as_those_that_were_looked_at(name: str, request: pytest.FixtureRequest) -> None:
    """Within a pixel of place, and a quarter of the ink: another letter, order or form is more.

    `pytest --update-golden` writes tests/golden/texts anew; look at them before they are committed.
    """
    drawn = draw_text(replace(TEXTS[name], size=32), Corner.TOP_LEFT, (2000, 2000), Fraction(1), pytest.fail)[..., 3]
    path = GOLDEN_TEXTS / f"{name}.png"
    if request.config.getoption("--update-golden"):
        Image.fromarray(np.ascontiguousarray(drawn)).save(path, optimize=True)
    golden = np.asarray(Image.open(path))
    assert np.abs(np.subtract(golden.shape, drawn.shape)).max() <= 2
    high, wide = np.maximum(golden.shape, drawn.shape) + 2
    padded = np.zeros((high, wide))
    padded[1 : golden.shape[0] + 1, 1 : golden.shape[1] + 1] = golden
    differences = []
    for down, right in product(range(3), repeat=2):
        moved = np.zeros((high, wide))
        moved[down : down + drawn.shape[0], right : right + drawn.shape[1]] = drawn[: high - down, : wide - right]
        differences.append(np.abs(padded - moved).sum())
    assert min(differences) < golden.sum() / 4


def test_a_text_without_a_border_has_nothing_of_its_color() -> None:
    """Not even at the edges of letters, where they cover a part of a pixel."""
    pictures = [
        draw_text(TextSpec("Ag", size=40, color="#ffffff", border_color=color), Corner.TOP_LEFT, (99, 99), Fraction(1), print)
        for color in ("#000000", "#ff0000")
    ]
    seen = pictures[0][..., 3] > 0
    assert (pictures[0][seen] == pictures[1][seen]).all()


def test_texts_need_no_library_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow loads FriBiDi from the system, and cannot shape without it: no text could be drawn on a bare machine."""
    monkeypatch.setattr(ImageFont.core, "HAVE_RAQM", False)
    fonts._font.cache_clear()
    assert draw_text(TextSpec("अ ब ا"), Corner.TOP_LEFT, (99, 99), Fraction(1), pytest.fail).any()


def test_forms_follow_the_language_of_the_text() -> None:
    """The same character is drawn as in Japan beside kana, and as in China without."""

    def of(content: str) -> NDArray[np.uint8]:
        return draw_text(TextSpec(content, size=60), Corner.TOP_LEFT, (2000, 2000), Fraction(1), print)

    chinese, japanese = of("骨"), of("骨\nの")
    assert (
        chinese.shape != japanese[: chinese.shape[0]].shape
        or (chinese != japanese[: chinese.shape[0], : chinese.shape[1]]).any()
    )
