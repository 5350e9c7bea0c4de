"""What a command is put together of, and what it says that it does otherwise. Whether it is true: tests/media."""

from dataclasses import replace

from reelmill_server.model.overlay_plan import BlurPlan
from reelmill_server.model.overlay_request import DesensitizationRule, DesensitizationSpec
from reelmill_server.model.package_plan import PackagePlan
from reelmill_server.model.plan import InputPlan, PartPlan, Plan, StreamPlan, StreamType, TargetPlan, VideoOutput
from reelmill_server.model.request import ConvertRequest, SegmentFormat, SourceSpec
from reelmill_server.model.units import Split, VideoUnit, WholeUnit
from reelmill_server.plan.ffmpeg.command import ffmpeg_command

VIDEO = StreamPlan(
    StreamType.VIDEO,
    (PartPlan(0, ("format=nv12",)),),
    "h264",
    "h264_vaapi",
    "vaapi hardware",
    {"g": "150"},
    VideoOutput(96, 64, "nv12", *(1, 25)),  # type: ignore[arg-type]
    device="vaapi",
)
TARGET = TargetPlan(0, "s3://out/x.mp4", "mp4", "mp4", 2_000_000, (VIDEO,), field="targets[0]")
PLAN = Plan((TARGET,), inputs=(InputPlan(0, 0, 0, 0, 2_000_000),))
REQUEST = ConvertRequest("task", "project", (SourceSpec("https://key:secret@host/a b.mp4?sig=secret"),), ())


def test_lines_are_the_arguments_in_groups() -> None:
    """One for the program, each input, each stream and each output."""
    command = ffmpeg_command(REQUEST, PLAN)
    assert [line.partition(" ")[0] for line in command.lines] == ["ffmpeg", "-noautorotate", "-map", "-f"]
    assert command.arguments[0] == "ffmpeg" and command.arguments[-1] == "s3://out/x.mp4"


def test_a_hardware_encoder_gets_its_device() -> None:
    """And frames are taken to it."""
    command = ffmpeg_command(REQUEST, PLAN)
    assert command.groups[0] == ("ffmpeg", "-init_hw_device", "vaapi=gpu", "-filter_hw_device", "gpu")
    assert command.arguments[command.arguments.index("-filter:v") + 1].endswith("format=nv12,hwupload")


def test_no_secret_of_a_source_is_in_it() -> None:
    """Neither in the command nor in its notes, which say how to run it."""
    command = ffmpeg_command(REQUEST, PLAN)
    assert not any("secret" in text for text in (*command.arguments, *command.notes))
    assert any("query" in note for note in command.notes) and any("s3://" in note for note in command.notes)


def test_what_ffmpeg_cannot_do_is_said() -> None:
    """Blur, VMAF and chunks."""
    blur = BlurPlan(DesensitizationSpec(face=DesensitizationRule()))
    stream = replace(VIDEO, overlays=(blur,), measured=True)
    command = ffmpeg_command(
        REQUEST,
        replace(PLAN, targets=(replace(TARGET, streams=(stream,)),)),
        split=Split((VideoUnit(0, 0, 1), VideoUnit(1, 1, 2), VideoUnit(2, 2, 0), WholeUnit(3))),
    )
    said = " ".join(command.notes)
    assert all(word in said for word in ("faces", "VMAF", "3 chunks"))


def test_names_of_segments_are_those_of_files() -> None:
    """Decoded, as ffmpeg writes files and no references; a dollar sign is no variable."""
    package = PackagePlan(SegmentFormat.DASH, 1_000_000, "file:///out/a%20%24b-", ".m4s", 1)
    dash = replace(TARGET, uri="file:///out/a%20%24b.mpd", muxer="dash", package=package)
    arguments = ffmpeg_command(REQUEST, replace(PLAN, targets=(dash,))).arguments
    assert arguments[arguments.index("-media_seg_name") + 1] == "a $$b-$RepresentationID$-$Number$.m4s"
    package = replace(package, format=SegmentFormat.HLS, prefix="file:///out/v%20w/")
    hls = replace(TARGET, uri="file:///out/a.m3u8", muxer="hls", package=package)
    arguments = ffmpeg_command(REQUEST, replace(PLAN, targets=(hls,))).arguments
    assert arguments[arguments.index("-hls_fmp4_init_filename") + 1] == "v w/init.mp4"
    assert arguments[arguments.index("-hls_segment_filename") + 1] == "/out/v w/%d.m4s"
