"""The short form of a request, and what the helpers of requests make of texts."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reelmill.v1.audio_pb2 import AUDIO_CODEC_AAC
from reelmill.v1.media_convert_service_pb2 import CreateMediaConvertTaskRequest
from reelmill.v1.target_pb2 import (
    CONTAINER_ASF,
    CONTAINER_MKV,
    CONTAINER_MP4,
    CONTAINER_OGA,
    CONTAINER_TS,
    CONTAINER_WEBM,
    SEGMENT_FORMAT_DASH,
    SEGMENT_FORMAT_HLS,
)
from reelmill.v1.video_pb2 import HARDWARE_POLICY_NEVER, QUALITY_METRIC_VMAF, QUALITY_METRIC_XPSNR, VIDEO_CODEC_H265
from reelmill_client import InvalidArgument
from reelmill_client.conversion import Conversion, bits_per_second, conversion_request, to_uri
from reelmill_client.requests import build_request, list_request, pairs, tag_selector, with_request_id


def request(**options: Any) -> CreateMediaConvertTaskRequest:
    """The request for a conversion from in.mov to out.mp4 with these options."""
    return build_request(None, "p", {"source": "/in.mov", "destination": "/out.mp4", **options})  # type: ignore[typeddict-item]


def violations(**options: Any) -> dict[str, str]:
    """What is wrong with these options."""
    with pytest.raises(InvalidArgument) as caught:
        request(**options)
    return {violation.field: violation.description for violation in caught.value.violations}


def test_a_ladder_is_a_group_whose_only_target_stands_for_all_variants() -> None:
    """Named after the master playlist, with all else that was asked for."""
    asked = build_request(
        None, "p", {"source": "/in.mov", "destination": "/out/{barename}.m3u8", "video": "h264", "ladder": "auto"}
    )
    assert not asked.targets
    (group,) = asked.target_groups
    assert group.HasField("auto_ladder") and group.uri == "file:///out/{barename}.m3u8"
    (target,) = group.targets
    assert target.uri == "file:///out/{barename}-{rung}.m3u8" and target.container == CONTAINER_TS
    assert target.video.transcode_video.codec and not target.video.transcode_video.HasField("crf")
    assert set(violations(video="h264", ladder="auto")) == {"destination"}
    assert set(violations(video="h264", ladder="steep", destination="/x.m3u8")) == {"ladder"}
    assert violations(ladder="auto", destination="/x.m3u8") == {"ladder": "needs video to be encoded: set video to a codec"}


def test_every_option_reaches_its_field() -> None:
    """No option of the short form is lost."""
    result = request(
        start_seconds=1.5,
        duration_seconds=10,
        video="h265",
        bitrate="2.5M",
        size="1280x720",
        scale_type="fit",
        fps=30,
        gop=60,
        b_frames=2,
        refs=4,
        pixel_format="yuv420p",
        rotate=90,
        preset="fast",
        hardware="never",
        audio="aac",
        audio_bitrate="128k",
        sample_rate=48000,
        channels=2,
        subtitles="none",
        strip_metadata=True,
        tags={"a": "b"},
        user_data="mine",
        priority=1,
        request_id="6f1c",
    )
    source, target = result.sources[0], result.targets[0]
    video, audio = target.video.transcode_video, target.audio.transcode_audio
    assert (source.uri, source.start_time, source.duration) == ("file:///in.mov", 1.5, 10)
    assert (target.uri, target.container, target.strip_metadata) == ("file:///out.mp4", CONTAINER_MP4, True)
    assert (video.codec, video.bitrate, video.resolution, video.frame_rate) == (VIDEO_CODEC_H265, 2_500_000, "1280x720", 30)
    assert (video.scale_type, video.gop_size, video.b_frames, video.refs, video.pixel_format) == (4, 60, 2, 4, 1)
    assert (video.rotation, video.preset, video.hardware) == (90, 5, HARDWARE_POLICY_NEVER)
    assert (audio.codec, audio.bitrate, audio.sample_rate, audio.channel) == (AUDIO_CODEC_AAC, 128_000, 48_000, 2)
    assert target.subtitle.disable_subtitle
    assert (result.project_name, dict(result.tags), result.user_data) == ("p", {"a": "b"}, "mine")
    assert (result.priority, result.request_id) == (1, "6f1c")
    aimed = request(video="h264", vmaf=93).targets[0].video.transcode_video.quality_target
    assert (aimed.metric, aimed.value) == (QUALITY_METRIC_VMAF, 93)
    aimed = request(video="h264", xpsnr=38.5).targets[0].video.transcode_video.quality_target
    assert (aimed.metric, aimed.value) == (QUALITY_METRIC_XPSNR, 38.5)
    assert request(video="h264", bitrate="1M", passes=2).targets[0].video.transcode_video.passes == 2
    assert request(video="vp9", crf=20.5).targets[0].video.transcode_video.crf == 20.5


def test_nothing_asked_means_copy() -> None:
    """Absent messages copy the first streams; `none` leaves them out; `copy` says it aloud."""
    target = request().targets[0]
    assert not any(target.HasField(field) for field in ("video", "audio", "subtitle", "segment"))
    assert request(video="none").targets[0].video.disable_video
    assert request(audio="none").targets[0].audio.disable_audio
    assert request(video="copy").targets[0].video.HasField("transcode_video")


def test_settings_without_a_codec_are_refused() -> None:
    """They would be ignored silently."""
    assert violations(crf=23, size="1x1") == dict.fromkeys(("crf", "size"), "needs video to be encoded: set video to a codec")
    assert violations(video="copy", gop=5) == {"gop": "needs video to be encoded: set video to a codec, not copy"}
    assert violations(audio="none", audio_bitrate="1k") == {
        "audio_bitrate": "needs audio to be encoded: set audio to a codec, not none"
    }


def test_wrong_values_name_their_fields() -> None:
    """Words and numbers are checked before anything is sent."""
    assert set(violations(video="h266", hardware="maybe")) == {
        "targets[0].video.transcode_video.codec",
        "targets[0].video.transcode_video.hardware",
    }
    assert set(violations(video="h264", bitrate="fast")) == {"bitrate"}
    assert set(violations(subtitles="burn")) == {"subtitles"}
    assert set(violations(source=None)) == {"source"}
    with pytest.raises(TypeError, match="colour"):
        request(colour="red")


@pytest.mark.parametrize(
    ("destination", "container", "segments"),
    [
        ("/out.MKV", CONTAINER_MKV, 0),
        ("/out.webm", CONTAINER_WEBM, 0),
        ("/out.wmv", CONTAINER_ASF, 0),
        ("s3://bucket/a.b/out.ogg", CONTAINER_OGA, 0),
        ("/out.m3u8", CONTAINER_TS, SEGMENT_FORMAT_HLS),
        ("/out.mpd", CONTAINER_MP4, SEGMENT_FORMAT_DASH),
    ],
)
def test_the_container_comes_from_the_extension(destination: str, container: int, segments: int) -> None:
    """Playlists also say how to segment."""
    target = request(destination=destination).targets[0]
    assert (target.container, target.segment.format) == (container, segments)


def test_the_container_can_be_given() -> None:
    """It comes before the extension, and is needed when the extension says nothing."""
    assert request(destination="/out.bin", container="mp4").targets[0].container == CONTAINER_MP4
    assert request(destination="/out.m3u8", container="mp4").targets[0].segment.format == SEGMENT_FORMAT_HLS
    assert set(violations(destination="/out.bin")) == {"container"}
    assert set(violations(destination="/a.mp4/out")) == {"container"}


def test_paths_become_uris(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Absolute and percent-encoded; URIs stay; only a destination keeps its templates."""
    monkeypatch.chdir(tmp_path)
    assert to_uri("a b.mp4") == f"file://{os.fspath(tmp_path)}/a%20b.mp4"
    assert to_uri("../é%.mp4") == f"file://{os.fspath(tmp_path.parent)}/%C3%A9%25.mp4"
    assert to_uri(Path("/x.mp4")) == "file:///x.mp4"
    assert to_uri("s3://b/a b{x}") == "s3://b/a b{x}"
    assert to_uri("/{x}.mp4") == "file:///%7Bx%7D.mp4"
    assert to_uri("/{x} y.mp4", templates=True) == "file:///{x}%20y.mp4"
    assert request(source="/{a}.mov", destination="/{barename}.mp4").sources[0].uri == "file:///%7Ba%7D.mov"
    assert request(destination="/{barename}.mp4").targets[0].uri == "file:///{barename}.mp4"


@pytest.mark.parametrize(
    ("text", "bits"), [("2M", 2_000_000), ("2.5m", 2_500_000), ("128k", 128_000), (800, 800), ("1.5k", 1500), ("1G", 10**9)]
)
def test_bit_rates(text: int | str, bits: int) -> None:
    """Decimal units."""
    assert bits_per_second(text) == bits


@pytest.mark.parametrize("text", ["", "k", "2MB", "-1k", "1e6", "٣k"])
def test_wrong_bit_rates(text: str) -> None:
    """Anything else is refused."""
    with pytest.raises(InvalidArgument):
        bits_per_second(text)


def test_a_request_is_one_thing_or_the_other() -> None:
    """A message or dictionary, or keywords; and a given message stays as it was."""
    message = CreateMediaConvertTaskRequest(user_data="x")
    built = with_request_id(build_request(message, "p", {}))
    assert (built.project_name, built.user_data, message.project_name, message.request_id) == ("p", "x", "", "")
    assert len(built.request_id) == 36
    assert with_request_id(build_request({"RequestId": "mine", "ProjectName": "q"}, "p", {})).request_id == "mine"
    assert build_request({"ProjectName": "q"}, "p", {}).project_name == "q"
    with pytest.raises(TypeError):
        build_request(message, "p", {"video": "h264"})
    with pytest.raises(TypeError):
        build_request(None, "p", {})


def test_lists_are_asked_for_in_words() -> None:
    """Words, tags and times end up in the request; a datetime without a zone is local time."""
    result = list_request(
        "p",
        {
            "status": "Failed",
            "tags": {"a": "1", "b": "x=y"},
            "sort": "EndTime",
            "order": "DESC",
            "start_from": datetime(2026, 1, 31, 12, tzinfo=UTC),
            "end_to": "2026-02-01T00:00:00Z",
            "with_definition": True,
        },
        page_size=7,
        page_token="t",
    )
    assert (result.status, result.sort, result.order, result.max_results, result.next_token) == (3, 3, 2, 7, "t")
    assert result.tag_selector == "a=1,b=x=y"
    assert result.start_time_range.start.ToDatetime(UTC) == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert not result.start_time_range.HasField("end")
    assert result.end_time_range.end.ToJsonString() == "2026-02-01T00:00:00Z"
    assert result.request_definition
    assert not list_request("p", {}).HasField("start_time_range")


def test_tags_that_cannot_be_selected() -> None:
    """The selector has no escapes."""
    for tags in ({"a": "x,y"}, {"a=b": "c"}, {"": "c"}):
        with pytest.raises(InvalidArgument):
            tag_selector(tags)
    assert pairs(["a=b=c", "d="]) == {"a": "b=c", "d": ""}
    with pytest.raises(InvalidArgument):
        pairs(["=b"])


@pytest.mark.parametrize(
    ("asked", "loudness"),
    [
        (-23, {"mode": "normalize", "integrated": -23.0}),
        ("-16.5", {"mode": "normalize", "integrated": -16.5}),
        ("EBU", {"mode": "normalize", "preset": "ebu"}),
        ("measure", {"mode": "measure"}),
    ],
)
def test_loudness_by_number_or_name(asked: float | str, loudness: dict[str, object]) -> None:
    """It needs an encode."""
    request: Any = conversion_request(Conversion(source="a.wav", destination="b.m4a", audio="aac", loudness=asked))
    assert request["targets"][0]["audio"]["filter_audio"] == {"loudness": loudness}
    assert violations(loudness=asked) == {"loudness": "needs audio to be encoded: set audio to a codec"}
    assert "not 'loud'" in violations(audio="aac", loudness="loud")["loudness"]
