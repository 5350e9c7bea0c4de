"""What becomes of a setting when the source has less."""

from fractions import Fraction

import pytest

from reelmill_server.errors import ConditionNotMet
from reelmill_server.model.media_info import AudioStreamInfo, VideoStreamInfo
from reelmill_server.model.request import Adapt, AudioSpec, ConvertRequest, TargetSpec, VideoSpec
from reelmill_server.plan.stream.adaptive import adapted_rate, adapted_video, needs_bitrates

PORTRAIT = VideoStreamInfo(0, "h264", width=640, height=360, rotation=90)
SOUND = AudioStreamInfo(1, "aac", sample_rate=44100)


@pytest.mark.parametrize(
    ("option", "asked", "kept"),
    [
        (Adapt.FIXED, 60, 60),
        (Adapt.ADAPTIVE, 60, 0),
        (Adapt.ADAPTIVE, 25, 25),
        (Adapt.ADAPTIVE, 10, 10),
        (Adapt.FALL, 25, 25),
        (Adapt.FALL, Fraction(24000, 1001), Fraction(24000, 1001)),
    ],
)
def test_frame_rates(option: Adapt, asked: Fraction, kept: Fraction) -> None:
    """A source of 25: only a higher rate concerns the option."""
    spec = VideoSpec("h264", frame_rate=Fraction(asked), frame_rate_option=option)
    assert adapted_video(spec, PORTRAIT, Fraction(25), "f").frame_rate == kept


def test_a_source_with_too_few_pictures_fails_the_task() -> None:
    """By name, with both numbers."""
    spec = VideoSpec("h264", frame_rate=Fraction(60), frame_rate_option=Adapt.FALL)
    with pytest.raises(ConditionNotMet, match=r"f\.frame_rate is 60, but the source has only 29\.97"):
        adapted_video(spec, PORTRAIT, Fraction(30000, 1001), "f")


def test_an_unknown_rate_counts_as_enough() -> None:
    """Nothing is refused on a guess."""
    spec = VideoSpec("h264", frame_rate=Fraction(60), frame_rate_option=Adapt.FALL)
    assert adapted_video(spec, PORTRAIT, Fraction(0), "f") == spec


@pytest.mark.parametrize(
    ("width", "height", "kept"), [(640, 360, True), (1280, 720, False), (360, 641, False), (100, 2000, True), (720, 0, False)]
)
def test_sizes_are_compared_by_area_as_shown(width: int, height: int, kept: bool) -> None:
    """A portrait of 360x640; a missing side is the source's."""
    spec = VideoSpec("h264", width=width, height=height, resolution_option=Adapt.ADAPTIVE)
    adapted = adapted_video(spec, PORTRAIT, Fraction(25), "f")
    assert (adapted.width, adapted.height) == ((width, height) if kept else (0, 0))


def test_a_source_that_is_too_small_fails_the_task() -> None:
    """By area."""
    spec = VideoSpec("h264", width=1280, height=720, resolution_option=Adapt.FALL)
    with pytest.raises(ConditionNotMet, match=r"resolution \(area\) is 921600, but the source has only 230400"):
        adapted_video(spec, PORTRAIT, Fraction(25), "f")


def test_sample_rates() -> None:
    """As frame rates."""
    asked = AudioSpec("aac", sample_rate=48000, sample_rate_option=Adapt.ADAPTIVE)
    assert adapted_rate(asked, SOUND, "f").sample_rate is None
    lower = AudioSpec("aac", sample_rate=22050, sample_rate_option=Adapt.FALL)
    assert adapted_rate(lower, SOUND, "f") == lower
    with pytest.raises(ConditionNotMet, match="sample_rate"):
        adapted_rate(AudioSpec("aac", sample_rate=48000, sample_rate_option=Adapt.FALL), SOUND, "f")


@pytest.mark.parametrize(
    ("video", "audio", "needed"),
    [
        (VideoSpec("h264", bitrate=1_000_000, bitrate_option=Adapt.FALL), None, True),
        (VideoSpec("h264", bitrate=1_000_000), AudioSpec("aac", bitrate=64_000, bitrate_option=Adapt.ADAPTIVE), True),
        (VideoSpec("h264", bitrate=1_000_000), AudioSpec("aac", sample_rate=8000, sample_rate_option=Adapt.FALL), False),
        (None, None, False),
    ],
)
def test_bitrates_are_measured_only_where_they_are_compared(
    video: VideoSpec | None, audio: AudioSpec | None, needed: bool
) -> None:
    """Measuring reads the whole source."""
    target = TargetSpec(0, "file:///x", "mp4", video, audio)
    assert needs_bitrates(ConvertRequest("t", "p", (), (target,))) is needed
