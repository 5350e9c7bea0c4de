"""Ticks of the planner."""

from fractions import Fraction

import pytest

from reelmill_server.plan.clock import finer

ODD = Fraction(2**31 - 2, 2**31 - 1)


@pytest.mark.parametrize(
    ("tick", "parts"),
    [
        (Fraction(1, 1000), Fraction(1, 1000)),
        (Fraction(1, 25), Fraction(1, 1000)),
        (Fraction(1001, 1000), Fraction(1, 1000)),
        (Fraction(2**31 - 1), Fraction(1, 1000)),
        (ODD, ODD),
    ],
)
def test_parts_of_ticks_are_rational_numbers_of_libav(tick: Fraction, parts: Fraction) -> None:
    """Those of ticks with the largest denominators would have larger ones than it takes."""
    assert finer(tick) == parts
