"""How pictures are made."""

import re
import subprocess
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest

from tests import judge
from tests.e2e.conformance.kit import SILENT, Outcome, Row, Task, bits, codecs, fails_when_poorer, pictures, size, video
from tests.sources import QUARTERS

CODECS = {"h264": "h264", "h265": "hevc", "vp9": "vp9", "av1": "av1"}
FORMATS = ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"]
CODED = Task("pictures", [{"URI": "film.mp4"}], [pictures(f"{codec}.mkv", Codec=codec) for codec in CODECS])
FORMATTED = Task(
    "formats",
    [{"URI": "quarters.mp4"}],
    [
        *(pictures(f"{name}.mkv", PixelFormat=name) for name in FORMATS),
        pictures("yuva420p.mkv", PixelFormat="yuva420p", Codec="vp9"),
    ],
)
RATED = Task(
    "rates",
    [{"URI": "film.mp4"}],
    [
        pictures("half.mkv", FrameRate=12.5),
        pictures("double.mkv", FrameRate=50, FrameRateOption="fixed"),
        pictures("kept.mkv", FrameRate=50, FrameRateOption="adaptive"),
        pictures("wide.mkv", Resolution="120x"),
        pictures("big.mkv", Resolution="192x128", ResolutionOption="fixed"),
        pictures("small.mkv", Resolution="192x128", ResolutionOption="adaptive"),
        pictures("gop.mkv", GOPSize=7),
        pictures("b0.mkv", BFrames=0),
        pictures("b2.mkv", BFrames=2, Preset="medium"),
        pictures("refs.mkv", Refs=5, Preset="medium"),
        pictures("quick.mkv", Preset="ultrafast"),
        pictures("software.mkv", Hardware="never"),
    ],
)
UPRIGHT = Task(
    "direction",
    [{"URI": "upright.mkv"}],
    [
        pictures("literal.mkv", Resolution="72x48"),
        pictures("turned.mkv", Resolution="72x48", AdaptiveResolutionDirection=True),
    ],
)
SCALED = Task(
    "scaled",
    [{"URI": "quarters.mp4"}],
    [
        *(pictures(f"{how}.mkv", Resolution="64x64", ScaleType=how) for how in ("stretch", "crop", "fill", "fit")),
        *(pictures(f"turned{degrees}.mkv", Rotation=degrees) for degrees in (0, 90, 180, 270)),
    ],
)
COSTLY = Task(
    "costly",
    [{"URI": "costly.mkv"}],
    [
        pictures("crf18.mkv", CRF=18),
        pictures("crf40.mkv", CRF=40),
        pictures("bitrate.mkv", Bitrate=300_000, Preset="veryfast"),
        pictures("passes.mkv", Bitrate=300_000, Passes=2, Preset="veryfast"),
        pictures("adaptive.mkv", Bitrate=90_000_000, BitrateOption="adaptive"),
        pictures("capped.mkv", CRF=10, MaxBitrate=300_000, BufferSize=300_000),
        pictures("tight.mkv", CRF=10, MaxBitrate=300_000, BufferSize=60_000),
    ],
)
CHOSEN = Task(
    "chosen-pictures",
    [{"URI": "many.mkv"}],
    [
        {"URI": f"{name}.mkv", "Container": "mkv", "Audio": SILENT, "Video": {"Stream": numbers, **video()}}
        for name, numbers in {"first": [], "second": [1, 8], "all": [101]}.items()
    ],
)
AIMED = Task(
    "quality",
    [{"URI": "costly.mkv"}],
    [
        pictures("good.mkv", QualityTarget={"Metric": "xpsnr", "Value": 38}),
        pictures("fair.mkv", QualityTarget={"Metric": "xpsnr", "Value": 32}),
        pictures("bound.mkv", QualityTarget={"Metric": "xpsnr", "Value": 38, "MinCRF": 40, "MaxCRF": 45}),
        pictures("low.mkv", QualityTarget={"Metric": "xpsnr", "Value": 25, "MinCRF": 10, "MaxCRF": 20}),
        pictures("capped.mkv", QualityTarget={"Metric": "xpsnr", "Value": 45, "MaxBitrate": 300_000}),
    ],
)
CUT = Task(
    "smart-cut",
    [{"URI": "film.mp4", "StartTime": 0.2, "Duration": 1.2}],
    [
        {"URI": f"{how}.mp4", "Container": "mp4", "Video": {"TranscodeVideo": {"Codec": "copy", **cut}}, "Audio": SILENT}
        for how, cut in {"exact": {"SmartCut": "required"}, "key": {}}.items()
    ],
)
DEVICE = Task("device", [{"URI": "film.mp4"}], [pictures("x.mkv", Hardware="required")])
FALLS = {
    "frame_rate_option": fails_when_poorer("frame-rate", Video=video(FrameRate=50, FrameRateOption="fall")),
    "resolution_option": fails_when_poorer("resolution", Video=video(Resolution="640x360", ResolutionOption="fall")),
    "bitrate_option": fails_when_poorer("bitrate", Video=video(Bitrate=90_000_000, BitrateOption="fall")),
}


def _header(path: Path, name: str) -> int:
    """A field of the first H.264 parameter sets."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", path, "-map", "0:v:0", "-c", "copy", "-bsf:v", "trace_headers"]
    told = subprocess.run([*command, "-f", "null", "-"], capture_output=True, check=True).stderr.decode()
    match = re.search(rf"\b{name}\b.* = (\d+)", told)
    assert match, name
    return int(match[1])


def _types(path: Path) -> str:
    """I, P or B of each picture, in the order shown."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", path, "-map", "0:v:0", "-vf", "showinfo", "-f", "null", "-"]
    told = subprocess.run(command, capture_output=True, check=True).stderr.decode()
    return "".join(re.findall(r" type:([IPB]) ", told))


def _run_of_b(path: Path) -> int:
    return max(map(len, re.findall("B*", _types(path))))


def _keys(path: Path) -> list[int]:
    return [number for number, packet in enumerate(judge.packets(path, "v:0")) if packet.key]


def _pixel_format(path: Path) -> str:
    match = re.search(r"yuva?\d+p\w*", judge.describe(path).of("Video")[0].rest)
    return match[0] if match else ""


def _quarters(path: Path) -> list[int]:
    """Which quarter of the source is in each: top left, top right, bottom left, bottom right."""
    luma = judge.pictures(path)[0]
    height, width = luma.shape
    middles = [(y * height // 4, x * width // 4) for y in (1, 3) for x in (1, 3)]
    return [min(QUARTERS, key=lambda quarter: abs(quarter - int(luma[y, x]))) for y, x in middles]


def _corner(path: Path) -> tuple[tuple[int, int], bool]:
    """The size, and whether the picture reaches its upper edge."""
    return size(path), int(judge.pictures(path)[0][1, 1]) > 150


def _encoder(result: Outcome) -> str:
    """The encoder of the task that must use hardware, or why there is none."""
    if result.code:
        return result.code
    result("x.mkv")
    return "hardware" if not result.ended.artifacts[0].streams[0].encoder.startswith("lib") else "software"


def _likeness(result: Outcome, name: str) -> float:
    return judge.psnr(judge.pictures(result.folder.parents[1] / "given" / "costly.mkv"), judge.pictures(result(name)))


def _quality(result: Outcome, number: int) -> Any:
    """What became of the quality target of an output."""
    result("good.mkv")
    return result.ended.artifacts[number].streams[0].quality


_TOP_LEFT, _TOP_RIGHT, _LOW_LEFT, _LOW_RIGHT = QUARTERS
_TURNED = {
    0: [_TOP_LEFT, _TOP_RIGHT, _LOW_LEFT, _LOW_RIGHT],
    90: [_LOW_LEFT, _TOP_LEFT, _LOW_RIGHT, _TOP_RIGHT],
    180: [_LOW_RIGHT, _LOW_LEFT, _TOP_RIGHT, _TOP_LEFT],
    270: [_TOP_RIGHT, _LOW_RIGHT, _TOP_LEFT, _LOW_LEFT],
}
_SCALED = {"stretch": ((64, 64), True), "crop": ((64, 64), True), "fill": ((64, 64), False), "fit": ((64, 42), True)}

ROWS = (
    *(
        Row(
            "TranscodeVideo.codec",
            CODED,
            lambda made, name=name: (codecs(made(f"{name}.mkv"), "Video"), judge.numbers(made(f"{name}.mkv"))),
            ([said], list(range(50))),
        )
        for name, said in CODECS.items()
    ),
    *(
        Row("TranscodeVideo.pixel_format", FORMATTED, lambda made, name=name: _pixel_format(made(f"{name}.mkv")), name)
        for name in FORMATS
    ),
    # The judge's own VP9 decoder leaves the second layer out: Matroska says that it is there.
    Row("TranscodeVideo.pixel_format", FORMATTED, lambda made: "alpha_mode" in judge.header(made("yuva420p.mkv")), True),
    Row("TranscodeVideo.frame_rate", RATED, lambda made: judge.numbers(made("half.mkv")), list(range(0, 50, 2))),
    Row(
        "TranscodeVideo.frame_rate_option",
        RATED,
        lambda made: [len(judge.times(made(name))) for name in ("double.mkv", "kept.mkv")],
        [100, 50],
    ),
    Row("TranscodeVideo.resolution", RATED, lambda made: size(made("wide.mkv")), (120, 64)),
    Row(
        "TranscodeVideo.resolution_option",
        RATED,
        lambda made: [size(made(name)) for name in ("big.mkv", "small.mkv")],
        [(192, 128), (96, 64)],
    ),
    Row(
        "TranscodeVideo.adaptive_resolution_direction",
        UPRIGHT,
        lambda made: [size(made(name)) for name in ("literal.mkv", "turned.mkv")],
        [(72, 48), (48, 72)],
    ),
    *(
        Row("TranscodeVideo.scale_type", SCALED, lambda made, how=how: _corner(made(f"{how}.mkv")), found)
        for how, found in _SCALED.items()
    ),
    *(
        Row("TranscodeVideo.rotation", SCALED, lambda made, turn=turn: _quarters(made(f"turned{turn}.mkv")), found)
        for turn, found in _TURNED.items()
    ),
    # Two seconds are short for a rate control: tests/media/test_rates.py is closer over four.
    Row("TranscodeVideo.bitrate", COSTLY, lambda made: bits(made("bitrate.mkv"), "v:0") / 2, pytest.approx(300_000, rel=0.25)),
    Row("TranscodeVideo.passes", COSTLY, lambda made: bits(made("passes.mkv"), "v:0") / 2, pytest.approx(300_000, rel=0.1)),
    Row(
        "TranscodeVideo.bitrate_option",
        COSTLY,
        lambda made: bits(made("adaptive.mkv"), "v:0") / 2 < 10_000_000,
        True,
    ),
    Row("TranscodeVideo.crf", COSTLY, lambda made: bits(made("crf18.mkv"), "v:0") > 4 * bits(made("crf40.mkv"), "v:0"), True),
    Row("TranscodeVideo.crf", COSTLY, lambda made: _likeness(made, "crf18.mkv") > _likeness(made, "crf40.mkv") + 5, True),
    # Two seconds at the rate, and what the buffer held before.
    Row("TranscodeVideo.max_bitrate", COSTLY, lambda made: bits(made("capped.mkv"), "v:0") <= 2 * 300_000 + 300_000, True),
    # No picture is larger than the buffer that it is sent from.
    Row(
        "TranscodeVideo.buffer_size",
        COSTLY,
        lambda made: [8 * max(p.size for p in judge.packets(made(n), "v:0")) < 60_000 for n in ("tight.mkv", "capped.mkv")],
        [True, False],
    ),
    Row("TranscodeVideo.gop_size", RATED, lambda made: _keys(made("gop.mkv")), list(range(0, 50, 7))),
    Row("TranscodeVideo.b_frames", RATED, lambda made: [_run_of_b(made(name)) for name in ("b0.mkv", "b2.mkv")], [0, 2]),
    Row("TranscodeVideo.refs", RATED, lambda made: _header(made("refs.mkv"), "max_num_ref_frames"), 5),
    Row(
        "TranscodeVideo.preset",
        RATED,
        lambda made: [_header(made(name), "entropy_coding_mode_flag") for name in ("quick.mkv", "refs.mkv")],
        [0, 1],
    ),
    Row(
        "TranscodeVideo.smart_cut",
        CUT,
        lambda made: [judge.numbers(made(f"{how}.mp4"))[0] for how in ("exact", "key")],
        [5, 0],
    ),
    Row("TranscodeVideo.smart_cut", CUT, lambda made: len(judge.numbers(made("exact.mp4"))), 30),
    Row("TranscodeVideo.hardware", DEVICE, lambda made: _encoder(made) in ("hardware", "HardwareUnavailable"), True),
    Row("TranscodeVideo.hardware", RATED, lambda made: made.ended.artifacts[-1].streams[0].encoder, "libx264"),
    Row(
        "TargetVideo.stream",
        CHOSEN,
        lambda made: [[s.size for s in judge.describe(made(f"{n}.mkv")).of("Video")] for n in ("first", "second", "all")],
        [[(96, 64)], [(64, 48)], [(96, 64), (64, 48)]],
    ),
    Row(
        "TranscodeVideo.quality_target", AIMED, lambda made: _likeness(made, "good.mkv") > _likeness(made, "fair.mkv") + 3, True
    ),
    Row("QualityTarget.metric", AIMED, lambda made: _quality(made, 0).metric, "xpsnr"),
    Row("QualityTarget.value", AIMED, lambda made: [_quality(made, n).final for n in (0, 1)], pytest.approx([38, 32], abs=1)),
    Row("QualityTarget.min_crf", AIMED, lambda made: _quality(made, 2).crf, 40),
    Row("QualityTarget.max_crf", AIMED, lambda made: _quality(made, 3).crf, 20),
    # Two seconds at the rate, and twice what the buffer held before.
    Row("QualityTarget.max_bitrate", AIMED, lambda made: bits(made("capped.mkv"), "v:0") <= 4 * 300_000, True),
    *(Row(f"TranscodeVideo.{option}", task, lambda made: made.code, "ConditionNotMet") for option, task in FALLS.items()),
)
