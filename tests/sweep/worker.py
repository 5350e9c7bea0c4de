"""What the sweep runs in a process of its own for each clip: libav may crash or hang."""

import json
import tempfile
from fractions import Fraction
from pathlib import Path

from tests.media.converter import Converter
from tests.sources import Shelf
from tests.sweep.verdict import MODES, run


def convert_in_all_modes(path: Path, answer: Path, rate: Fraction) -> None:
    """Convert a clip in each mode, and write what became of it to `answer` after each."""
    shelf = path.parent / "shelf"
    shelf.mkdir()
    convert = Converter(Shelf(shelf), lambda: Path(tempfile.mkdtemp(dir=path.parent)))
    results: list[tuple[str, str, str]] = []
    for mode in MODES:
        results.append((mode, *run(convert, path, mode, rate)))
        whole = answer.with_suffix(".part")
        whole.write_text(json.dumps(results))
        whole.rename(answer)
