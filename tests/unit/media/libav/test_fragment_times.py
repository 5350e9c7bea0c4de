"""Times of fragments."""

from types import SimpleNamespace
from typing import Any

from reelmill_server.media.libav.fragment_times import in_own_time

MEGABYTE = 1 << 20


class Sample(bytearray):
    """A packet that claims to be of `size` bytes."""

    is_discard = False

    def __init__(self, stream: int, dts: int, size: int = MEGABYTE) -> None:
        super().__init__(b"%d" % dts)
        self.stream, self.size = SimpleNamespace(index=stream), size
        self.dts = self.pts = dts
        self.duration = 1


def test_few_bytes_wait_for_a_stream_that_ended() -> None:
    """Its last packet begins late, which the one behind it would explain."""
    taken = 0
    most = 0

    def given() -> Any:
        nonlocal taken
        for sample in (Sample(1, 0), Sample(1, 2), *(Sample(0, number) for number in range(300))):
            taken += 1
            yield sample

    for number, _ in enumerate(in_own_time(given())):
        most = max(most, taken - number)
    assert number + 1 == taken == 302
    assert 10 < most < 100
