"""What the parent believes of a child's plan and numbers."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from reelmill.v1 import media_info_pb2, task_pb2
from reelmill_server.errors import OutputInvalid
from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import Plan
from reelmill_server.model.units import Split, SplitRule, Unit, VideoUnit, WholeUnit
from reelmill_server.worker.messages import Assignment
from reelmill_server.worker.parent.credible import _WIDE, check_plan

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
