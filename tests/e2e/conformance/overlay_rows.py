"""Watermarks and delogos: what differs from the same pictures without them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests import judge
from tests.e2e.conformance.kit import SILENT, Outcome, Row, Task, video

FILM = [{"URI": "quarters.mp4"}]
_LETTERS = {"Content": "II", "FontSize": 24, "FontColor": "white"}
_FILE = {"Type": "file", "URI": "given/mark.mov"}  # 16x8
TEXTS: Mapping[str, Mapping[str, object]] = {
    "text": _LETTERS,
    "typed": {**_LETTERS, "Type": "text"},
    "moved": {**_LETTERS, "Dx": 0.25, "Dy": 8},
    "longer": {**_LETTERS, "Content": "IIII"},
    "small": {**_LETTERS, "FontSize": 12},
    "bold": {**_LETTERS, "FontName": "SourceHanSans-Bold"},
    "black": {**_LETTERS, "FontColor": "#000000"},
    "faint": {**_LETTERS, "FontApha": 0.25},
    "bordered": {**_LETTERS, "BorderWidth": 3, "BorderColor": "#ffffff"},
    "bordered-black": {**_LETTERS, "BorderWidth": 3},
    "late": {**_LETTERS, "StartTime": 0.2},
    "short": {**_LETTERS, "Duration": 0.12},
}
FILES: Mapping[str, Mapping[str, object]] = {
    "file": _FILE,
    "corner": {**_FILE, "ReferPos": "bottomright", "Dx": 4, "Dy": 0.125},
    "wide": {**_FILE, "Width": 0.5},
    "high": {**_FILE, "Height": 16, "Width": 8},
}
DELOGOS: Mapping[str, Mapping[str, object]] = {
    "delogo": {"Width": 32, "Height": 16, "Dx": 40, "Dy": 0.375},
    "delogo-corner": {"Width": 0.25, "Height": 0.25, "ReferPos": "topright", "Dx": 36, "Dy": 24},
    "delogo-late": {"Width": 32, "Height": 16, "Dx": 40, "Dy": 24, "StartTime": 0.2},
    "delogo-short": {"Width": 32, "Height": 16, "Dx": 40, "Dy": 24, "Duration": 0.12},
}


def _target(name: str, **filters: object) -> dict[str, object]:
    return {"URI": f"{name}.mkv", "Container": "mkv", "Video": {**video(CRF=0), "FilterVideo": filters}, "Audio": SILENT}


LAID = Task(
    "overlays",
    FILM,
    [
        _target("plain"),
        *(_target(name, Watermarks=[mark]) for name, mark in {**TEXTS, **FILES}.items()),
        *(_target(name, Delogos=[delogo]) for name, delogo in DELOGOS.items()),
        _target("both", Watermarks=[_FILE], Delogos=[DELOGOS["delogo"]]),
    ],
)


def _luma(path: Path) -> NDArray[np.integer]:
    return judge.planes(path, "yuv420p")[0]


def box(result: Outcome, name: str, number: int = 3) -> tuple[int, ...]:
    """x, y, width and height of what differs from the plain pictures; empty: nothing does."""
    rows, columns = np.nonzero(_luma(result(f"{name}.mkv"))[number] != _luma(result("plain.mkv"))[number])
    if not rows.size:
        return ()
    return int(columns.min()), int(rows.min()), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


def _numbers(result: Outcome, name: str) -> list[int]:
    """The pictures that differ."""
    return [number for number in range(10) if box(result, name, number)]


def _ink(result: Outcome, name: str) -> tuple[int, int]:
    """The darkest and the brightest sample of a text's place."""
    part = _luma(result(f"{name}.mkv"))[3][:24, :24]
    return int(part.min()), int(part.max())


def _bold(result: Outcome) -> bool:
    return bool((_luma(result("bold.mkv"))[3] > 225).sum() > (_luma(result("text.mkv"))[3] > 225).sum())


# The top left quarter has a luma of 187 or so; letters are 17 or so pixels high.
_PLAIN = 200
ROWS = (
    Row("FilterVideo.watermarks", LAID, lambda made: box(made, "both")[:2], (0, 0)),
    Row("FilterVideo.delogos", LAID, lambda made: np.add(box(made, "both")[:2], box(made, "both")[2:]).tolist(), [72, 40]),
    Row("Watermark.type", LAID, lambda made: box(made, "typed") == box(made, "text") != box(made, "file"), True),
    Row("Watermark.type", LAID, lambda made: box(made, "file"), (0, 0, 16, 8)),
    Row("Watermark.uri", LAID, lambda made: set(_luma(made("file.mkv"))[3][:8, :16].flat) <= set(range(38, 43)), True),
    Row("Watermark.refer_pos", LAID, lambda made: box(made, "corner"), (96 - 16 - 4, 64 - 8 - 8, 16, 8)),
    Row("Watermark.dx", LAID, lambda made: box(made, "moved")[0] - box(made, "text")[0], 24),
    Row("Watermark.dy", LAID, lambda made: box(made, "moved")[1] - box(made, "text")[1], 8),
    Row("Watermark.start_time", LAID, lambda made: _numbers(made, "late"), [5, 6, 7, 8, 9]),
    Row("Watermark.duration", LAID, lambda made: _numbers(made, "short"), [0, 1, 2]),
    Row("Watermark.content", LAID, lambda made: box(made, "longer")[2] > 1.8 * box(made, "text")[2], True),
    Row("Watermark.font_name", LAID, _bold, True),
    Row("Watermark.font_size", LAID, lambda made: box(made, "small")[3] / box(made, "text")[3], pytest.approx(0.5, abs=0.1)),
    Row("Watermark.font_color", LAID, lambda made: [_ink(made, name)[1] > 230 for name in ("text", "black")], [True, False]),
    Row("Watermark.font_color", LAID, lambda made: _ink(made, "black")[0], pytest.approx(16, abs=2)),
    Row("Watermark.font_apha", LAID, lambda made: _ink(made, "faint")[1], pytest.approx(_PLAIN + (235 - _PLAIN) / 4, abs=3)),
    Row("Watermark.border_width", LAID, lambda made: box(made, "bordered")[2] - box(made, "text")[2], 6),
    Row(
        "Watermark.border_color",
        LAID,
        lambda made: [_ink(made, f"bordered{n}")[0] < 20 for n in ("", "-black")],
        [False, True],
    ),
    Row("Watermark.width", LAID, lambda made: box(made, "wide"), (0, 0, 48, 24)),
    Row("Watermark.height", LAID, lambda made: box(made, "high"), (0, 0, 8, 16)),
    Row("Delogo.width", LAID, lambda made: box(made, "delogo")[2] <= 32, True),
    Row("Delogo.height", LAID, lambda made: box(made, "delogo")[3] <= 16, True),
    Row("Delogo.dx", LAID, lambda made: 40 <= box(made, "delogo")[0] <= 48, True),
    Row("Delogo.dy", LAID, lambda made: 24 <= box(made, "delogo")[1] <= 32, True),
    Row("Delogo.refer_pos", LAID, lambda made: 36 <= box(made, "delogo-corner")[0] <= 48, True),
    Row("Delogo.start_time", LAID, lambda made: _numbers(made, "delogo-late"), [5, 6, 7, 8, 9]),
    Row("Delogo.duration", LAID, lambda made: _numbers(made, "delogo-short"), [0, 1, 2]),
)
