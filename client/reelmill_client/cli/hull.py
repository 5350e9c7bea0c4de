"""Draw what a ladder was chosen from: score over bit rate of each size, and the rungs."""

from collections.abc import Iterator
from math import ceil, floor, log2

from reelmill.v1.task_pb2 import Ladder, LadderPoint

_WIDTH, _HEIGHT = 760, 460
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 120, 20, 50
_COLORS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#a463f2")
_TICKS = 8  # of scores, about


def drawing(ladder: Ladder) -> str:
    """Return an SVG of a ladder: a line for each size that was measured, and a ring with its number for each rung."""
    axes = _Axes(ladder)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" '
        'font-family="sans-serif" font-size="12">'
    )
    paper = f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>'
    return "\n".join([head, paper, *axes.grid(), *_sizes(ladder, axes), *_rungs(ladder, axes), "</svg>", ""])


class _Axes:
    """Bit rates to the right, each octave as wide as the next; scores upward."""

    def __init__(self, ladder: Ladder) -> None:
        points = [*ladder.points, *ladder.rungs]
        rates, scores = [log2(max(point.bitrate, 1)) for point in points], [point.score for point in points]
        self._metric = f"{ladder.metric.upper()} at {ladder.width}x{ladder.height}"
        self._low, self._high = floor(min(rates)), max(ceil(max(rates)), floor(min(rates)) + 1)
        self._step = max(1, round((max(scores) - min(scores)) / _TICKS))
        self._least = floor(min(scores) / self._step) * self._step
        self._most = max(ceil(max(scores) / self._step) * self._step, self._least + self._step)

    def place(self, point: LadderPoint) -> tuple[float, float]:
        """Return where a point lies on the paper."""
        return self._x(log2(max(point.bitrate, 1))), self._y(point.score)

    def _x(self, octave: float) -> float:
        return _LEFT + (octave - self._low) / (self._high - self._low) * (_WIDTH - _LEFT - _RIGHT)

    def _y(self, score: float) -> float:
        return _HEIGHT - _BOTTOM - (score - self._least) / (self._most - self._least) * (_HEIGHT - _TOP - _BOTTOM)

    def grid(self) -> Iterator[str]:
        """Yield lines and what they stand for."""
        bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
        for octave in range(self._low, self._high + 1):
            x, rate = self._x(octave), 2**octave / 1000
            yield f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{bottom}" stroke="#ddd"/>'
            yield f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{rate:.3g}</text>'
        for score in range(self._least, self._most + 1, self._step):
            y = self._y(score)
            yield f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#ddd"/>'
            yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{score}</text>'
        yield f'<text x="{(_LEFT + right) / 2:.0f}" y="{_HEIGHT - 12}" text-anchor="middle">kbit/s</text>'
        place = f"16 {(_TOP + bottom) / 2:.0f}"
        yield f'<text transform="translate({place}) rotate(-90)" text-anchor="middle">{self._metric}</text>'


def _sizes(ladder: Ladder, axes: _Axes) -> Iterator[str]:
    sizes = dict.fromkeys((point.width, point.height) for point in ladder.points)
    for number, (width, height) in enumerate(sizes):
        color = _COLORS[number % len(_COLORS)]
        measured = [point for point in ladder.points if (point.width, point.height) == (width, height)]
        places = [axes.place(point) for point in sorted(measured, key=lambda point: point.crf)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        yield f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="1.5"/>'
        for x, y in places:
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>'
        y = _TOP + 12 + 18 * number
        yield f'<rect x="{_WIDTH - _RIGHT + 16}" y="{y - 10}" width="12" height="12" fill="{color}"/>'
        yield f'<text x="{_WIDTH - _RIGHT + 34}" y="{y}">{width}x{height}</text>'


def _rungs(ladder: Ladder, axes: _Axes) -> Iterator[str]:
    places = [axes.place(rung) for rung in ladder.rungs]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield f'<polyline points="{line}" fill="none" stroke="#222" stroke-dasharray="4 3"/>'
    for number, (x, y) in enumerate(places, 1):
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="none" stroke="#222" stroke-width="2"/>'
        yield f'<text x="{x - 10:.1f}" y="{y - 8:.1f}" text-anchor="end" font-weight="bold">{number}</text>'
