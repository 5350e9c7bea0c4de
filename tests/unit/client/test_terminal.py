"""What the command line shows on a terminal of 80 columns: the pictures of docs/terminal.md are as it is now."""

import re
from html import unescape

import pytest

from docs import make_terminal

_CHARACTER = 12.2  # the width of one in Rich's pictures


def _lines(svg: str) -> list[str]:
    """The text of a picture, line by line."""
    rows: dict[float, str] = {}
    for x, y, text in re.findall(r'<text [^>]*?x="([\d.]+)" y="([\d.]+)"[^>]*?clip-path[^>]*>([^<]*)</text>', svg):
        column = round(float(x) / _CHARACTER)
        rows[float(y)] = rows.get(float(y), "").ljust(column) + unescape(text).replace("\xa0", " ")
    return [rows[y].rstrip() for y in sorted(rows)]


@pytest.mark.parametrize("scene", make_terminal.SCENES)
def test_the_pictures_show_what_is_shown(scene: str) -> None:
    """`make screenshots` writes them anew. Rich's versions draw differently, so the texts are compared."""
    now = make_terminal.screen(scene).export_text().splitlines()
    written = _lines((make_terminal.FOLDER / f"{scene}.svg").read_text())
    assert written == [line.rstrip() for line in now if line.strip()]


@pytest.mark.parametrize("scene", make_terminal.SCENES)
def test_the_pictures_load_nothing(scene: str) -> None:
    """They are shown as they lie here."""
    assert "url(http" not in (make_terminal.FOLDER / f"{scene}.svg").read_text()
