"""The ratio that CI compares: noise is run again, what stays worse fails."""

from collections.abc import Iterator
from itertools import chain, cycle

import pytest

from bench.ratio import is_worse, settled

_NOISY = [(2.6, 1.0), (2.2, 1.1), (2.4, 1.2), (2.3, 1.0), (2.5, 1.0)]
"""CPU seconds of both sides, on a machine with other load, of what takes twice as much as ffmpeg."""


def _then(*later: tuple[float, float]) -> Iterator[tuple[float, float]]:
    return chain(_NOISY, cycle(later))


def test_the_least_of_each_side_counts() -> None:
    """Nothing is run again that is good enough."""
    assert settled(_then((0.1, 1.0)), recorded=2.0) == pytest.approx(2.2)


def test_noise_is_run_again() -> None:
    """Until a run without it came, and no longer."""
    assert settled(chain(_then((2.6, 1.0))), recorded=1.7) == pytest.approx(2.2)
    assert settled(chain(_NOISY, [(1.9, 1.0)]), recorded=1.7) == pytest.approx(1.9)


def test_what_stays_worse_fails() -> None:
    """However often it is run."""
    assert is_worse(settled(_then((2.2, 1.0)), recorded=1.7), 1.7)
    assert not is_worse(2.1, 1.7)
