"""Whether a process may have been refused memory."""

import os

import pytest

from reelmill_server.address_space import peak_bytes, was_short

MIB = 1 << 20


@pytest.mark.parametrize(
    ("peak_mib", "bound_mib", "short"),
    [
        (250, 256, True),
        (200, 256, True),
        (150, 256, False),
        (7700, 8192, True),
        (7500, 8192, False),
        (900 * 1024, 1024 * 1024, False),
        (7500, 0, False),
        (0, 8192, False),
    ],
)
def test_what_came_near_its_bound_may_have_been_refused_more(peak_mib: int, bound_mib: int, short: bool) -> None:
    """By as much as is asked for at once; who has no bound, or of whom nothing is known, was not."""
    assert was_short(peak_mib * MIB, bound_mib * MIB) == short


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="this system tells no peak")
def test_the_peak_of_a_process_is_known_as_long_as_it_is_there() -> None:
    assert peak_bytes() == peak_bytes(os.getpid()) > MIB
    assert peak_bytes(2**22 + 1) == 0  # above the most processes that there can be
