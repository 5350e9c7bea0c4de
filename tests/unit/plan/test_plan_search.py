"""The search for all CRFs of a plan: the same whoever tries its samples, and in whatever order they are done."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

import pytest

from reelmill_server.errors import InvalidMedia
from reelmill_server.model.plain import adapter, to_json
from reelmill_server.model.plan import InputPlan, PartPlan, Plan, StreamPlan, StreamType, TargetPlan, VideoOutput
from reelmill_server.model.quality import Metric, QualityTarget
from reelmill_server.model.sample import Sample, SampleScores, StreamSearch, Trial
from reelmill_server.model.units import VideoUnit
from reelmill_server.plan.quality import PlanSearch, searches_of, unsearched, with_assumed_crfs

SECOND = 1_000_000
OUTPUT = VideoOutput(64, 64, "yuv420p", Fraction(1, 25), Fraction(25))


def plan(*values: float) -> Plan:
    """A film of ten minutes, encoded at each quality."""
    stream = StreamPlan(StreamType.VIDEO, (PartPlan(0),), "h264", "libx264", "software", {"crf": "23"}, OUTPUT)
    aimed = [replace(stream, quality=QualityTarget(Metric.VMAF, value)) for value in values]
    targets = [TargetPlan(n, f"file:///{n}", "mp4", "mp4", 0, (one,), field=f"targets[{n}]") for n, one in enumerate(aimed)]
    return Plan(tuple(targets), inputs=(InputPlan(0, 0, 0, 0, 600 * SECOND),))


def score(trial: Trial, crf: float) -> float:
    """One kind of content for each sample."""
    kinds: tuple[Callable[[float], float], ...] = (lambda crf: 100 - 0.0006 * crf**3, lambda crf: 99 - 0.2 * crf)
    return kinds[trial.sample % 3 % 2](crf) - trial.sample / 3


def tried(trial: Trial) -> SampleScores:
    """What comes of a trial, as it travels."""
    result = SampleScores(trial, 75 + trial.sample, tuple(score(trial, crf) for crf in trial.crfs))
    arrived: SampleScores = adapter(SampleScores).validate_json(to_json(result))
    return arrived


def found(given: Plan, searches: Sequence[StreamSearch], order: int) -> tuple[Plan, list[tuple[Trial, ...]]]:
    """The plan with its CRFs, and the trials of each round, whose results come in that `order`."""
    search, rounds = PlanSearch(given, searches), []
    while due := search.due():
        rounds.append(due)
        search.note([tried(trial) for trial in sorted(due, key=lambda trial: hash((order, trial)))])
    return search.plan(), rounds


def test_crfs_do_not_depend_on_the_order_in_which_samples_are_done() -> None:
    """Of two videos, the first samples are in one round, and all others in the next."""
    given = plan(90.0, 96.0)
    searches = searches_of(given, range(0, 600 * SECOND, 2 * SECOND))
    once, rounds = found(given, searches, 0)
    assert all(found(given, searches, order) == (once, rounds) for order in range(1, 9))
    assert [len(trials) for trials in rounds[:2]] == [2, 14] and len(rounds) <= 4
    assert [len(trial.crfs) for trial in (*rounds[0], *rounds[1])] == [3] * 2 + [2] * 14
    assert not [*unsearched(once)] and not [*unsearched(with_assumed_crfs(given))]
    low, high = (target.streams[0] for target in once.targets)
    assert low.quality and high.quality and low.quality.crf and high.quality.crf and low.quality.crf > high.quality.crf
    assert low.options["crf"] == f"{low.quality.crf:g}" and "on samples" in low.reason


def test_a_scout_comes_before_the_whole_of_a_short_video() -> None:
    """Which is tried once, and once more where it is unsure."""
    whole = VideoUnit(0, 0, 0)
    samples = Sample(0, VideoUnit(0, 2 * SECOND, 5 * SECOND), scout=True), Sample(0, whole)
    given = plan(93.0)
    done, rounds = found(given, (StreamSearch(0, 0, samples),), 0)
    assert [trial.sample for trials in rounds for trial in trials][:2] == [0, 1] and len(rounds) <= 4
    assert all(len(trial.crfs) == 1 for trials in rounds[1:] for trial in trials)
    quality = done.targets[0].streams[0].quality
    assert quality and quality.predicted == pytest.approx(93, abs=0.5)


def test_samples_without_frames_count_nothing() -> None:
    """Where no sample has any, the task fails, by the name of its target."""
    given = plan(93.0)
    search = PlanSearch(given, searches_of(given, ()))
    (first,) = search.due()
    search.note([SampleScores(first, 0)])
    others = search.due()
    assert {trial.crfs for trial in others} == {first.crfs} and len(others) == 7
    search.note([SampleScores(trial, 0) for trial in others])
    assert not search.due()
    with pytest.raises(InvalidMedia, match=r"targets\[0\]: no frame"):
        search.plan()
