"""Requests as plain data, and back."""

from datetime import UTC, datetime
from fractions import Fraction

import pytest

from reelmill import vendor_json
from reelmill.v1.media_convert_service_pb2 import CreateMediaConvertTaskRequest
from reelmill_server.api import field_values, requests
from reelmill_server.model.request import AudioSpec, ConvertRequest, Hardware, VideoSpec
from reelmill_server.model.sizes import ScaleType

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)


def converted(**target: object) -> ConvertRequest:
    """A request with one target in the vendor's form, as plain data."""
    data = {
        "ProjectName": "p",
        "Sources": [{"URI": "file:///a.mp4", "StartTime": 0.1, "Duration": 2.5}],
        "Targets": [{"URI": "file:///b", "Container": "mp4", **target}],
        "Tags": {"a": 1, "b": 1.5, "c": True, "d": "x", "e": None},
    }
    return requests.conversion(vendor_json.parse(data, CreateMediaConvertTaskRequest), "task", MOMENT)


def test_times_become_whole_microseconds() -> None:
    """Decimal seconds and moments lose nothing that matters."""
    request = converted()
    assert (request.sources[0].start_us, request.sources[0].duration_us) == (100_000, 2_500_000)
    assert request.created_us == 1767323045678901


def test_tags_keep_their_kinds() -> None:
    """Whole numbers are int again, so that they read in a URI as they were written."""
    assert converted().tags == {"a": 1, "b": 1.5, "c": True, "d": "x", "e": None}


@pytest.mark.parametrize(
    ("target", "video", "asked"),
    [
        ({}, VideoSpec(), False),
        ({"Video": {}}, None, True),
        ({"Video": {"DisableVideo": True, "TranscodeVideo": {"Codec": "h264"}}}, None, True),
        ({"Video": {"TranscodeVideo": {}}}, VideoSpec(), True),
        ({"Video": {"TranscodeVideo": {"Codec": "copy", "CRF": 10}}}, VideoSpec(), True),
        ({"Video": {"TranscodeVideo": {"Codec": "h265"}}}, VideoSpec("h265"), True),
    ],
)
def test_the_three_cases_of_presence_stay_apart(target: dict[str, object], video: VideoSpec | None, asked: bool) -> None:
    """Absent copies, present without a codec's settings means none, present and empty settings copy."""
    result = converted(**target).targets[0]
    assert (result.video, result.video_asked) == (video, asked)


def test_audio_has_the_same_three_cases() -> None:
    """As video."""
    assert converted().targets[0].audio == AudioSpec()
    assert converted(Audio={}).targets[0].audio is None
    assert converted(Audio={"TranscodeAudio": {}}).targets[0].audio == AudioSpec()
    assert converted(Audio={"TranscodeAudio": {"Codec": "opus", "Channel": 1}}).targets[0].audio == AudioSpec(
        "opus", channels=1
    )


def test_subtitles_absent_means_the_first_and_empty_means_all() -> None:
    """Unlike the other kinds of streams."""
    assert [converted(**target).targets[0].subtitle for target in ({}, {"Subtitle": {}})] == ["first", "all"]
    assert converted(Subtitle={"DisableSubtitle": True}).targets[0].subtitle == "none"


def test_every_honored_video_setting_arrives() -> None:
    """Each with a value that is not its default."""
    settings = {
        "Codec": "h264",
        "PixelFormat": "yuv420p10le",
        "FrameRate": 29.97,
        "Resolution": "x480",
        "AdaptiveResolutionDirection": True,
        "ScaleType": "fill",
        "Rotation": 90,
        "CRF": 0,
        "MaxBitrate": 3000,
        "BufferSize": 4000,
        "GOPSize": 12,
        "BFrames": 0,
        "Refs": 1,
        "Hardware": "never",
        "Preset": "fast",
    }
    assert converted(Video={"TranscodeVideo": settings}).targets[0].video == VideoSpec(
        codec="h264",
        pixel_format="yuv420p10le",
        frame_rate=Fraction(30000, 1001),
        height=480,
        adaptive_direction=True,
        scale_type=ScaleType.FILL,
        rotation=90,
        crf=0,
        max_bitrate=3000,
        buffer_size=4000,
        gop_size=12,
        b_frames=0,
        refs=1,
        hardware=Hardware.NEVER,
        preset="fast",
    )


@pytest.mark.parametrize(
    ("value", "rate"),
    [
        (23.976, Fraction(24000, 1001)),
        (29.97, Fraction(30000, 1001)),
        (29.970029830932617, Fraction(30000, 1001)),
        (59.94, Fraction(60000, 1001)),
        (119.88, Fraction(120000, 1001)),
        (24, Fraction(24)),
        (25, Fraction(25)),
        (30, Fraction(30)),
        (12.5, Fraction(25, 2)),
        (0.1, Fraction(1, 10)),
        (14.985, Fraction(2997, 200)),
    ],
)
def test_decimal_rates_stand_for_exact_ones(value: float, rate: Fraction) -> None:
    """NTSC rates are recognised, all others are what they say."""
    assert field_values.frame_rate(value) == rate
