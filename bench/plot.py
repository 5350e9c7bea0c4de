"""Draw the ratios that `bench.tasks --json` wrote: `python -m bench.plot FILE > ratios.svg`.

A bar for wall and one for CPU of each case; a line at 1, where ffmpeg is.
"""

import json
import sys
from pathlib import Path
from statistics import median
from typing import Any
from xml.sax.saxutils import escape

_WIDTH, _LABEL, _ROW, _BAR = 760, 240, 34, 12
_COLORS = {"wall": "#4269d0", "cpu": "#efb118"}


def drawing(outcomes: list[dict[str, Any]]) -> str:
    """Return an SVG of the outcomes, in their order."""
    ratios = [(outcome["case"], {what: _ratio(outcome, what) for what in _COLORS}) for outcome in outcomes]
    most = max((value for _, values in ratios for value in values.values()), default=1.0)
    unit = (_WIDTH - _LABEL - 60) / max(most, 1.0)
    height = _ROW * len(ratios) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" font-family="sans-serif" font-size="12">'
    ]
    for number, (case, values) in enumerate(ratios):
        top = 10 + _ROW * number
        parts.append(f'<text x="{_LABEL - 8}" y="{top + 16}" text-anchor="end">{escape(case)}</text>')
        for place, (what, value) in enumerate(values.items()):
            y = top + place * (_BAR + 1)
            parts.append(f'<rect x="{_LABEL}" y="{y}" width="{value * unit:.1f}" height="{_BAR}" fill="{_COLORS[what]}"/>')
            parts.append(f'<text x="{_LABEL + value * unit + 4:.1f}" y="{y + 10}">{value:.2f}</text>')
    line, end = _LABEL + unit, height - 26
    parts.append(f'<line x1="{line:.1f}" y1="4" x2="{line:.1f}" y2="{end}" stroke="#888" stroke-dasharray="3 3"/>')
    for place, (what, color) in enumerate(_COLORS.items()):
        x = _LABEL + 80 * place
        parts.append(f'<rect x="{x}" y="{height - 18}" width="12" height="12" fill="{color}"/>')
        parts.append(f'<text x="{x + 16}" y="{height - 8}">{what}</text>')
    return "\n".join([*parts, "</svg>"])


def _ratio(outcome: dict[str, Any], what: str) -> float:
    ours, theirs = (median(run[what] for run in outcome[side]) for side in ("ours", "theirs"))
    return float(ours / theirs)


if __name__ == "__main__":
    print(drawing(json.loads(Path(sys.argv[1]).read_text())))
