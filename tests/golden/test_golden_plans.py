"""Plans of realistic sources, compared with committed ones: a change of a plan is seen in review.

`pytest --update-golden` writes tests/golden/plans anew.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from reelmill_server.model.capability import SOFTWARE, Capability
from reelmill_server.model.image_request import FrameMode, FramesSpec, ImageKind, ImageSpec, SheetSpec
from reelmill_server.model.media_info import MediaInfo, VideoStreamInfo
from reelmill_server.model.overlay_request import Corner, DelogoSpec, PlaceSpec, TextSpec, WatermarkSpec
from reelmill_server.model.plan import Plan
from reelmill_server.model.request import (
    AudioSpec,
    ConvertRequest,
    ExtractSpec,
    Hardware,
    SegmentFormat,
    SegmentSpec,
    SourceSpec,
    TargetSpec,
    VideoSpec,
)
from reelmill_server.model.sizes import ScaleType
from reelmill_server.plan.codec.video_encoders import PIXEL_FORMATS, VIDEO_ENCODERS
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.output.destinations import foreign_uris
from reelmill_server.plan.planner import make_plan

pytestmark = pytest.mark.media

HERE = Path(__file__).parent
INFO, PLAN = TypeAdapter(MediaInfo), TypeAdapter(Plan)
MADE_US = 1_700_000_000_000_000


def capabilities(*devices: str) -> Mapping[str, Capability]:
    """A worker on which the encoders of these families work."""
    return {
        name: Capability(name, codec, device, device in devices, "" if device in devices else f"no {device} here")
        for codec, candidates in VIDEO_ENCODERS.items()
        for device, name in candidates.items()
    }


def target(container: str, video: VideoSpec | None, audio: AudioSpec | None, subtitle: str = "first") -> TargetSpec:
    """A target named after its source."""
    uri = "file:///out/{barename}-{resolution}-{t_year}"
    return TargetSpec(0, uri, container, video, audio, subtitle, True, True)  # type: ignore[arg-type]


def variant(member: int, name: str, video: VideoSpec, extract: ExtractSpec | None = None) -> TargetSpec:
    """A member of a group in segments of 4 s."""
    spec = target("ts", video, AudioSpec("aac", channels=2), "none")
    segment = SegmentSpec(SegmentFormat.HLS, 4_000_000)
    return replace(spec, uri=f"file:///out/{{barename}}/{name}", segment=segment, group=0, member=member, extract=extract)


LINES = ExtractSpec("vtt", "file:///out/{barename}/lines")
SPAN = SourceSpec("", start_us=2_500_000, duration_us=4_000_000)
PICTURES = (
    ImageSpec(
        ImageKind.SNAPSHOT, 0, "file:///out/{barename}", "jpg", FramesSpec(FrameMode.AVERAGE, number=3), width=Fraction(1, 2)
    ),
    ImageSpec(ImageKind.SNAPSHOT, 1, "file:///out/key-{index}.{autoext}", "png", FramesSpec(FrameMode.KEYFRAME)),
    ImageSpec(
        *(ImageKind.SPRITE, 0, "file:///out/sheets/{barename}", "jpg", FramesSpec(interval_us=1_000_000), 160, 90),
        scale_type=ScaleType.FIT,
        sheet=SheetSpec(web_vtt_uri="file:///out/sheets/{barename}"),
    ),
    ImageSpec(ImageKind.ANIMATION, 0, "file:///out/moving.gif", "gif", FramesSpec(start_us=1_000_000, number=25), 320, 180),
)
FILM_4K = VideoSpec("h265", width=1280, height=720, scale_type=ScaleType.FIT, crf=20.5, preset="slow")
LOGO = DelogoSpec(PlaceSpec(Corner.TOP_RIGHT, Fraction(1, 20), 30, 0, 2_500_000), Fraction(1, 5), 60)
TEXT = WatermarkSpec(
    PlaceSpec(Corner.BOTTOM_LEFT, 10, Fraction(1, 10)), TextSpec("中文", size=32, color="#ff0000", opacity=0.5)
)
PICTURE = WatermarkSpec(PlaceSpec(Corner.BOTTOM_RIGHT, 8, 8, 1_000_000), uri="file:///in/logo.png", width=Fraction(1, 4))
WATERMARKS = {PICTURE.uri: MediaInfo("png_pipe", video=(VideoStreamInfo(0, "png", width=200, height=80, pixel_format="rgba"),))}
CASES: Mapping[str, tuple[str, SourceSpec, Sequence[TargetSpec], Sequence[str]]] = {
    "phone-default-h264": (
        "phone-portrait-hevc",
        SourceSpec(""),
        [target("mp4", VideoSpec("h264"), AudioSpec("aac"))],
        [SOFTWARE],
    ),
    "phone-8bit-720-on-nvenc": (
        "phone-portrait-hevc",
        SPAN,
        [
            target(
                "mp4", VideoSpec("h264", pixel_format="yuv420p", width=1280, height=720, adaptive_direction=True), AudioSpec()
            ),
            target("mkv", VideoSpec("h265", hardware=Hardware.REQUIRED, bitrate=4_000_000), None),
            target("mp4", VideoSpec("h264", hardware=Hardware.NEVER, pixel_format="yuv420p"), None),
        ],
        ["nvenc", SOFTWARE],
    ),
    "phone-copy": ("phone-portrait-hevc", SPAN, [target("mov", VideoSpec(), AudioSpec())], [SOFTWARE]),
    "film-for-the-web": (
        "surround-film-mkv",
        SourceSpec(""),
        [
            target("mp4", FILM_4K, AudioSpec("aac", channels=2)),
            target("webm", VideoSpec("vp9", crf=31, max_bitrate=2_000_000, buffer_size=4_000_000), AudioSpec("opus")),
            target("mkv", VideoSpec(), AudioSpec("flac"), "all"),
        ],
        [SOFTWARE],
    ),
    "pal-with-overlays": (
        "anamorphic-pal-ts",
        SPAN,
        [
            target("mp4", VideoSpec("h264", rotation=180, delogos=(LOGO,), watermarks=(TEXT, PICTURE)), None),
            target("mp4", VideoSpec("h264", width=640, height=360, speed=Fraction(1, 2), watermarks=(TEXT, PICTURE)), None),
        ],
        [SOFTWARE],
    ),
    "film-as-a-ladder": (
        "surround-film-mkv",
        SPAN,
        [variant(0, "1280x720", FILM_4K), variant(1, "640x360", VideoSpec("h264", width=640, height=360), extract=LINES)],
        [SOFTWARE],
    ),
    "film-with-pictures": ("surround-film-mkv", SPAN, [replace(target("mp4", FILM_4K, None), images=PICTURES)], [SOFTWARE]),
    "phone-pictures-alone": ("phone-portrait-hevc", SourceSpec(""), [TargetSpec(0, "", "", images=PICTURES)], [SOFTWARE]),
    "pal-to-square-pixels": (
        "anamorphic-pal-ts",
        SPAN,
        [
            target("mp4", VideoSpec("h264", width=1024, height=576), AudioSpec("aac")),
            target("mp4", VideoSpec("h264", width=640, height=640, scale_type=ScaleType.FILL), AudioSpec()),
            target("ts", VideoSpec(), AudioSpec(), "all"),
            target("mp4", VideoSpec("h264"), None),
        ],
        [SOFTWARE],
    ),
    "song-to-all": (
        "song-with-cover-mp3",
        SourceSpec("", start_us=30_000_000),
        [
            target("m4a", None, AudioSpec("aac", bitrate=192_000)),
            target("opus", None, AudioSpec("opus")),
            target("flac", None, AudioSpec("flac")),
            target("mp4", VideoSpec("h264"), AudioSpec()),
        ],
        [SOFTWARE],
    ),
    "screen-recording-constant": (
        "screen-recording-vfr-webm",
        SourceSpec(""),
        [
            target("mp4", VideoSpec("h264", frame_rate=Fraction(30)), AudioSpec("aac")),
            target("mp4", VideoSpec("av1"), AudioSpec()),
            target("mkv", VideoSpec("h264", pixel_format="yuv444p", hardware=Hardware.PREFERRED), None),
        ],
        ["qsv", "vaapi", SOFTWARE],
    ),
    "gif-to-video": (
        "animation-gif",
        SourceSpec(""),
        [
            target("mp4", VideoSpec("h264", frame_rate=Fraction(30000, 1001), rotation=90), None),
            target("webm", VideoSpec("vp9", width=248, scale_type=ScaleType.CROP), None),
        ],
        [SOFTWARE],
    ),
    "prores-444": (
        "odd-444-full-range-mov",
        SourceSpec(""),
        [target("mkv", VideoSpec("h265", b_frames=0, refs=1, gop_size=60), None), target("mp4", VideoSpec("av1"), None)],
        [SOFTWARE],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_plan_is_as_committed(case: str, request: pytest.FixtureRequest) -> None:
    """Streams, encoders with their reasons, filters, options, names and warnings."""
    name, source, targets, devices = CASES[case]
    info = INFO.validate_json((HERE / "infos" / f"{name}.json").read_bytes())
    asked = ConvertRequest(
        "MediaConvert-1",
        "project",
        (replace(source, uri=f"file:///in/{name}.bin"),),
        tuple(replace(spec, index=index) for index, spec in enumerate(targets)),
        created_us=MADE_US,
        group_uris=("file:///out/{barename}/main",) if any(spec.group >= 0 for spec in targets) else (),
    )
    result = make_plan(asked, PlanFacts((info,), capabilities(*devices), watermark_infos=WATERMARKS))
    assert foreign_uris(asked, (0,), result) == []
    plan = PLAN.dump_python(result, mode="json")
    path = HERE / "plans" / f"{case}.json"
    if request.config.getoption("--update-golden"):
        path.write_text(json.dumps(plan, indent=1, ensure_ascii=False) + "\n")
    assert plan == json.loads(path.read_text())


def test_every_committed_plan_has_its_case() -> None:
    """Nothing stays behind when a case goes."""
    assert {path.stem for path in (HERE / "plans").glob("*.json")} == set(CASES)
    assert {path.stem for path in (HERE / "infos").glob("*.json")} == {case[0] for case in CASES.values()}


def test_every_encoder_has_pixel_formats() -> None:
    """The tables agree with each other."""
    assert {name for candidates in VIDEO_ENCODERS.values() for name in candidates.values()} == set(PIXEL_FORMATS)
    assert all("yuv420p" in formats for formats in PIXEL_FORMATS.values())
