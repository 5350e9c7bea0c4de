"""Which codec, container and option go together: the API refuses what the planner would, in the same words."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from reelmill import vendor_json
from reelmill.v1.media_convert_service_pb2 import CreateMediaConvertTaskRequest
from reelmill_server.api import requests, validate
from reelmill_server.errors import InvalidArgument, Violation
from reelmill_server.model.capability import SOFTWARE, Capability
from reelmill_server.model.media_info import AudioStreamInfo, MediaInfo, VideoStreamInfo
from reelmill_server.model.request import SegmentFormat, SegmentSpec, TargetSpec, VideoSpec
from reelmill_server.plan import rules
from reelmill_server.plan.codec.containers import CONTAINERS
from reelmill_server.plan.codec.video_encoders import VIDEO_ENCODERS
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.planner import make_plan
from tests.unit.api.test_validate import Anywhere

INFO = MediaInfo(
    "mov,mp4,m4a,3gp,3g2,mj2",
    duration_seconds=10.0,
    video=(VideoStreamInfo(0, "h264", width=640, height=480, pixel_format="yuv420p"),),
    audio=(AudioStreamInfo(1, "aac", sample_rate=48000, channels=2, layout="stereo"),),
)
WORKER = {names[SOFTWARE]: Capability(names[SOFTWARE], codec, SOFTWARE, True) for codec, names in VIDEO_ENCODERS.items()}
VIDEO, AUDIO = "targets[0].video.transcode_video", "targets[0].audio.transcode_audio"


def target(container: str, video: dict[str, Any] | None = None, audio: dict[str, Any] | None = None, **more: Any) -> Any:
    """A target; without video or audio it has none."""
    return {
        "URI": "file:///out/x",
        "Container": container,
        "Video": {"TranscodeVideo": video} if video else {"DisableVideo": True},
        "Audio": {"TranscodeAudio": audio} if audio else {"DisableAudio": True},
        **more,
    }


LOUDNESS, LOUD = "targets[0].audio.filter_audio.loudness", {"FilterAudio": {"Loudness": {"Mode": "normalize"}}}
H264, AAC = {"Codec": "h264"}, {"Codec": "aac"}
HLS, DASH = {"Format": "hls"}, {"Format": "dash", "StartNumber": 3}


@pytest.mark.sample(every=3)
@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (target("webm", H264), f"{VIDEO}.codec"),
        (target("mp3", H264, {"Codec": "mp3"}), VIDEO),
        (target("avi", {"Codec": "h264", "BFrames": 2}), f"{VIDEO}.b_frames"),
        (target("mp4", {"Codec": "vp9", "PixelFormat": "yuva420p"}), f"{VIDEO}.pixel_format"),
        (target("mkv", {"Codec": "vp9", "BFrames": 1}), f"{VIDEO}.b_frames"),
        (target("mkv", {"Codec": "av1", "Refs": 1}), f"{VIDEO}.refs"),
        (target("mkv", {"Codec": "vp9", "Bitrate": 500_000, "Passes": 2}), f"{VIDEO}.passes"),
        (target("mkv", {"Codec": "av1", "Bitrate": 500_000, "Passes": 2}), f"{VIDEO}.passes"),
        (target("mkv", {**H264, "Bitrate": 500_000, "Passes": 2, "Hardware": "required"}), f"{VIDEO}.passes"),
        (target("mkv", {**H264, "QualityTarget": {"Value": 93}, "Hardware": "required"}), f"{VIDEO}.quality_target"),
        (target("mkv", {"Codec": "copy"}, MinVMAF=90), "targets[0].min_vmaf"),
        (target("flac", None, AAC), f"{AUDIO}.codec"),
        (target("mkv", None, None, Audio={"TranscodeAudio": {"Codec": "copy"}, **LOUD}), LOUDNESS),
        (target("flac", None, {"Codec": "flac", "Bitrate": 64_000}), f"{AUDIO}.bitrate"),
        (target("mkv", None, {"Codec": "flac", "Quality": 50}), f"{AUDIO}.quality"),
        (target("mp3", None, {"Codec": "mp3", "Bitrate": 400_000}), f"{AUDIO}.bitrate"),
        (target("amr", None, {"Codec": "amr", "SampleRate": 16_000}), f"{AUDIO}.sample_rate"),
        (target("mkv", H264, AAC, Segment=HLS), "targets[0].container"),
        (target("mp4", H264, AAC, Segment=DASH), "targets[0].segment.start_number"),
        (target("mkv", H264, AAC, Data={"Stream": [-1]}), "targets[0].data.stream"),
        (target("ts", H264, AAC, AttachedPicture={"Stream": [-1]}), "targets[0].attached_picture.stream"),
        (target("mp4", H264, AAC, Segment=HLS, Data={"Stream": [0]}), "targets[0].data.stream"),
        (target("mp4", {"Codec": "copy"}, AAC, MeasureVMAF=True), "targets[0].measure_vmaf"),
        (target("mp4", H264, {"Codec": "copy"}, Speed=0.5), "targets[0].speed"),
    ],
)
def test_api_and_planner_refuse_the_same_in_the_same_words(asked: dict[str, Any], field: str) -> None:
    body = {"ProjectName": "default", "Sources": [{"URI": "file:///in/a.mp4"}], "Targets": [asked]}
    message = vendor_json.parse(body, CreateMediaConvertTaskRequest)
    with pytest.raises(InvalidArgument) as by_api:
        validate.check_create(message, Anywhere())  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument) as by_planner:
        make_plan(requests.conversion(message, "task", datetime.now(UTC)), PlanFacts((INFO,), WORKER))
    assert [violation.field for violation in by_planner.value.violations] == [field]
    assert list(by_api.value.violations) == list(by_planner.value.violations)


def test_all_problems_of_a_target_are_told_at_once() -> None:
    """Each at its field."""
    spec = TargetSpec(0, "", "mkv", VideoSpec("vp9", b_frames=1, refs=1), None, video_asked=True, data_streams=(0,))
    spec = replace(spec, segment=SegmentSpec(SegmentFormat.HLS))
    with pytest.raises(InvalidArgument) as caught:
        rules.check(rules.target_problems(spec, "t"))
    assert [violation.field for violation in caught.value.violations] == [
        *("t.video.transcode_video.b_frames", "t.video.transcode_video.refs", "t.container", "t.data.stream"),
    ]
    rules.check(())


@pytest.mark.parametrize("container", CONTAINERS)
def test_what_is_not_asked_for_is_no_problem(container: str) -> None:
    """A film into a container of sound gives its sound."""
    assert list(rules.target_problems(TargetSpec(0, "", container), "t")) == []


def test_a_problem_says_which_containers_would_do() -> None:
    """By their names in the contract."""
    spec = TargetSpec(0, "", "webm", VideoSpec("h264"), None, video_asked=True)
    expected = "container webm does not support h264 (supported by mp4, mov, mkv, ts, asf, avi, mxf, flv)"
    assert list(rules.target_problems(spec, "t")) == [Violation("t.video.transcode_video.codec", expected)]
