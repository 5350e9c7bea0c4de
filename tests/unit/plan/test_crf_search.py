"""The search of a CRF: few tries, near the target, the same each time, and within its bounds."""

from collections.abc import Callable, Sequence
from math import exp
from statistics import fmean

import pytest

from reelmill_server.model.quality import Metric, QualityTarget
from reelmill_server.plan.crf_search import Choice, CrfSearch


def steep(crf: float) -> float:
    """A film that becomes bad quickly."""
    return 100 - 0.0006 * crf**3


def flat(crf: float) -> float:
    """One that hardly does."""
    return 99 - 0.2 * crf


def curved(crf: float) -> float:
    """Nothing to see at first, then all at once."""
    return 99.5 - max(0.0, crf - 22) ** 2 / 8


def search(
    samples: Sequence[Callable[[float], float]], target: QualityTarget, encoder: str = "libx264"
) -> tuple[CrfSearch, list[list[float]]]:
    """A search that has ended, and what it tried of each sample."""
    result, tried = CrfSearch(target, encoder), [list[float]() for _ in samples]
    for number, quality in enumerate(samples):
        crfs = result.crfs()
        tried[number] += crfs
        result.note(number, 75, {crf: quality(crf) for crf in crfs})
    while again := result.unsure():
        for number, crf in again.items():
            tried[number].append(crf)
            result.note(number, 75, {crf: samples[number](crf)})
    return result, tried


def whole(samples: Sequence[Callable[[float], float]], crf: float) -> float:
    """What all samples have together."""
    return fmean(quality(crf) for quality in samples)


@pytest.mark.parametrize("value", [85.0, 90.0, 93.0, 96.0])
@pytest.mark.parametrize(
    "film",
    [
        (steep,),
        (flat,),
        (curved,),
        (steep,) * 8,
        (flat, curved, steep, curved, flat, flat, steep, steep),
        (curved, steep, steep, steep),
    ],
)
def test_few_tries_come_near_whatever_the_film(film: Sequence[Callable[[float], float]], value: float) -> None:
    """Within a point; where the bounds allow no more, as near as they do."""
    target = QualityTarget(Metric.VMAF, value)
    result, tried = search(film, target)
    choice = result.choice()
    reachable = min(max(value, whole(film, target.max_crf)), whole(film, target.min_crf))
    assert abs(whole(film, choice.crf) - reachable) < 0.9
    assert abs(choice.predicted - whole(film, choice.crf)) < 0.9
    assert sum(map(len, tried)) <= 3 * len(film) + 2 and all(len({*crfs}) == len(crfs) for crfs in tried)


@pytest.mark.parametrize("encoder", ["libvpx-vp9", "libsvtav1"])
def test_encoders_with_whole_steps_are_tried_at_those(encoder: str) -> None:
    """Of 63."""
    _, tried = search((steep, flat), QualityTarget(Metric.VMAF, 93.0), encoder)
    assert all(abs(crf * 63 / 51 - round(crf * 63 / 51)) < 1e-9 for crfs in tried for crf in crfs)


def test_bounds_are_kept() -> None:
    """Both; between bounds that are near each other, fewer are tried."""
    low, (tried,) = search((steep,), QualityTarget(Metric.VMAF, 99.0, min_crf=20.0))
    assert low.choice().crf == 20.0 and min(tried) == 20.0
    high, (tried,) = search((flat,), QualityTarget(Metric.VMAF, 50.0, max_crf=30.0))
    assert high.choice().crf == 30.0 and max(tried) == 30.0
    narrow, result = search((steep, steep), QualityTarget(Metric.VMAF, 93.0, min_crf=20.0, max_crf=20.5))
    assert all(20.0 <= crf <= 20.5 for crfs in result for crf in crfs) and 20.0 <= narrow.choice().crf <= 20.5


def test_a_score_that_rises_by_chance_misleads_nobody() -> None:
    """Equal frames at two CRFs, and noise in the scores: what is predicted never rises with CRF."""
    crf_search = CrfSearch(QualityTarget(Metric.VMAF, 93.0), "libx264")
    crf_search.note(0, 75, {20.0: 95.0, 24.0: 95.4, 30.0: 91.0})
    choice = crf_search.choice()
    assert 24.0 < choice.crf < 30.0 and 92.5 < choice.predicted < 93.5


def test_longer_samples_count_more() -> None:
    """By their frames; one of which nothing could be read counts nothing."""
    crf_search = CrfSearch(QualityTarget(Metric.VMAF, 93.0), "libx264")
    crf_search.note(0, 0, {})
    assert not crf_search.noted and len(crf_search.crfs()) == 3
    crf_search.note(1, 300, {crf: flat(crf) for crf in (20.0, 30.0)})
    alone = crf_search.choice().crf
    crf_search.note(2, 3, {crf: steep(crf) for crf in (20.0, 30.0)})
    assert abs(crf_search.choice().crf - alone) < 1


def test_a_scout_tells_how_steep_the_whole_is() -> None:
    """It is tried once or twice; what the scout scores counts for nothing."""
    crf_search = CrfSearch(QualityTarget(Metric.VMAF, 93.0), "libx264")
    crf_search.note_scout(75, {crf: steep(crf) for crf in crf_search.crfs()})
    tried = []
    (crf,) = crf_search.crfs()
    while True:
        tried.append(crf)
        crf_search.note(1, 300, {crf: steep(crf) - 3})
        again = crf_search.unsure()
        if not again:
            break
        crf = again[1]
    assert abs(steep(crf_search.choice().crf) - 3 - 93) < 0.4 and len(tried) == 2


def test_scouts_promise_what_their_encoder_makes_of_a_whole() -> None:
    """Not all of them spend less near the end."""
    choices = {}
    for encoder in ("libvpx-vp9", "libx265", "libx264"):
        result = CrfSearch(QualityTarget(Metric.VMAF, 93.0), encoder)
        result.note_scout(38, {27.0: 93.0})
        choices[encoder] = result.choice().crf
    assert choices["libvpx-vp9"] < choices["libx265"] == 27.0 < choices["libx264"]


def test_all_of_a_short_video_is_encoded_once_if_it_is_near() -> None:
    """At what its scouts promise, a little more than they score, as encoders look ahead further in their whole."""
    result, tries = CrfSearch(QualityTarget(Metric.VMAF, 93.0), "libx264", 3), []
    for quality in (steep, flat, steep):
        tries.append(result.crfs())
        result.note_scout(38, {crf: quality(crf) for crf in tries[-1]})
    assert [*map(len, tries)] == [1, 1, 1]
    first = result.choice()
    assert -1 < whole((steep, flat, steep), first.crf) - 93 < 0
    result.note(0, 300, {first.crf: 93.7})
    assert result.again(first.crf) is None


@pytest.mark.parametrize("scouts", [1, 2])
def test_what_is_encoded_again_comes_near(scouts: int) -> None:
    """The whole is as steep as its scouts, where it lies elsewhere; and it is not tried for ever."""
    result, tried = CrfSearch(QualityTarget(Metric.VMAF, 93.0), "libx264", scouts), []
    for _ in range(scouts):
        result.note_scout(38, {crf: steep(crf) for crf in result.crfs()})
    choice: Choice | None = result.choice()
    while choice:
        tried.append(choice.crf)
        result.note(0, 300, {choice.crf: steep(choice.crf) - 3})
        choice = result.again(tried[-1])
    assert len(tried) in (2, 3) and abs(steep(tried[-1]) - 3 - 93) < 1


@pytest.mark.parametrize(("last", "made_again"), [(91.85, False), (91.3, True)])
def test_an_earlier_encode_is_made_again_only_if_it_was_clearly_nearer(last: float, made_again: bool) -> None:
    """Of three that all missed."""
    result = CrfSearch(QualityTarget(Metric.VMAF, 93.0), "libx264", 2)
    result.note_scout(38, {34.0: 94.0})
    for crf, score in ((34.75, 94.1), (36.25, 88.8)):
        result.note(0, 300, {crf: score})
        assert result.again(crf)
    result.note(0, 300, {35.25: last})
    choice = result.again(35.25)
    assert choice == (Choice(34.75, 94.1) if made_again else None)


def stair(crf: float) -> float:
    """Perfect up to a CRF, soon unwatchable behind it: noise, and what is drawn in few colors."""
    return 99.9 - 6 * max(crf - 36.0, 0.0)


def cliff(crf: float) -> float:
    """Perfect or unwatchable."""
    return 98.0 if crf < 36.0 else 60.0


@pytest.mark.parametrize("quality", [stair, cliff])
@pytest.mark.parametrize("target", [90.0, 93.0, 96.0])
@pytest.mark.parametrize("scouts", [1, 2])
def test_nothing_ends_far_below_its_target(quality: Callable[[float], float], target: float, scouts: int) -> None:
    """It is tried more often, in steps that are not too large; where nothing comes near, it ends at what came nearest."""
    result, tried = CrfSearch(QualityTarget(Metric.VMAF, target), "libx264", scouts), []
    for _ in range(scouts):
        result.note_scout(38, {crf: flat(crf) for crf in result.crfs()})
    choice: Choice | None = result.choice()
    while choice:
        tried.append(choice.crf)
        result.note(0, 300, {choice.crf: quality(choice.crf)})
        choice = result.again(tried[-1])
    assert quality(tried[-1]) > target - 2 and len(tried) <= 6
    assert all(min(abs(crf - other) for other in tried[:place]) <= 8 for place, crf in enumerate(tried) if place)


def drawn(crf: float) -> float:
    """Falls as a drawing of few colors does."""
    return 101 - 11.5 * exp(0.25 * (crf - 40))


@pytest.mark.parametrize("target", [90.0, 93.0, 96.0])
def test_what_is_unlike_the_first_scout_is_taken_for_steep(target: float) -> None:
    """The first one tells nothing of what lies far beyond it; few encodes are enough."""
    result, tried = CrfSearch(QualityTarget(Metric.VMAF, target), "libx264", 1), []
    low, high = result.crfs()
    result.note_scout(38, {low: 99.0, high: 98.0})
    (crf,) = result.crfs()
    assert crf <= high + 8
    result.note_scout(38, {crf: drawn(crf)})
    choice: Choice | None = result.choice()
    while choice:
        tried.append(choice.crf)
        result.note(0, 300, {choice.crf: drawn(choice.crf)})
        choice = result.again(tried[-1])
    assert abs(drawn(tried[-1]) - target) < 1 and len(tried) <= 3


def test_what_bounds_keep_from_its_target_is_not_encoded_again() -> None:
    """The CRF stays the same."""
    crf_search = CrfSearch(QualityTarget(Metric.VMAF, 93.0, min_crf=30.0), "libx264")
    crf_search.note_scout(38, {crf: steep(crf) for crf in crf_search.crfs()})
    assert crf_search.choice().crf == 30.0
    crf_search.note(0, 300, {30.0: steep(30.0)})
    assert crf_search.again(30.0) is None
