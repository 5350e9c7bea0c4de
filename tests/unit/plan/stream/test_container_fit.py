"""What is asked for is brought to what the container can hold."""

from fractions import Fraction

import pytest

from reelmill_server.errors import UnsupportedFormat
from reelmill_server.model.media_info import VideoStreamInfo
from reelmill_server.model.request import VideoSpec
from reelmill_server.plan.codec.containers import CONTAINERS
from reelmill_server.plan.stream.container_fit import check_copied_video, fit_video, plain_rate


def stream(average: str, base: str) -> VideoStreamInfo:
    """H.264 without B-frames."""
    return VideoStreamInfo(0, "h264", width=64, height=64, average_rate=Fraction(average), frame_rate=Fraction(base))


@pytest.mark.parametrize(("average", "base"), [("25", "25"), ("0", "25"), ("19001/317", "60000/1001")])
def test_a_steady_source_is_taken_as_it_is(average: str, base: str) -> None:
    """Matroska's rates are rounded."""
    _, notes = fit_video(VideoSpec("h264"), stream(average, base), CONTAINERS["avi"], "f")
    assert notes == ()
    check_copied_video(stream(average, base), CONTAINERS["avi"], "f")


def test_a_variable_source_gets_one_rate_and_a_warning() -> None:
    """Its copy is refused; elsewhere it stays variable."""
    variable = stream("22", "30")
    spec, notes = fit_video(VideoSpec("h264"), variable, CONTAINERS["avi"], "f")
    assert spec.frame_rate == 22 and "22 a second" in notes[0]
    with pytest.raises(UnsupportedFormat, match="varies"):
        check_copied_video(variable, CONTAINERS["avi"], "f")
    assert fit_video(VideoSpec("h264"), variable, CONTAINERS["mp4"], "f") == (VideoSpec("h264"), ())


@pytest.mark.parametrize(
    ("rate", "plain"), [("19001/317", "60000/1001"), ("2997/100", "30000/1001"), ("25", "25"), ("25/2", "25/2")]
)
def test_a_rounded_rate_is_the_common_one_that_it_stands_for(rate: str, plain: str) -> None:
    """Others stay."""
    assert plain_rate(Fraction(rate)) == Fraction(plain)


@pytest.mark.parametrize(("container", "kept"), [("mp4", False), ("mkv", True), ("webm", True)])
def test_alpha_goes_where_the_container_keeps_it(container: str, kept: bool) -> None:
    """VP9 has it beside its packets, which MP4 does not hold: then it is left out."""
    source = VideoStreamInfo(0, "prores", width=64, height=64, pixel_format="yuva444p10le", average_rate=Fraction(25))
    spec, _ = fit_video(VideoSpec("vp9"), source, CONTAINERS[container], "f")
    assert spec.pixel_format == ("" if kept else "yuv420p")
