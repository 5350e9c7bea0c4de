"""Pixel formats and colours: what a viewer sees is what the source showed, and the tags say so."""

import re
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from reelmill_server.errors import UnsupportedFormat
from reelmill_server.model.capability import SOFTWARE
from reelmill_server.plan.codec.video_encoders import VIDEO_ENCODERS
from tests import judge
from tests.media.converter import Converted, Converter, capabilities, encoded, target
from tests.sources import Clip, Video

pytestmark = pytest.mark.media

FORMATS = ("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le")
TAKEN = {"h264": FORMATS, "h265": FORMATS, "vp9": FORMATS, "av1": ("yuv420p", "yuv420p10le")}
BT709 = {"color_space": 1, "color_primaries": 1, "color_transfer": 1}
LIKE = 34.0  # dB: lossy coding at these settings gives 38 and more, a wrong range or matrix less than 28


def shown(clip_path: Converted) -> NDArray[np.uint8]:
    """The pictures as RGB, made by the judge after the file's own tags."""
    return judge.pictures(clip_path.path, "rgb24")


def colour_clip(form: str = "matroska", codec: str = "ffv1", **settings: object) -> Clip:
    """A lossless colourful source."""
    return Clip(form, (Video(codec, pattern="ramp", seconds=0.4, **settings),), ())  # type: ignore[arg-type]


@pytest.mark.sample(every=4)
@pytest.mark.parametrize(("codec", "pixel_format"), [(codec, name) for codec, names in TAKEN.items() for name in names])
def test_each_pixel_format_is_met(convert: Converter, codec: str, pixel_format: str) -> None:
    """The output has the format asked for and still looks like the source; a format that this build lacks is refused."""
    clip = colour_clip(pixel_format="yuv444p", **BT709)
    asked = target("mkv", encoded(codec, pixel_format=pixel_format, crf=8), None)
    if pixel_format not in capabilities()[VIDEO_ENCODERS[codec][SOFTWARE]].pixel_formats:
        assert codec == "vp9"
        with pytest.raises(UnsupportedFormat, match="does not take"):
            convert(clip, asked)
        return
    converted = convert(clip, asked)
    assert f"{pixel_format}(" in judge.describe(converted.path).of("Video")[0].rest
    assert judge.psnr(shown(converted), judge.pictures(convert.shelf.get(clip), "rgb24")) > LIKE


def test_vp9_keeps_alpha(convert: Converter) -> None:
    """yuva420p, with VP9 only, in WebM."""
    clip = colour_clip(pixel_format="yuva420p")
    converted = convert(clip, target("webm", encoded("vp9", pixel_format="yuva420p"), None))
    assert converted.artifact.streams[0].packet_count == 10
    assert re.search(r"alpha_mode\s*: 1", judge.header(converted.path), re.IGNORECASE)


@pytest.mark.sample(every=2)
@pytest.mark.parametrize(
    ("source", "kept"),
    [
        ("yuv422p", "yuv422p"),
        ("yuv420p10le", "yuv420p10le"),
        ("yuv444p12le", "yuv444p10le"),
        ("yuv411p", "yuv420p"),
        ("gray", "yuv420p"),
        ("bgr0", "yuv420p"),
    ],
)
def test_without_a_pixel_format_the_nearest_to_the_source_is_kept(convert: Converter, source: str, kept: str) -> None:
    """As the source, as far as the codec goes; what is not YUV becomes yuv420p, which all players show."""
    clip = colour_clip(pixel_format=source)
    converted = convert(clip, target("mkv", encoded(crf=8), None))
    assert f"{kept}(" in judge.describe(converted.path).of("Video")[0].rest


@pytest.mark.parametrize("codec", TAKEN)
def test_ten_bits_go_down_to_eight_where_the_codec_has_no_more(convert: Converter, codec: str) -> None:
    """A phone's 10-bit video can be made into any codec."""
    clip = colour_clip(pixel_format="yuv420p10le")
    converted = convert(clip, target("mkv", encoded(codec), None))
    result = capabilities()[VIDEO_ENCODERS[codec][SOFTWARE]].pixel_formats
    expected = "yuv420p10le" if "yuv420p10le" in result else "yuv420p"
    assert f"{expected}(" in judge.describe(converted.path).of("Video")[0].rest


@pytest.mark.sample(every=5)
@pytest.mark.parametrize("settings", [{}, {"width": 48, "height": 32}, {"frame_rate": Fraction(50)}])
@pytest.mark.parametrize(
    "source",
    [
        {"color_range": 2, "color_space": 5},
        {"color_range": 2, **BT709},
        {"color_range": 1, **BT709},
        {"color_range": 0},
        {"color_range": 1, "color_space": 9, "color_primaries": 9, "color_transfer": 14, "pixel_format": "yuv420p10le"},
    ],
)
def test_ranges_and_matrices_are_kept_and_tagged(
    convert: Converter, source: dict[str, int | str], settings: dict[str, object]
) -> None:
    """A full-range source stays full range, BT.709 stays BT.709: pictures are equal and so are the tags."""
    clip = colour_clip("mp4", "libx264", options=(("crf", "4"),), **source)
    path = convert.shelf.get(clip)
    converted = convert(clip, target("mp4", encoded(crf=8, **settings), None))
    tags = judge.describe(converted.path).of("Video")[0].rest
    expected = judge.describe(path).of("Video")[0].rest
    words = [word for word in ("(pc", "(tv", "bt709", "smpte170m", "bt470bg", "bt2020nc", "bt2020-10") if word in expected]
    for word in words:
        assert word in tags, (word, tags)
    if not settings:
        assert judge.psnr(shown(converted), judge.pictures(path, "rgb24")) > LIKE
    else:
        # Scaled or repeated: compare what all pictures have in common, the mean of each channel.
        means, before = shown(converted).mean(axis=(0, 1, 2)), judge.pictures(path, "rgb24").mean(axis=(0, 1, 2))
        assert np.abs(means - before).max() < 2


def test_a_full_range_jpeg_source_is_right(convert: Converter) -> None:
    """Motion JPEG is full range by its pixel format; the output's pictures are the same."""
    clip = Clip(
        "mov",
        (Video("mjpeg", pattern="ramp", seconds=0.4, pixel_format="yuvj420p", color_range=2, options=(("b", "20000000"),)),),
        (),
    )
    path = convert.shelf.get(clip)
    for codec in ("h264", "h265", "vp9"):
        converted = convert(clip, target("mp4", encoded(codec, crf=8), None))
        assert "(pc" in judge.describe(converted.path).of("Video")[0].rest, codec
        assert judge.psnr(shown(converted), judge.pictures(path, "rgb24")) > LIKE, codec


@pytest.mark.parametrize("settings", [{}, {"width": 48, "height": 32}, {"pixel_format": "yuv444p"}])
def test_an_rgb_source_becomes_bt709(convert: Converter, settings: dict[str, object]) -> None:
    """RGB has no matrix: BT.709 in limited range is made, tagged, and looks the same, scaled or not."""
    clip = colour_clip(pixel_format="bgr0")
    path = convert.shelf.get(clip)
    converted = convert(clip, target("mp4", encoded(crf=4, **settings), None))
    tags = judge.describe(converted.path).of("Video")[0].rest
    assert "(tv, bt709" in tags
    means, before = shown(converted).mean(axis=(1, 2)), judge.pictures(path, "rgb24").mean(axis=(1, 2))
    assert np.abs(means - before).max() < 2
    if "width" not in settings:
        assert judge.psnr(shown(converted), judge.pictures(path, "rgb24")) > 30
