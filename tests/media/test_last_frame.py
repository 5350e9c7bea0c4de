"""Transport streams need not say how long a frame is shown, and without audio nothing else tells how long the last one is."""

from fractions import Fraction

import pytest

from reelmill_server.model.request import SourceSpec, VideoSpec
from tests import judge
from tests.media.converter import Converter, encoded, target
from tests.media.test_joined import Joiner, join  # noqa: F401
from tests.sources import Clip, Shelf, Video

pytestmark = pytest.mark.media


def clip(fps: str, pause: int = 50) -> Clip:
    """50 frames, perhaps with a pause before the frame `pause`; libav reads no durations of these."""
    times = tuple(number / Fraction(fps) + (3 if number >= pause else 0) for number in range(50))
    return Clip("mpegts", (Video(times=times, last=1 / Fraction(fps), time_base=Fraction(1, 90000)),), ())


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("video", [encoded(), VideoSpec()], ids=["encode", "copy"])
@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("fps", ["25", "30000/1001", "5"])
def test_the_last_frame_lasts_as_long_as_the_others(convert: Converter, fps: str, container: str, video: VideoSpec) -> None:
    """So says the file, and so does the task."""
    converted = convert(clip(fps), target(container, video, None))
    expected = float(50 / Fraction(fps))
    assert converted.artifact.streams[0].duration_seconds == pytest.approx(expected, abs=0.002)
    if container != "ts":
        assert judge.describe(converted.path).duration == pytest.approx(expected, abs=0.011)


def test_a_pause_before_it_makes_it_no_longer(convert: Converter) -> None:
    """The shortest of the last distances counts."""
    converted = convert(clip("25", pause=47), target("mp4", encoded(), None))
    assert judge.describe(converted.path).duration == pytest.approx(5, abs=0.011)


@pytest.mark.parametrize("video", [encoded(), VideoSpec()], ids=["encode", "copy"])
@pytest.mark.parametrize("fps", ["25", "2"])
def test_such_sources_are_joined(join: Joiner, shelf: Shelf, fps: str, video: VideoSpec) -> None:  # noqa: F811
    """They were refused, as one count had the last frame and the other had not."""
    source = (clip(fps), SourceSpec("file:///a"))
    _, (path,) = join([source, source], target("mp4", video, None))
    assert len(judge.frames(path)) == 100
    assert judge.describe(path).duration == pytest.approx(float(100 / Fraction(fps)), abs=0.02)


def test_sources_whose_last_frame_comes_after_a_pause_are_joined(join: Joiner, shelf: Shelf) -> None:  # noqa: F811
    """That frame is as short as the others, for both counts."""
    source = (clip("25", pause=49), SourceSpec("file:///a"))
    _, (path,) = join([source, source], target("mp4", encoded(), None))
    assert judge.describe(path).duration == pytest.approx(10, abs=0.05)
