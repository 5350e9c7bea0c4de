"""Blurred faces and license plates: what differs from the same pictures without them."""

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from tests import judge, sources
from tests.e2e.conformance.kit import SILENT, Outcome, Row, Task, video

RULES: Mapping[str, Mapping[str, object]] = {
    "face": {"Face": {}},
    "plate": {"LicensePlate": {}},
    "sure": {"Face": {"Confidence": 0.99}},
    "large": {"Face": {"MinSize": 60}},
    "little": {"Face": {"BlurRadius": 1}},
    "much": {"Face": {"BlurRadius": 20}},
    "wide": {"Face": {"ScaleRatio": 1.5}},
    "faint": {"Face": {"Transparency": 0.75}},
}
BLURRED = Task(
    "blurred",
    [{"URI": "street.mp4"}],
    [
        {
            "URI": f"{name}.mkv",
            "Container": "mkv",
            "Video": {**video(CRF=0), "FilterVideo": {"Desensitization": rules} if rules else {}},
            "Audio": SILENT,
        }
        for name, rules in {"plain": {}, **RULES}.items()
    ],
)
_FACE, _PLATE = (sources.FACE, (96, 112)), (sources.PLATE, (132, 42))


def _change(result: Outcome, name: str) -> NDArray[np.integer]:
    own, plain = (judge.planes(result(f"{file}.mkv"), "yuv420p")[0].astype(int) for file in (name, "plain"))
    return np.abs(own - plain)


def _changed(result: Outcome, name: str) -> list[bool]:
    """Whether all pictures differ where the face is, where the plate is, and elsewhere."""
    change = _change(result, name)
    parts = []
    for (x, y), (width, height) in (_FACE, _PLATE):
        parts.append(bool((change[:, y : y + height, x : x + width].max(axis=(1, 2)) > 20).all()))
        change[:, y - 15 : y + height + 15, x - 15 : x + width + 15] = 0
    return [*parts, bool(change.any())]


def _area(result: Outcome, name: str) -> int:
    return int((_change(result, name) > 0).sum())


def _amount(result: Outcome, name: str) -> float:
    return float(_change(result, name).sum())


ROWS = (
    Row("FilterVideo.desensitization", BLURRED, lambda made: _change(made, "face").shape[0], 6),
    Row("Desensitization.face", BLURRED, lambda made: _changed(made, "face"), [True, False, False]),
    Row("Desensitization.license_plate", BLURRED, lambda made: _changed(made, "plate"), [False, True, False]),
    Row("DesensitizationRule.confidence", BLURRED, lambda made: _area(made, "sure"), 0),
    Row("DesensitizationRule.min_size", BLURRED, lambda made: _area(made, "large"), 0),
    Row("DesensitizationRule.blur_radius", BLURRED, lambda made: _amount(made, "much") > 2 * _amount(made, "little"), True),
    Row("DesensitizationRule.scale_ratio", BLURRED, lambda made: _area(made, "wide") > 1.5 * _area(made, "face"), True),
    Row(
        "DesensitizationRule.transparency",
        BLURRED,
        lambda made: _amount(made, "faint") / _amount(made, "face"),
        pytest.approx(0.25, abs=0.05),
    ),
)
