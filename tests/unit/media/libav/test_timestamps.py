"""Times as whole numbers of a time base: exactly what rational numbers give."""

from collections.abc import Callable
from fractions import Fraction
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelmill_server.media.libav.timestamps import AffineMap, Extent, ShownExtent, first_tick
from reelmill_server.media.track.base import nearest

BASES = st.sampled_from([Fraction(1, 90000), Fraction(1, 44100), Fraction(1, 1000), Fraction(1001, 30000), Fraction(1, 12288)])
RATIONALS = st.fractions(-(10**6), 10**6, max_denominator=10**6)
TICKS = st.integers(-(10**9), 10**9)


@given(RATIONALS, RATIONALS, st.lists(TICKS, min_size=1, max_size=5))
def test_a_line_gives_the_nearest_number(factor: Fraction, shift: Fraction, numbers: list[int]) -> None:
    """Halves up, for whole numbers and rational ones."""
    line = AffineMap(factor, shift)
    for number in numbers:
        assert line.at(number) == nearest(factor * number + shift)
        assert line.at(Fraction(number, 7)) == nearest(factor * Fraction(number, 7) + shift)


@given(RATIONALS, BASES, TICKS)
def test_the_first_tick_parts_what_is_before(time: Fraction, base: Fraction, tick: int) -> None:
    """A tick is before a time if it is smaller than the first that is not."""
    assert (tick < first_tick(time, base)) == (tick * base < time)
    edge = first_tick(time, base)
    assert (edge - 1) * base < time <= edge * base


@given(st.lists(st.tuples(TICKS, st.integers(0, 10**6), BASES), max_size=8))
def test_an_extent_reaches_as_far_as_its_packets(packets: list[tuple[int, int, Fraction]]) -> None:
    """Whatever their time bases are, and however often those change."""
    extent = Extent()
    for begin, duration, base in packets:
        extent.add(begin, duration, base)
    begins = [begin * base for begin, _, base in packets]
    ends = [(begin + duration) * base for begin, duration, base in packets]
    assert extent.first == min(begins, default=None)
    assert extent.last_start == max(begins, default=0)
    assert extent.last == max(ends, default=0)
    extent.reach(extent.last + 1)
    assert extent.last == max(ends, default=0) + 1


def test_an_extent_knows_the_distance_to_the_packet_before() -> None:
    """In ticks; none before the first, nor backwards, nor across time bases."""
    extent = Extent()
    assert extent.since(5) == 0
    extent.add(10, 0, Fraction(1, 1000))
    assert (extent.since(35), extent.since(5)) == (25, 0)


RUNS = st.lists(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), min_size=1, max_size=6), max_size=4)


@given(st.sampled_from([Extent, ShownExtent, partial(ShownExtent, True)]), RUNS, st.booleans())
def test_an_extent_takes_packets_together(kind: Callable[[], Extent], runs: list[list[tuple[int, int]]], untold: bool) -> None:
    """As one by one, whether those before them say how long they last or not."""
    one_by_one, together, base = kind(), kind(), Fraction(1, 25)
    for extent in (one_by_one, together) if untold else ():
        extent.add(0, 1, base)
        extent.add(3, 0, base)
    for run in runs:
        for begin, duration in run:
            one_by_one.add(begin, duration, base)
        together.add_all([begin for begin, _ in run], [duration for _, duration in run], base)
    assert vars(together) == vars(one_by_one)


@pytest.mark.parametrize(("order", "end"), [((0, 30, 10), 40), ((0, 10, 30), 120)])
def test_a_length_ends_video_if_the_packet_decoded_last_is_shown_last(order: tuple[int, ...], end: int) -> None:
    """A cut leaves frames out that lie between the one shown last and the one decoded last, whose length leads beyond both."""
    extent = ShownExtent(by_decoding=True)
    for begin in order:
        extent.add(begin, 90 if begin == order[-1] else 10, Fraction(1, 100))
    extent.end_at(40)
    assert extent.last == Fraction(end, 100)


@given(RATIONALS, RATIONALS, st.lists(TICKS, max_size=5))
def test_numbers_are_mapped_together(factor: Fraction, shift: Fraction, numbers: list[int]) -> None:
    """To what each is mapped to alone."""
    line = AffineMap(factor, shift)
    assert [*line.all(numbers)] == [line.at(number) for number in numbers]
    assert [*AffineMap(Fraction(1)).all(numbers)] == numbers
