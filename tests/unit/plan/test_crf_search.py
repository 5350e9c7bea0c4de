"""The search of a CRF: few tries, near the target, the same each time, and within its bounds."""

from collections.abc import Callable

import pytest

from reelmill_server.model.quality import Metric, QualityTarget
from reelmill_server.plan.crf_search import MOST_TRIES, CrfSearch


def steep(crf: float) -> float:
    """A film that becomes bad quickly."""
    return 100 - 0.0006 * crf**3


def flat(crf: float) -> float:
    """One that hardly does."""
    return 99 - 0.2 * crf


def curved(crf: float) -> float:
    """Nothing to see at first, then all at once."""
    return 99.5 - max(0.0, crf - 22) ** 2 / 8


def search(quality: Callable[[float], float], target: QualityTarget, encoder: str = "libx264") -> tuple[CrfSearch, list[float]]:
    """A search that has ended, and what it tried."""
    made, tried = CrfSearch(target, encoder), list[float]()
    while (crf := made.next_crf()) is not None:
        tried.append(crf)
        made.note(crf, quality(crf))
    return made, tried


@pytest.mark.parametrize("value", [85.0, 90.0, 93.0, 96.0])
@pytest.mark.parametrize("quality", [steep, flat, curved])
def test_four_tries_come_near_whatever_the_film(quality: Callable[[float], float], value: float) -> None:
    """Within half a point; where the bounds allow no more, as near as they do."""
    target = QualityTarget(Metric.VMAF, value)
    found, tried = search(quality, target)
    choice = found.choice()
    reachable = min(max(value, quality(target.max_crf)), quality(target.min_crf))
    assert abs(quality(choice.crf) - reachable) < 0.6
    assert len(tried) <= MOST_TRIES and len(set(tried)) == len(tried)
    assert abs(choice.predicted - quality(choice.crf)) < 0.6


@pytest.mark.parametrize("encoder", ["libvpx-vp9", "libsvtav1"])
def test_encoders_with_whole_steps_are_tried_at_those(encoder: str) -> None:
    """Of 63."""
    _, tried = search(steep, QualityTarget(Metric.VMAF, 93.0), encoder)
    assert all(abs(crf * 63 / 51 - round(crf * 63 / 51)) < 1e-9 for crf in tried)


def test_bounds_are_kept() -> None:
    """Both."""
    low, tried = search(steep, QualityTarget(Metric.VMAF, 99.0, min_crf=20.0))
    assert low.choice().crf == 20.0 and min(tried) == 20.0
    high, tried = search(flat, QualityTarget(Metric.VMAF, 50.0, max_crf=30.0))
    assert high.choice().crf == 30.0 and max(tried) == 30.0


def test_a_score_that_rises_by_chance_misleads_nobody() -> None:
    """Equal frames at two CRFs, and noise in the scores: what is predicted never rises with CRF."""
    made = CrfSearch(QualityTarget(Metric.VMAF, 93.0), "libx264")
    for crf, score in ((20.0, 95.0), (24.0, 95.4), (30.0, 91.0)):
        made.note(crf, score)
    choice = made.choice()
    assert 24.0 < choice.crf < 30.0 and 92.5 < choice.predicted < 93.5
