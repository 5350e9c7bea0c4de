"""AVI, of which libav's muxer puts the first packet of each stream at 0."""

from fractions import Fraction

import pytest

from reelmill_server.model.request import AudioSpec
from tests import judge
from tests.media.converter import Converter, encoded, target
from tests.sources import Audio, Clip, Video

pytestmark = pytest.mark.media

SHORT = Video("mpeg4", size=(64, 48), b_frames=0, seconds=0.6)


@pytest.mark.parametrize("codec", ["libmp3lame", "pcm_s16le", pytest.param("ac3", marks=pytest.mark.matrix)])
def test_copied_audio_that_begins_late_is_heard_late(convert: Converter, codec: str) -> None:
    """Within half of one of its ticks, and read again where it is."""
    source = Clip("matroska", (SHORT,), (Audio(codec, seconds=0.3, start=0.3, clicks=(0.5,)),))
    converted = convert(source, target("avi"))
    assert judge.numbers(converted.path) == [*range(15)] and judge.times(converted.path)[0] == 0
    assert judge.clicks(converted.path) == pytest.approx([0.5], abs=0.017)
    again = convert(converted.path, target("mkv", encoded(), AudioSpec("flac")))
    assert judge.clicks(again.path) == pytest.approx(judge.clicks(converted.path), abs=0.001)
    assert judge.times(again.path)[0] == 0


def test_copied_video_that_begins_late_is_shown_late(convert: Converter) -> None:
    """Each frame at its time, also the first."""
    late = Video(size=(64, 48), b_frames=0, times=tuple(Fraction(number + 8, 25) for number in range(10)))
    source = Clip("matroska", (late,), (Audio("libmp3lame", seconds=0.7, clicks=(0.5,)),))
    converted = convert(source, target("avi"))
    assert judge.numbers(converted.path) == [*range(10)]
    times = [float(time) for time in judge.times(converted.path)]
    assert [time - times[0] for time in times] == pytest.approx([number / 25 for number in range(10)], abs=0.001)
    assert judge.clicks(converted.path)[0] - times[0] == pytest.approx(0.5 - 8 / 25, abs=0.03)


@pytest.mark.parametrize(("form", "rate"), [("asf", 25), ("asf", 10), ("mpegts", 25)])
def test_copied_video_that_begins_between_ticks_stays_with_its_audio(convert: Converter, form: str, rate: int) -> None:
    """Of ASF with MP3, video begins 23 ms after the audio; neither format need say how many frames a second it has."""
    video = Video("mpeg4", size=(64, 48), fps=Fraction(rate), b_frames=0, seconds=0.8)
    source = Clip(form, (video,), (Audio("libmp3lame", seconds=0.8, clicks=(0.5,)),))
    converted = convert(source, target("avi"))
    assert judge.numbers(converted.path) == [*range(round(0.8 * rate))]
    times = [float(time) for time in judge.times(converted.path)]
    assert [time - times[0] for time in times] == pytest.approx([number / rate for number in range(len(times))], abs=0.001)
    assert judge.clicks(converted.path)[0] - times[0] == pytest.approx(0.5, abs=0.024)
    assert "k tbn" not in judge.header(converted.path)  # of its frames, not of the source
