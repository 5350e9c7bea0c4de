"""Variable frame rates with a pause: the frame on screen is held, and nothing lasts longer than the source."""

import subprocess
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import pytest

from reelmill_server.model.image_request import FramesSpec, ImageKind, ImageSpec
from reelmill_server.model.request import AudioSpec, SourceSpec, TargetSpec, VideoSpec
from tests import judge
from tests.media.converter import Converter, encoded, target
from tests.sources import Audio, Clip, Video

pytestmark = pytest.mark.media

TIMES = tuple(Fraction(number, 25) + (4 if number >= 25 else 0) for number in range(50))
COPIED = VideoSpec()


def source(form: str) -> Clip:
    """Six seconds: one at 25 frames/s, a pause of four, and one again; B-frames across the pause."""
    return Clip(form, (Video(times=TIMES, gop=250),), (Audio(seconds=6),))


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("form", ["mp4", "matroska"])
@pytest.mark.parametrize("video", [encoded(), COPIED], ids=["encode", "copy"])
@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_a_pause_makes_nothing_longer(convert: Converter, form: str, video: VideoSpec, container: str) -> None:
    """The duration of the packet before a pause is that of another frame."""
    converted = convert(source(form), target(container, video))
    assert judge.describe(converted.path).duration == pytest.approx(6, abs=0.07)
    assert converted.artifact.duration_seconds == pytest.approx(6, abs=0.07)
    assert judge.numbers(converted.path) == list(range(50))


def test_a_length_that_a_frame_before_a_pause_claims_is_no_truncation(convert: Converter, tmp_path: Path) -> None:
    """As the judge copies it, the duration is that of the packets."""
    copied = tmp_path / "copied.mkv"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(convert.shelf.get(source("mp4"))), "-c", "copy"]
    subprocess.run([*command, str(copied)], check=True)
    assert judge.describe(copied).duration > 7
    converted = convert(copied, target("mp4", encoded()))
    assert converted.artifact.duration_seconds == pytest.approx(6, abs=0.07)


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("form", ["mp4", "matroska"])
@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_the_frame_on_screen_is_held_at_both_ends_of_a_cut(convert: Converter, form: str, container: str) -> None:
    """A span that begins or ends within a pause, or lies in it."""
    for start, duration, numbers in ((0, 3, range(25)), (2, 0, range(24, 50)), (2, 2, [24])):
        converted = convert(source(form), target(container, encoded(), None), start=start, duration=duration)
        assert judge.numbers(converted.path) == [*numbers]
        assert judge.times(converted.path)[0] == pytest.approx(0, abs=0.001)
        assert judge.describe(converted.path).duration == pytest.approx(duration or 4, abs=0.03)


@pytest.mark.parametrize("form", ["mp4", "matroska"])
def test_a_copy_holds_its_last_frame_to_the_end_of_the_cut(convert: Converter, form: str) -> None:
    """Its packets end before the pause."""
    converted = convert(source(form), target("mp4", COPIED, None), duration=3)
    assert judge.describe(converted.path).duration == pytest.approx(3, abs=0.001)


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("form", ["mp4", "matroska", "mpegts"])
def test_a_cut_within_the_last_frame_shows_it(convert: Converter, form: str) -> None:
    """Nothing begins after it; the audio packet that is heard then is copied, too."""
    clip = Clip(form, (Video(seconds=2),), (Audio(seconds=2),))
    for spec in (target("mp4", encoded(), AudioSpec("aac")), target("mkv", encoded(), None)):
        converted = convert(clip, spec, start=1.99)
        assert judge.numbers(converted.path) == [49]
        assert judge.describe(converted.path).duration == pytest.approx(0.03, abs=0.03)
    alone = convert(clip, replace(target("mp4", None, AudioSpec("aac")), video_asked=False), start=1.999)
    assert judge.packets(alone.path)
    copied = convert(clip, replace(target("mp4", None), video_asked=False), start=1.999)
    assert len(judge.packets(copied.path)) >= 1
    entry = ImageSpec(ImageKind.SNAPSHOT, 0, "file:///out/pic", "png", FramesSpec(number=1, interval_us=500_000))
    for spec in (TargetSpec(0, "", "", images=(entry,), subtitle="none"), replace(target("mkv"), images=(entry,))):
        converted = convert(clip, spec, start=1.97)
        (picture,) = (
            converted.published / one.uri.removeprefix("file:///out/") for one in converted.artifacts if one.container == "png"
        )
        assert judge.numbers(picture) == [49]


@pytest.mark.parametrize("fps", [2, 5, 8])
def test_a_cut_between_the_ticks_of_a_slow_rate(convert: Converter, fps: int) -> None:
    """In AVI, a tick is as long as a frame: what is on screen where the cut begins is shown until the next frame is."""
    clip = Clip("avi", (Video("mpeg4", fps=Fraction(fps), seconds=3, gop=2, b_frames=0),), (Audio("mp3", seconds=3),))
    times = judge.times(convert.shelf.get(clip))
    late = next(time for time in times if time >= Fraction("0.77")) - Fraction("0.77")
    first = sum(time < Fraction("0.77") for time in times) - (late >= Fraction("0.1"))
    shown = list(range(first, sum(time < Fraction("1.9") for time in times)))
    for wanted in (target("mp4", encoded(b_frames=0)), target("mkv", encoded(), AudioSpec("aac"))):
        converted = convert(clip, wanted, start=0.77, duration=1.13)
        assert judge.describe(converted.path).duration == pytest.approx(1.13, abs=0.03)
        assert judge.numbers(converted.path) == shown
    for container in ("mp4", "mkv"):
        copied = convert(clip, target(container, audio=None), duration=1.13)
        assert judge.describe(copied.path).duration == pytest.approx(1.13, abs=0.011)


def test_joined_cuts_may_each_begin_in_a_pause(convert: Converter) -> None:
    """The frame that is held in each of them counts, and so does one where nothing else is shown."""
    spec = SourceSpec("file:///s", start_us=2_000_000, duration_us=2_400_000)
    for length, count in ((2_400_000, 2 * 60), (1_000_000, 2 * 25)):
        part = (source("mp4"), replace(spec, duration_us=length))
        path = convert.concat([part, part], target("mp4", encoded())).path
        assert len(judge.times(path)) == count
        assert judge.numbers(path)[0] == judge.numbers(path)[count // 2] == 24


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("form", ["mp4", "matroska"])
def test_a_copied_cut_ends_in_a_pause(convert: Converter, form: str, container: str) -> None:
    """The frame behind the pause that is decoded before it, for those that refer to it, is shown soon after the end."""
    converted = convert(source(form), target(container), duration=2.5)
    assert judge.describe(converted.path).duration == pytest.approx(2.5, abs=0.6)
    assert judge.numbers(converted.path)[:25] == list(range(25))
