"""What only a container says of its frames: how they are cropped, which colors they have, and the shape of their pixels."""

import subprocess
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from reelmill_server.media.input.probe import probe_file
from reelmill_server.model.media_info import Crop
from tests import judge
from tests.media.converter import NO_LIMITS, Converter, encoded, target
from tests.media.test_animations import animation
from tests.media.test_snapshots import alone, made, snapshots
from tests.sources import QUARTERS, Clip, Shelf, Video

pytestmark = pytest.mark.media

# Segment, Tracks, TrackEntry, Video; PixelCropLeft and PixelCropTop.
_MASTERS = {b"\x18\x53\x80\x67": 4, b"\x16\x54\xae\x6b": 4, b"\xae": 1, b"\xe0": 1}
_LEFT, _TOP = b"\x54\xcc", b"\x54\xbb"


def with_crop(data: bytes, left: int, top: int) -> bytes:
    """The bytes of a live Matroska file, which has no index, with cropping in the description of its video."""
    made_bytes, position = b"", 0
    while position < len(data):
        size_of_name = 9 - data[position].bit_length()
        name, position = data[position : position + size_of_name], position + size_of_name
        length = 9 - data[position].bit_length()
        size = int.from_bytes(data[position : position + length], "big") & ~(1 << 7 * length)
        unknown = size == (1 << 7 * length) - 1
        head, position = data[position : position + length], position + length
        content = data[position:] if unknown else data[position : position + size]
        position += len(content)
        if name in _MASTERS:
            content = with_crop(content, left, top)
            if name == b"\xe0":
                content += _LEFT + b"\x82" + left.to_bytes(2, "big") + _TOP + b"\x82" + top.to_bytes(2, "big")
            head = head if unknown else b"\x01" + len(content).to_bytes(7, "big")
        made_bytes += name + head + content
    return made_bytes


@pytest.fixture(scope="module", params=["mkv", "mp4", "webm"])
def cropped(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, shelf: Shelf) -> Path:
    """A file of which the lower right quarter is shown."""
    folder = tmp_path_factory.mktemp("cropped")
    codec, form = ("libvpx-vp9", "webm") if request.param == "webm" else ("libx264", "matroska")
    clip = Clip(form, (Video(codec, pattern="quarters", seconds=1, gop=25, b_frames=0),), (), options=(("live", "1"),))
    path = folder / "cropped.mkv"
    path.write_bytes(with_crop(shelf.get(clip).read_bytes(), 48, 32))
    if request.param != "mp4":
        return path
    with av.open(str(path)) as source, av.open(str(folder / "cropped.mp4"), "w") as output:  # says it in a clap box
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    return folder / "cropped.mp4"


def test_cropping_is_done_where_frames_are_encoded(convert: Converter, cropped: Path) -> None:
    """Before anything else, so that sizes count what is left."""
    plain = convert(cropped, target("mp4", encoded(), None))
    rotated = convert(cropped, target("mkv", encoded(rotation=90, width=64), None))
    assert judge.pictures(plain.path).shape == (25, 32, 48)
    assert judge.describe(rotated.path).of("Video")[0].size == (64, 48)
    for converted in (plain, rotated):
        assert abs(judge.planes(converted.path, "yuv420p")[0].astype(int) - QUARTERS[3]).mean() < 4


def test_images_are_cropped(convert: Converter, cropped: Path) -> None:
    """Single ones, and animations."""
    for asked in (snapshots("png", number=1), animation("webp", number=2)):
        converted = convert(cropped, alone(asked))
        assert (converted.artifact.width, converted.artifact.height) == (48, 32)
        with Image.open(converted.published / converted.artifact.uri.removeprefix("file:///out/")) as image:
            spread = np.asarray(image.convert("L")).astype(int)
        assert spread.max() - spread.min() < 12


def test_a_copy_keeps_cropping_where_it_can(convert: Converter, cropped: Path) -> None:
    """Elsewhere a warning says so."""
    codec = probe_file(str(cropped), NO_LIMITS).video[0].codec
    for container in ("mkv", "mp4", "webm" if codec == "vp9" else "mov"):
        converted = convert(cropped, target(container, audio=None))
        assert not any("pixels are to be shown" in text for text in converted.warnings)
        assert len(judge.cropped(converted.path)) == 48 * 32
        again = probe_file(str(converted.path), NO_LIMITS).video[0]
        assert (again.width, again.height, again.crop) == (48, 32, Crop(48, 32, 96, 64))
    if codec == "h264":
        lost = convert(cropped, target("ts", audio=None))
        assert any("48x32 of 96x64 pixels are to be shown" in text for text in lost.warnings)


def _retold(shelf: Shelf, folder: Path, form: str, **colours: int) -> Path:
    """H.264 that says nothing of its colors, in a container that does."""
    path = folder / f"colours.{form}"
    clip = Clip("matroska", (Video(pattern="ramp", seconds=0.4, b_frames=0),), ())
    with av.open(str(shelf.get(clip))) as source, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0], opaque=True)
        for name, value in colours.items():
            setattr(stream.codec_context, name, value)
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    return path


@pytest.mark.parametrize("form", ["mp4", "mov", "mkv"])
def test_colours_of_the_container_are_those_of_the_frames(convert: Converter, tmp_path: Path, form: str) -> None:
    """In tags, and where frames are converted: as if the stream said them itself. The box of mov has no range."""
    colours = {"colorspace": 9, "color_range": 1, "color_primaries": 9, "color_trc": 14}
    path = _retold(convert.shelf, tmp_path, form, **colours)
    video = probe_file(str(path), NO_LIMITS).video[0]
    assert (video.color_space, video.color_primaries, video.color_transfer) == (9, 9, 14)
    converted = convert(path, target("mp4", encoded(crf=8), None))
    assert "bt2020nc/bt2020/bt2020-10" in judge.header(converted.path)
    (shown,) = made(convert(path, alone(snapshots("png", number=1))))
    with Image.open(shown) as image:
        assert judge.psnr(np.asarray(image), judge.pictures(converted.path, "rgb24")[0]) > 34


def test_full_range_of_the_container(convert: Converter, tmp_path: Path) -> None:
    """White of 255 is not clipped."""
    path = _retold(convert.shelf, tmp_path, "mkv", color_range=2, colorspace=1)
    converted = convert(path, target("mp4", encoded(crf=8), None))
    assert "(pc, bt709" in judge.header(converted.path)
    assert judge.psnr(judge.planes(converted.path, "yuv420p")[0], judge.planes(path, "yuv420p")[0]) > 38


def test_a_copy_that_loses_the_shape_of_pixels_says_so(convert: Converter, tmp_path: Path) -> None:
    """MP4 has it beside the stream; libav writes none into the others."""
    path = tmp_path / "shaped.mp4"
    with (
        av.open(str(convert.shelf.get(Clip("matroska", (Video(b_frames=0),), ())))) as source,
        av.open(str(path), "w") as output,
    ):
        stream = output.add_stream_from_template(source.streams.video[0], opaque=True)
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    lost = {container: convert(path, target(container, audio=None)) for container in ("mkv", "ts", "mp4", "mov")}
    assert [name for name, copied in lost.items() if any("4:3" in text for text in copied.warnings)] == ["mkv", "ts"]
    assert {name for name, copied in lost.items() if "SAR 4:3" in judge.header(copied.path)} == {"mp4", "mov"}


def test_cropping_at_the_left_that_the_stream_says_is_done(convert: Converter, tmp_path: Path) -> None:
    """libav leaves what keeps the memory of frames aligned; encodes were squeezed, and animations failed."""
    path, source = tmp_path / "cropped.mp4", convert.shelf.get(Clip("mp4", (Video(seconds=0.4),), ()))
    cropping = "h264_metadata=crop_left=6:crop_right=26"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", source, "-c", "copy", "-bsf:v", cropping, path]
    subprocess.run(command, check=True, capture_output=True)
    converted = convert(path, target("mp4", encoded(crf=4), None)).path
    expected, shown = judge.pictures(path)[7], judge.pictures(converted)[7]
    assert shown.shape == expected.shape == (64, 64)
    assert judge.psnr(shown, expected) > 35
