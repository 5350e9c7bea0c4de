"""Tell whether a picture is turned, cropped and composed as its source asks, whatever its colors and its size."""

from collections.abc import Sequence
from itertools import product
from math import sqrt

from reelmill_server.media.input.sights import COARSE, FINE, PictureSight, Turn
from reelmill_server.model.plan import StreamPlan

_CELL = FINE // COARSE
_ALIKE, _UNLIKE, _TIMES = 0.97, 0.9, 8
"""Correlations of what is surely the same picture, and of what is another one if the same is so many times nearer to 1."""
_FLAT = 6.0  # standard deviation, of 255: less is a blank picture, which looks the same in every way
Grid = list[list[float]]

_TURNS: tuple[Turn, ...] = tuple(
    (a, b, c, d)
    for a, b, c, d in product((-1, 0, 1), repeat=4)
    if abs(a * d - b * c) == 1 and abs(a) + abs(b) == 1 == abs(c) + abs(d)
)


def turned(turn: Turn, degrees: int) -> Turn:
    """Return `turn` and then so many degrees clockwise."""
    a, b, c, d = turn
    for _ in range(degrees // 90 % 4):
        a, b, c, d = -b, a, -d, c
    return a, b, c, d


def _turn(grid: Grid, turn: Turn) -> Grid:
    a, b, c, d = turn
    last = len(grid) - 1
    result: Grid = [[0.0] * len(grid) for _ in grid]
    for y, row in enumerate(grid):
        for x, value in enumerate(row):
            result[b * x + d * y + last * (b + d < 0)][a * x + c * y + last * (a + c < 0)] = value
    return result


def correlation(one: Grid, other: Grid) -> float:
    """Return how alike two pictures are, whatever their brightness and contrast: -1 to 1; 0 if one is blank."""
    first, second = ([value for row in grid for value in row] for grid in (one, other))
    (mean, spread), (its_mean, its_spread) = _spread(first), _spread(second)
    if min(spread, its_spread) < _FLAT:
        return 0.0
    both = sum((a - mean) * (b - its_mean) for a, b in zip(first, second, strict=True)) / len(first)
    return both / (spread * its_spread)


def _spread(values: Sequence[float]) -> tuple[float, float]:
    mean = sum(values) / len(values)
    return mean, sqrt(sum((value - mean) ** 2 for value in values) / len(values))


def coarse(rows: Sequence[bytes]) -> list[list[float]]:
    """Return the means of `COARSE` x `COARSE` cells."""
    return [
        [sum(sum(row[left : left + _CELL]) for row in rows[top : top + _CELL]) / _CELL**2 for left in range(0, FINE, _CELL)]
        for top in range(0, FINE, _CELL)
    ]


def unlike(sight: PictureSight, shown: Grid, rotation: int, keeps_alpha: bool) -> str:
    """Return what is wrong with a picture that was made of what `sight` saw, and turned by `rotation` degrees on request;
    empty: nothing that is beyond doubt.
    """
    if sight.part_of is not None:
        return f"it is a part of an image of {sight.part_of[0]}x{sight.part_of[1]}"
    if sight.turn is None:
        return ""
    black = sight.on_black if not keeps_alpha else None
    seen, turn = coarse(sight.cropped or sight.rows), turned(sight.turn, rotation)
    proper = coarse(black) if black else seen
    likeness = correlation(_turn(proper, turn), shown)
    if likeness > _UNLIKE:
        return ""
    others = [("turned or mirrored in another way", _turn(proper, other)) for other in _TURNS if other != turn]
    if sight.cropped:
        others.append(("not cropped as the source asks", _turn(coarse(sight.rows), turn)))
    if black:
        others.append(("not composed on black where the source is transparent", _turn(seen, turn)))
    alike, name = max((correlation(other, shown), name) for name, other in others)
    return f"it is {name}" if alike > _ALIKE and _TIMES * (1 - alike) < 1 - likeness else ""


def altered(planned: StreamPlan) -> bool:
    """Return whether frames get bars or overlays, or lose edges to fill the requested size."""
    filters = planned.parts[0].filters
    filling = any(text.startswith("crop=") and text.count(":") == 1 for text in filters)
    return bool(planned.overlays) or filling or any(text.startswith("pad=") for text in filters)
