"""The rungs of a ladder: on the hull, apart, within the bounds, the same each time."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest

from reelmill_server.model.ladder import LadderPoint, LadderSpec
from reelmill_server.model.quality import Metric
from reelmill_server.plan.hull import STEP_DB, TRIED_CRFS, choose_rungs, hull, interpolated, unreliable

SIZES = ((640, 360), (512, 288), (320, 180))


def film(bits: float = 4e6, loss: float = 1.0) -> Iterator[LadderPoint]:
    """What a film gives: half the bits every six CRFs; small sizes cost less and never look like the source."""
    for number, (width, height) in enumerate(SIZES):
        best = 99 - 9 * number
        for crf in TRIED_CRFS:
            rate = bits * width * height / (640 * 360) * 2 ** ((16 - crf) / 6)
            score = best - loss * (crf - 14) ** 1.6 / 6 * (1 - 0.2 * number)
            yield LadderPoint(width, height, crf, round(rate), round(score, 3))


@pytest.mark.parametrize("bits", [4e5, 4e6])
@pytest.mark.parametrize("loss", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("asked", [LadderSpec(), LadderSpec(15, min_step=6), LadderSpec(3)], ids=["usual", "apart", "three"])
def test_rungs_are_apart_and_worth_their_bits(bits: float, loss: float, asked: LadderSpec) -> None:
    """Neighbors at least a step apart, the best first; no size and CRF gives more for as few bits."""
    points = [*film(bits, loss)]
    rungs = choose_rungs(points, asked, Metric.VMAF, "libx264")
    assert 1 < len(rungs) <= asked.max_renditions
    for better, worse in pairwise(rungs):
        assert better.score - worse.score >= asked.min_step and better.bitrate >= 1.25 * worse.bitrate
    known = interpolated(points, "libx264")
    assert all(other.score <= rung.score or other.bitrate > rung.bitrate for rung in rungs for other in known)
    assert rungs == choose_rungs(points[::-1], asked, Metric.VMAF, "libx264")


def test_small_sizes_serve_few_bits() -> None:
    """Where each size is best, it is taken."""
    rungs = choose_rungs([*film()], LadderSpec(15), Metric.VMAF, "libx264")
    widths = [rung.width for rung in rungs]
    assert widths == sorted(widths, reverse=True) and len({*widths}) > 1


def test_more_than_enough_is_not_taken() -> None:
    """The best rung is the first that is enough; the last is the least that is worth watching."""
    rungs = choose_rungs([*film()], LadderSpec(15), Metric.VMAF, "libx264")
    assert 95 <= rungs[0].score < 96.5 and rungs[-1].score >= 30


@pytest.mark.parametrize(
    ("asked", "holds"),
    [
        (LadderSpec(min_bitrate=700_000), lambda rate: rate >= 700_000),
        (LadderSpec(max_bitrate=900_000), lambda rate: rate <= 900_000),
    ],
)
def test_bit_rates_are_bounded(asked: LadderSpec, holds) -> None:  # type: ignore[no-untyped-def]
    """Each rung."""
    rungs = choose_rungs([*film()], asked, Metric.VMAF, "libx264")
    assert rungs and all(holds(rung.bitrate) for rung in rungs)


def test_bounds_that_nothing_meets_leave_the_nearest_rung() -> None:
    """One that is below all, and one that is above all."""
    points = [*film()]
    (low,) = choose_rungs(points, LadderSpec(max_bitrate=1000), Metric.VMAF, "libx264")
    assert low.bitrate == min(point.bitrate for point in hull(interpolated(points, "libx264")))
    (high,) = choose_rungs(points, LadderSpec(min_bitrate=10**9), Metric.VMAF, "libx264")
    assert high.score >= 95


def test_steps_of_xpsnr_are_in_db() -> None:
    """0.32 dB for each VMAF."""
    points = [
        LadderPoint(*size, crf, rate, 20 + score / 5)
        for size, crf, rate, score in (((point.width, point.height), point.crf, point.bitrate, point.score) for point in film())
    ]
    rungs = choose_rungs(points, LadderSpec(15, min_step=5), Metric.XPSNR, "libx264")
    assert len(rungs) > 3 and all(better.score - worse.score >= 5 * STEP_DB for better, worse in pairwise(rungs))


@pytest.mark.parametrize("encoder", ["libx264", "libvpx-vp9"])
def test_curves_pass_what_was_measured_and_never_rise(encoder: str) -> None:
    """Even where a score rises with CRF by chance."""
    points = [
        LadderPoint(320, 180, crf, rate, score)
        for crf, rate, score in ((16, 900, 95.0), (24, 500, 80.0), (32, 200, 81.0), (40, 90, 50.0))
    ]
    known = interpolated(points, encoder)
    assert all(before.score >= after.score and before.bitrate >= after.bitrate for before, after in pairwise(known))
    if encoder == "libx264":
        assert {16: 95.0, 24: 80.0, 32: 80.0, 40: 50.0}.items() <= {point.crf: point.score for point in known}.items()


def test_rungs_far_from_what_was_measured_are_guesses() -> None:
    """In bit rate or in score; what was measured is none."""
    points = [
        LadderPoint(320, 180, crf, rate, score)
        for crf, rate, score in ((16, 9000, 97.0), (24, 2500, 95.0), (32, 1200, 80.0), (40, 600, 74.0))
    ]
    wide, steep, near = (replace(points[0], crf=crf) for crf in (20, 28, 36))
    assert unreliable(points, [*points, wide, steep, near], Metric.VMAF) == [wide, steep]
    narrower = [*points, replace(points[1], crf=28, score=88.0, bitrate=1700)]
    assert unreliable(narrower, [replace(points[0], crf=30)], Metric.VMAF) == []
