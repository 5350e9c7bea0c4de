"""Shares of priorities within a project."""

import pytest

from reelmill_server.engine.shares import share


@pytest.mark.parametrize("levels", [{1}, {5}, {1, 3}, {1, 2, 3, 4, 5}])
def test_priorities_divide_what_a_project_has(levels: set[int]) -> None:
    """However many it uses, together they are one; the first has most; one alone has all, be it urgent or not."""
    shares = [share(level, levels) for level in sorted(levels)]
    assert sum(shares) == pytest.approx(1) and shares == sorted(shares, reverse=True)
    assert share(4, ()) == share(4, {4}) == 1
