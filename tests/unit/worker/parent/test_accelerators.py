"""Which encoder took over, for the metric."""

from fractions import Fraction

import pytest

from reelmill_server.model.plan import Plan, StreamPlan, StreamType, TargetPlan, VideoOutput
from reelmill_server.worker.parent.accelerators import substitute


def plan(*encoders: str) -> Plan:
    """A plan of one target for each encoder."""
    shape = VideoOutput(64, 64, "yuv420p", Fraction(1, 25), Fraction(25))
    streams = (StreamPlan(StreamType.VIDEO, (), "h264", encoder, "", video=shape) for encoder in encoders)
    return Plan(tuple(TargetPlan(0, "file:///x.mp4", "mp4", "mp4", 0, (stream,)) for stream in streams))


@pytest.mark.parametrize(
    ("lost", "after", "expected"),
    [
        ("hevc_nvenc", ("h264_nvenc", "libx265"), "libx265"),
        ("h264_nvenc", ("libx264", "hevc_nvenc"), "libx264"),
        ("av1_nvenc", ("libx264", "libx265"), ""),
        ("hevc_nvenc", ("h264_nvenc",), ""),
    ],
)
def test_the_substitute_is_what_encodes_the_same_stream(lost: str, after: tuple[str, ...], expected: str) -> None:
    """Not the first encoder of the plan."""
    assert substitute(lost, plan("h264_nvenc", "hevc_nvenc"), plan(*after)) == expected
