"""What the parent believes of a child's plan and numbers."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from reelmill.v1 import media_info_pb2, task_pb2
from reelmill_server.errors import OutputInvalid
from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import Plan
from reelmill_server.model.quality import Metric, QualityTarget
from reelmill_server.model.request import ConvertRequest, TargetSpec, VideoSpec
from reelmill_server.model.sample import Sample, SampleScores, StreamSearch, Trial
from reelmill_server.model.units import Split, SplitRule, Unit, VideoUnit, WholeUnit
from reelmill_server.worker.messages import Assignment
from reelmill_server.worker.parent.credible import _WIDE, check_plan, check_searches, check_tried
from tests.unit.plan.test_plan_search import plan

_PLAN = Plan((), ())
_ASSIGNMENT = Assignment("convert", Limits())


def _split(chunks: int, whole: bool = True) -> Split:
    units: list[Unit] = [VideoUnit(number, number, number + 1) for number in range(chunks)]
    return Split((*units, *([WholeUnit(chunks)] if whole else [])), "", "d")


_TWICE = replace(_split(2), units=(*_split(1, whole=False).units,) * 2)


@pytest.mark.parametrize(
    ("assignment", "split", "believed"),
    [
        (_ASSIGNMENT, None, True),
        (_ASSIGNMENT, Split(reason="too little"), True),
        (_ASSIGNMENT, _split(2), False),
        (replace(_ASSIGNMENT, rule=SplitRule(most=4)), _split(4), True),
        (replace(_ASSIGNMENT, rule=SplitRule(most=4)), _split(4, whole=False), True),
        (replace(_ASSIGNMENT, rule=SplitRule(most=4)), _split(5, whole=False), False),
        (replace(_ASSIGNMENT, rule=SplitRule(most=1)), _split(2), True),
        (replace(_ASSIGNMENT, rule=SplitRule(most=4, parallelism=7)), _split(7), True),
        (replace(_ASSIGNMENT, rule=SplitRule(most=64, parallelism=7)), _split(8), False),
        (replace(_ASSIGNMENT, rule=SplitRule(most=4)), _TWICE, False),
        (replace(_ASSIGNMENT, rule=SplitRule(most=4)), replace(_split(0), units=(WholeUnit(0), WholeUnit(1)) * 9), False),
        (replace(_ASSIGNMENT, split=_split(9)), _split(9), True),
        (replace(_ASSIGNMENT, split=_split(9)), _split(8), False),
    ],
)
def test_chunks_are_those_that_were_asked_for(assignment: Assignment, split: Split | None, believed: bool) -> None:
    """By the rule, or exactly those of the task that is joined."""
    if believed:
        check_plan(assignment, _PLAN, split)
    else:
        with pytest.raises(OutputInvalid, match="other chunks"):
            check_plan(assignment, _PLAN, split)


_SAMPLE = Sample(0, VideoUnit(0, 0, 1))
_SEARCH = StreamSearch(0, 0, (_SAMPLE,))
_OTHER = QualityTarget(Metric.VMAF, 93.0, min_crf=40.0, max_crf=20.0)


@pytest.mark.parametrize(
    ("searches", "quality", "chunks", "believed"),
    [
        ((_SEARCH,), QualityTarget(Metric.VMAF, 93.0), 2, True),
        ((), QualityTarget(Metric.VMAF, 93.0), 0, True),
        ((), QualityTarget(Metric.VMAF, 93.0), 2, False),
        ((_SEARCH,), QualityTarget(Metric.VMAF, 93.0), 0, False),
        ((_SEARCH, _SEARCH), QualityTarget(Metric.VMAF, 93.0), 2, False),
        ((replace(_SEARCH, stream=1),), QualityTarget(Metric.VMAF, 93.0), 2, False),
        ((replace(_SEARCH, samples=()),), QualityTarget(Metric.VMAF, 93.0), 2, False),
        ((replace(_SEARCH, samples=(_SAMPLE,) * 501),), QualityTarget(Metric.VMAF, 93.0), 2, False),
        ((_SEARCH,), _OTHER, 2, False),
        ((_SEARCH,), None, 2, False),
    ],
)
def test_searches_are_those_of_the_crfs_that_are_open(
    searches: tuple[StreamSearch, ...], quality: QualityTarget | None, chunks: int, believed: bool
) -> None:
    """As the request wants them: the engine goes through them."""
    target = TargetSpec(0, "file:///0", "mp4", VideoSpec("h264", quality=quality), None)
    assignment = replace(_ASSIGNMENT, request=ConvertRequest("task", "default", (), (target,)))
    if believed:
        check_searches(assignment, plan(93.0), _split(chunks, whole=False), searches)
    else:
        with pytest.raises(OutputInvalid):
            check_searches(assignment, plan(93.0), _split(chunks, whole=False), searches)


@pytest.mark.parametrize(
    ("frames", "scores", "believed"),
    [
        (75, (100.0, 0.0), True),
        (0, (), True),
        (75, (100.1, 90.0), False),
        (75, (90.0, -0.1), False),
        (75, (90.0,), False),
        (75, (90.0, 90.0, 90.0), False),
        (-1, (90.0, 80.0), False),
    ],
)
def test_scores_are_of_what_was_tried(frames: int, scores: tuple[float, ...], believed: bool) -> None:
    """One for each CRF, none that there is not."""
    trial = Trial(0, 1, (20.0, 24.0))
    assignment = replace(_ASSIGNMENT, trials=(trial,))
    if believed:
        check_tried(assignment, (SampleScores(trial, frames, scores),))
    else:
        with pytest.raises(OutputInvalid, match="scores"):
            check_tried(assignment, (SampleScores(trial, frames, scores),))
    for others in ((), (SampleScores(replace(trial, sample=2), 75, (90.0, 80.0)),)):
        with pytest.raises(OutputInvalid, match="other samples"):
            check_tried(assignment, others)


def _fields(descriptor: Descriptor, seen: set[str]) -> Iterable[FieldDescriptor]:
    """The fields of a message and of all in it."""
    if descriptor.full_name not in seen:
        seen.add(descriptor.full_name)
        for field in descriptor.fields:
            yield field
            if field.message_type:
                yield from _fields(field.message_type, seen)


def test_wide_numbers_are_those_of_the_protos() -> None:
    """The table is by names: one that has 64 bits in one message has them in all that a child tells."""
    seen: set[str] = set()
    told = (task_pb2.Artifact.DESCRIPTOR, task_pb2.StreamAdjustment.DESCRIPTOR, media_info_pb2.MediaInfo.DESCRIPTOR)
    fields = [field for message in told for field in _fields(message, seen)]
    narrow = {field.name for field in fields if field.type == FieldDescriptor.TYPE_INT32}
    assert {"width", "segment_count"} <= narrow and not narrow & _WIDE
