"""What becomes of every option of the contract that concerns an encoder, by NVENC, VAAPI and QSV: a table in docs/hardware.md.

NVENC encodes here, on the driver of tests/drivers, and what comes out is measured; of the others the table says what FFmpeg is
told.
`pytest --update-golden` writes the table anew.
"""

import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import pytest
from av.video.frame import PictureType

from reelmill_server.errors import ReelmillError
from reelmill_server.model.capability import SOFTWARE, Capability
from reelmill_server.model.quality import Metric, QualityTarget
from reelmill_server.model.request import VideoSpec
from reelmill_server.plan.codec.encoder_options import options
from reelmill_server.plan.codec.video_encoders import VIDEO_ENCODERS, choose
from tests.integration.cards import attempt, bench, built, clip, driver, target, tried
from tests.integration.test_attempt import Bench
from tests.integration.test_nvenc import card

__all__ = ["bench", "built", "card", "clip", "driver", "tried"]
pytestmark = pytest.mark.toolchain
PAGE = Path(__file__).parents[2] / "docs" / "hardware.md"
BEGIN, END = "<!-- options: made by tests/integration/test_nvenc_options.py -->\n", "<!-- /options -->\n"


def size(path: Path) -> int:
    """Bytes of the video."""
    with av.open(str(path)) as container:
        return sum(packet.size for packet in container.demux(video=0))


def types(path: Path) -> str:
    """The kinds of the frames."""
    with av.open(str(path)) as container:
        return "".join(PictureType(frame.pict_type).name for frame in container.decode(video=0))


def keys(path: Path) -> list[int]:
    """Numbers of the keyframes, in the order of packets."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    return [number for number, packet in enumerate(packets) if packet.is_keyframe]


def pixel_format(path: Path) -> str:
    """libav's name."""
    with av.open(str(path)) as container:
        return str(container.streams.video[0].codec_context.pix_fmt)


def references(path: Path) -> int:
    """Of H.264, as the sequence parameter set says."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-i", str(path), "-c", "copy", "-bsf:v", "trace_headers"]
    told = subprocess.run([*command, "-f", "null", "-"], capture_output=True, text=True, check=False).stderr
    match = re.search(r"max_num_ref_frames\s+\d+\s+=\s+(\d+)", told)
    assert match, told[-500:]
    return int(match[1])


def lossless(path: Path) -> bool:
    """Whether the luma is the source's."""
    with av.open(str(path)) as result, av.open(str(path.with_name("clip.mp4"))) as source:
        pairs = zip(result.decode(video=0), source.decode(video=0), strict=True)
        return all(bytes(one.planes[0]) == bytes(other.planes[0]) for one, other in pairs)


@dataclass(frozen=True)
class Row:
    """An option: what is asked, and what is measured where NVENC takes it; `other`: what else is asked, for what is `less`."""

    asked: Mapping[str, Any]
    measured: Callable[[Path], Any]
    expected: Any = None
    other: Mapping[str, Any] = field(default_factory=dict)


ROWS: Mapping[str, Row] = {
    "`CRF` 35": Row({"crf": 35.0}, size, other={"crf": 20.0}),
    "`CRF` 0": Row({"crf": 0.0}, lossless, True),
    "`CRF` 0.5": Row({"crf": 0.5}, lossless, False),
    "`Bitrate`": Row({"bitrate": 150_000}, size, other={"bitrate": 900_000}),
    "`MaxBitrate`, `BufferSize`": Row({"crf": 23.0, "max_bitrate": 200_000, "buffer_size": 200_000}, size, 0),
    "`BFrames` 0": Row({"b_frames": 0}, lambda path: "B" in types(path), False),
    "`BFrames` 2": Row({"b_frames": 2}, lambda path: "BB" in types(path) and "BBB" not in types(path), True),
    "`Refs` 1": Row({"refs": 1, "b_frames": 0}, references, 1),
    "`Refs` 4": Row({"refs": 4, "b_frames": 0}, references, 4),
    "`GOPSize` 1": Row({"gop_size": 1}, keys, list(range(50))),
    "`GOPSize` 10": Row({"gop_size": 10}, keys, [0, 10, 20, 30, 40]),
    "`PixelFormat` yuv444p": Row({"pixel_format": "yuv444p"}, pixel_format, "yuv444p"),
    "`PixelFormat` yuv422p": Row({"pixel_format": "yuv422p"}, pixel_format, "yuv422p"),
    "`PixelFormat` yuv420p10le, H.265": Row({"codec": "h265", "pixel_format": "yuv420p10le"}, pixel_format, "yuv420p10le"),
    "`Passes` 2": Row({"passes": 2, "bitrate": 500_000}, size, 0),
    "`QualityTarget`": Row({"quality": QualityTarget(Metric.XPSNR, 38.0)}, size, 0),
}


async def on_nvenc(bench: Bench, row: Row) -> str:
    """Encode what a row asks; return what became of it."""
    try:
        artifacts, warnings = await attempt(bench, target(bench, **row.asked))
    except ReelmillError as error:
        return f"refused: {error.message}"
    stream = artifacts[0].streams[0]
    if not stream.encoder.endswith("nvenc"):
        name = VIDEO_ENCODERS[row.asked.get("codec", "h264")]["nvenc"]
        return "software: " + next(text for text in stream.reason.split("; ") if name in text).partition(": ")[2]
    got = row.measured(bench.folder / "out.mp4")
    if row.other:
        await attempt(bench, target(bench, **row.other))
        assert got < row.measured(bench.folder / "out.mp4"), "the option makes no difference"
    else:
        assert got == row.expected
    return "warned: " + "; ".join(warnings) if warnings else "honored"


def as_told(row: Row, family: str) -> str:
    """Return what FFmpeg is told for a row, in its own words; all else is as in the first line of the table."""
    asked = {"codec": "h264", **row.asked}
    spec = VideoSpec(**asked)
    name = VIDEO_ENCODERS[spec.codec][family]
    known = {
        name: Capability(name, spec.codec, family, True),
        (software := VIDEO_ENCODERS[spec.codec][SOFTWARE]): Capability(software, spec.codec, SOFTWARE, True),
    }
    choice = choose(spec, spec.pixel_format or "yuv420p", known, (family, SOFTWARE))
    if choice.device != family:
        return "software: " + choice.reason.partition(f"{name}: ")[2]
    told, usual = options(choice, spec), options(choice, VideoSpec(spec.codec))
    changed = [f"{option}={value}" for option, value in told.items() if usual.get(option) != value]
    return f"`{' '.join(changed) or 'format=' + choice.pixel_format}`"


async def test_every_option_is_honored_refused_or_left_to_software(bench: Bench, request: pytest.FixtureRequest) -> None:
    """None is dropped in silence: the table in docs/hardware.md says what was seen here."""
    lines = ["| asked | NVENC, as measured | VAAPI, as FFmpeg is told | QSV, as FFmpeg is told |\n", "|---|---|---|---|\n"]
    for name, row in ROWS.items():
        lines.append(f"| {name} | {await on_nvenc(bench, row)} | {as_told(row, 'vaapi')} | {as_told(row, 'qsv')} |\n")
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    held, _, after = rest.partition(END)
    if request.config.getoption("--update-golden"):
        PAGE.write_text(f"{before}{BEGIN}{''.join(lines)}{END}{after}")
    else:
        assert held == "".join(lines)
