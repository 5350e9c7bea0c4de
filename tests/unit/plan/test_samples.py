"""Samples of a quality search: spread over everything, at keyframes that are near, whole where there is little."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

from reelmill_server.model.plan import InputPlan, PartPlan, Plan, StreamPlan, StreamType, VideoOutput
from reelmill_server.model.units import VideoUnit
from reelmill_server.plan.samples import choose_samples, choose_scouts, sampled_us

SECOND, RATE = 1_000_000, Fraction(25)
STREAM = StreamPlan(StreamType.VIDEO, (PartPlan(0),), "h264", "libx264", "")


def plan(*seconds: int) -> Plan:
    """Inputs of that many seconds."""
    return Plan((), inputs=tuple(InputPlan(number, 0, 0, 0, length * SECOND) for number, length in enumerate(seconds)))


def test_a_short_video_is_sampled_whole() -> None:
    """From its front to its end; a sample in its middle tells where to look, unless that were half of it."""
    for seconds in (4, 6, 20, 32):
        (*scouts, whole) = choose_samples(plan(seconds), STREAM, {})
        assert (whole.part, whole.span.begin_us, whole.span.end_us, whole.scout) == (0, 0, 0, False)
        assert sampled_us(seconds * SECOND, RATE) == seconds * SECOND
        assert len(scouts) == (seconds >= 6) and all(scout.scout for scout in scouts)
        assert all(scout.span.begin_us == (seconds - 3) * SECOND // 2 for scout in scouts)


def test_the_middle_is_the_first() -> None:
    """It is likeliest to be like the others."""
    first, *others = choose_samples(plan(600), STREAM, {})
    assert 300 * SECOND <= first.span.begin_us <= 340 * SECOND and not any(other.scout for other in (first, *others))


def spans_of(seconds: int, stream: StreamPlan = STREAM, keys: Sequence[int] = ()) -> list[VideoUnit]:
    """The spans of samples, in the order of time."""
    result = choose_samples(plan(seconds), stream, {0: keys})
    return sorted((sample.span for sample in result), key=lambda span: span.begin_us)


def test_samples_are_spread_and_inside() -> None:
    """Eight of three seconds in ten minutes, one percent of two hours."""
    for seconds, count in ((600, 8), (7200, 24)):
        spans = spans_of(seconds)
        assert len(spans) == count and sampled_us(seconds * SECOND, RATE) == count * 3 * SECOND
        begins = [span.begin_us for span in spans]
        assert begins == sorted(begins) and begins[0] >= 0 and spans[-1].end_us <= seconds * SECOND
        gaps = {after - before for before, after in pairwise(begins)}
        assert max(gaps) - min(gaps) < SECOND


def test_few_frames_a_second_make_longer_samples() -> None:
    """Encoders look ahead by frames: 75 of them last 7.5 seconds at 10 a second."""
    slow = replace(STREAM, video=VideoOutput(64, 64, "yuv420p", Fraction(1, 10), Fraction(10)))
    spans = spans_of(600, slow)
    assert {span.end_us - span.begin_us for span in spans} == {7_500_000}


def test_they_begin_at_keyframes_that_are_near() -> None:
    """One is near the third, none near the others."""
    wanted = [span.begin_us for span in spans_of(600)]
    results = [span.begin_us for span in spans_of(600, keys=[wanted[2] + SECOND])]
    assert results == [*wanted[:2], wanted[2] + SECOND, *wanted[3:]]


def test_joined_sources_are_sampled_in_proportion() -> None:
    """Each by its own clock; what is generated is not."""
    parts = (PartPlan(0, input=0), PartPlan(-1, input=1), PartPlan(0, input=2))
    result = choose_samples(plan(300, 50, 100), replace(STREAM, parts=parts), {})
    assert sorted(sample.part for sample in result) == [0] * 6 + [2] * 2
    assert all(sample.span.begin_us < (300, 50, 100)[sample.part] * SECOND for sample in result)


def test_a_source_without_length_has_none() -> None:
    """There is nothing to spread them over."""
    assert choose_samples(plan(0), STREAM, {}) == ()


def test_scouts_come_before_all_of_a_short_video() -> None:
    """One, or some far apart, the middle one first; none of what is hardly longer than they are, nor of what has samples."""
    results = {seconds: choose_scouts(plan(seconds), STREAM, {}) for seconds in (2, 4, 6, 12, 30, 60, 70)}
    assert {seconds: len(scouts) for seconds, scouts in results.items()} == {2: 0, 4: 1, 6: 2, 12: 2, 30: 2, 60: 5, 70: 0}
    assert [scout.span.begin_us for scout in results[60]] == [29_250_000, 5_250_000, 17_250_000, 41_250_000, 53_250_000]
    assert all(scout.scout for scout in results[12])


def test_scouts_begin_at_keyframes_of_their_part() -> None:
    """Wherever they are in it, so that nothing is decoded before them; none overlaps another."""
    scouts = choose_scouts(plan(12), STREAM, {0: [0, 10 * SECOND]})
    assert sorted(scout.span.begin_us for scout in scouts) == [0, 10 * SECOND]
    spans = sorted((scout.span.begin_us, scout.span.end_us or 12 * SECOND) for scout in scouts)
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))
