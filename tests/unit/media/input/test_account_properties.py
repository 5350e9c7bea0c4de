"""Random packets in the account of what was read, against a slow and obvious reference: a set of ticks."""

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reelmill_server.media.input.account import Accountant
from reelmill_server.media.input.bundle import Run
from reelmill_server.media.input.part import Part
from reelmill_server.model.plan import COPY, InputPlan, PartPlan, StreamPlan, StreamType
from reelmill_server.model.time import MICROSECONDS

BASE = Fraction(1, 1000)


@st.composite
def packets(draw: st.DrawFn) -> list[tuple[int, int]]:
    """When each packet of audio begins and how long it lasts, ticks: with gaps and overlaps, in order."""
    time, result = draw(st.integers(0, 50)), []
    for _ in range(draw(st.integers(1, 20))):
        length = draw(st.integers(1, 40))
        result.append((time, length))
        time += max(length + draw(st.sampled_from([0, 0, 0, 25, -7])), 0)
    return result


@given(packets(), st.integers(0, 300), st.none() | st.integers(1, 300))
def test_the_account_is_what_lies_in_the_span(read: list[tuple[int, int]], start: int, duration: int | None) -> None:
    """Items that begin in it, when the first begins and the last ends, and how much time they fill."""
    end = None if duration is None else start + duration
    source: Any = SimpleNamespace(streams=[SimpleNamespace(type="audio")], format=SimpleNamespace(name="x"))
    inputs = [InputPlan(0, start * 1000, (end or 0) * 1000, 0, 0)]
    accountant, together = Accountant(inputs), Accountant(inputs)
    part = Part(0, source, Fraction(start * 1000, MICROSECONDS))
    items: list[Any] = [
        SimpleNamespace(pts=begin, dts=begin, duration=length, time_base=BASE, stream_index=0, size=1) for begin, length in read
    ]
    for packet in items:
        accountant.packet(part, packet)
    for place in range(0, len(items), 3):
        together.run(part, Run.of(0, BASE, items[place : place + 3]))
    plan = StreamPlan(StreamType.AUDIO, (PartPlan(0),), "x", COPY, "")
    result = accountant.given(plan, False, False)
    assert together.given(plan, False, False) == result
    inside = [(begin, length) for begin, length in read if start <= begin and (end is None or begin < end)]
    if not inside:
        assert result is None
        return
    assert result is not None and result.items == len(inside)
    ticks = {tick for begin, length in inside for tick in range(begin, begin + length) if end is None or tick < end}
    latest = max(begin for begin, _ in inside)
    last = max(begin + length for begin, length in inside)
    assert result.covered == len(ticks) * BASE
    assert (result.first, result.last_start) == ((inside[0][0] - start) * BASE, (latest - start) * BASE)
    assert result.last == ((last if end is None else min(last, end)) - start) * BASE
