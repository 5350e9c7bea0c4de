"""How much of messages and threads a child may have: what the largest honest ones had, twice, and no end of it for others."""

import json

import pytest

from reelmill_server.model.capability import Limits
from reelmill_server.model.ladder import LadderSpec
from reelmill_server.model.request import ConvertRequest, SegmentFormat, SegmentSpec, SourceSpec, TargetSpec
from reelmill_server.worker.messages import Assignment
from reelmill_server.worker.parent import child_bounds, child_process
from reelmill_server.worker.parent.child_bounds import MOST_SMALL_BYTES, most_bytes, most_threads

_DAY_SECONDS, _SEGMENT_SECONDS, _RENDITIONS = 86_400, 2, 16


def _assignment(targets: int, ladder: LadderSpec | None = None, segment: SegmentSpec | None = None) -> Assignment:
    result = tuple(
        TargetSpec(number, f"file:///out/{number}", "mp4", ladder=ladder, segment=segment) for number in range(targets)
    )
    return Assignment("convert", Limits(), ConvertRequest("task", "default", (SourceSpec("file:///a"),), result))


@pytest.mark.parametrize(
    ("cores", "targets", "ladder", "measured"),
    [
        (2, 1, None, 48),  # 11 sources, joined
        (2, 12, None, 529),  # of AV1
        (2, 100, None, 50 + 47 * 100),
        (2, 1, LadderSpec(max_renditions=15), 50 + 47 * 15),
        (64, 12, None, 50 + 96 * 12),  # of H.264
    ],
)
def test_honest_children_have_half_of_the_threads(
    monkeypatch: pytest.MonkeyPatch, cores: int, targets: int, ladder: LadderSpec | None, measured: int
) -> None:
    """Of what they may; and what they may grows with what was asked for only."""
    monkeypatch.setattr(child_bounds, "visible_cpus", lambda: cores)
    most = most_threads(_assignment(targets, ladder))
    assert 2 * measured <= most <= 4 * measured + 1_100
    assert most_threads(Assignment("probe", Limits())) < 1_000


def test_the_list_of_a_day_in_small_segments_fits() -> None:
    """With the names that they have in the attempt's folder; a plan has less."""
    assignment = _assignment(15, segment=SegmentSpec(SegmentFormat.HLS, _SEGMENT_SECONDS * 1_000_000))
    parts = [f"{slot}/{number}.m4s" for slot in range(_RENDITIONS) for number in range(_DAY_SECONDS // _SEGMENT_SECONDS)]
    size = len(json.dumps(parts, separators=(",", ":")))
    assert 2 * size < most_bytes(assignment) < 4 * size
    assert most_bytes(_assignment(12)) < most_bytes(assignment)


@pytest.mark.parametrize("more", [0, 1])
def test_other_messages_are_small(more: int) -> None:
    """One byte decides."""
    text = b'{"kind": "closed", "path": "a"}'
    padded = text + b" " * (MOST_SMALL_BYTES - len(text) + more)
    if more:
        with pytest.raises(ValueError, match="a message of"):
            child_process._read(padded)
    else:
        child_process._read(padded)
