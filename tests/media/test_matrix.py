"""Files as people have them through every kind of target, read by the judge. Skipped without REELMILL_REAL_MEDIA."""

import os
from pathlib import Path

import pytest

from reelmill_server.errors import ReelmillError
from tests.media.converter import Converted, Converter
from tests.media.matrix import CELLS, LENGTH, START, Cell, judge_cell, refusal

FOLDER = os.environ.get("REELMILL_REAL_MEDIA", "")
FILES = {path.stem: path for path in sorted(Path(FOLDER).glob("*.mp4"))} if FOLDER else {}

pytestmark = [pytest.mark.real_media, pytest.mark.skipif(not FILES, reason="REELMILL_REAL_MEDIA names no folder of media")]


@pytest.mark.sample(every=3)
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("file", FILES or ["none"])
def test_a_cell(convert: Converter, file: str, name: str) -> None:
    """Made, and as the source is; or refused, when the container or the source does not allow it."""
    cell, path = CELLS[name], FILES[file]
    reason = refusal(path, cell)
    if reason:
        with pytest.raises(ReelmillError, match=reason):
            _convert(convert, path, cell)
        return
    judge_cell(path, cell, _convert(convert, path, cell))


def _convert(convert: Converter, path: Path, cell: Cell) -> Converted:
    return convert(path, *cell.targets, start=START, duration=LENGTH, group_uris=cell.group_uris)
