"""Whose fault it is when what was written does not account for what was read."""

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from reelmill_server.errors import InvalidMedia
from reelmill_server.media.input.tally import StreamTotals
from reelmill_server.media.result.balance import check_balance
from reelmill_server.media.track.base import StreamStats
from reelmill_server.model.plan import PartPlan, StreamPlan, StreamType, TargetPlan, VideoOutput

VIDEO = VideoOutput(64, 48, "yuv420p", Fraction(1, 10), Fraction(10))
STREAM = StreamPlan(StreamType.VIDEO, (PartPlan(0, filters=("fps=10",)),), "h264", "libx264", "", video=VIDEO, slack_us=100_000)


def produced(first: Fraction) -> Any:
    """A second of video, of a source whose first frame lies at `first`."""
    written = StreamStats(taken=10)
    for number in range(10):
        written.count(SimpleNamespace(pts=number, duration=1, size=1, time_base=Fraction(1, 10)))  # type: ignore[arg-type]
    one = Fraction(1)
    given = StreamTotals(10, first, one - Fraction(1, 10), one, one, one)
    plan = TargetPlan(0, "file:///out/x.mp4", "mp4", "mp4", 0, (STREAM,))
    return SimpleNamespace(plan=plan, written=(written,), given=(given,))


def test_frames_far_from_the_beginning_are_the_sources_fault() -> None:
    """Before what the container says, or years later."""
    check_balance(produced(Fraction(0)), "targets[0]")
    check_balance(produced(Fraction(-1, 20)), "targets[0]")
    with pytest.raises(InvalidMedia, match=r"begins 400000000 s after its container says"):
        check_balance(produced(Fraction(400_000_000)), "targets[0]")
    with pytest.raises(InvalidMedia, match=r"begins 0\.080 s before its container says"):
        check_balance(produced(Fraction(-8, 100)), "targets[0]")
