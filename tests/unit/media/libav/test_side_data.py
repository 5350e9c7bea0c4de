"""What PyAV hands out differently, or not safely."""

import ast
import io
import subprocess
import sys
from pathlib import Path

import av
import pytest
from av.sidedata.sidedata import Type
from PIL import Image, ImageCms

import reelmill_server
from reelmill_server.media.libav.side_data import codec_tag, frame_data


class _Context:
    """A codec context with PyAV's way of reading a tag."""

    def __init__(self, tag: bytes) -> None:
        self._tag = tag

    @property
    def codec_tag(self) -> str:
        return self._tag.decode("ascii")


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        (b"avc1", "avc1"),
        (b"\xff\x00\x00\x00", "[255][0][0][0]"),
        (b"\x01\x00\x00\x00", "[1][0][0][0]"),
        (b"mp4\xa9", "mp4[169]"),
        (b"\0\0\0\0", ""),
    ],
)
def test_any_tag_is_read(tag: bytes, text: str) -> None:
    """As FFmpeg writes them, with numbers for what is no text."""
    assert codec_tag(_Context(tag)) == text


@pytest.mark.media
def test_tags_of_wave_formats_are_read() -> None:
    """AAC has 0x00ff in WAV and AVI."""
    file = io.BytesIO()
    with av.open(file, "w", format="avi") as output:
        stream = output.add_stream("aac", rate=48000, layout="stereo")
        frame = av.AudioFrame(format="fltp", layout="stereo", samples=1024)
        frame.sample_rate, frame.pts = 48000, 0
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        output.mux([*stream.encode(frame), *stream.encode(None)])
    file.seek(0)
    with av.open(file) as written:
        assert codec_tag(written.streams[0].codec_context) == "[255][0][0][0]"


@pytest.mark.media
def test_a_frame_is_not_kept_by_what_was_read_of_it() -> None:
    """It would wait for the collector of cycles, as hundreds of others, each of some megabytes."""
    frame = av.VideoFrame(16, 16)
    before = sys.getrefcount(frame)
    assert frame_data(frame, "h264", Type.A53_CC) is None
    assert sys.getrefcount(frame) == before


@pytest.mark.media
def test_a_color_profile_does_no_harm(tmp_path: Path) -> None:
    """PyAV frees the name of a PNG's profile twice when it is asked for the frame's side data: the process would die."""
    path = tmp_path / "profile.png"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    turned = Image.Exif()
    turned[0x112] = 2
    Image.new("RGB", (64, 48), "red").save(path, icc_profile=profile, exif=turned)
    program = (
        "import sys; from reelmill_server.media.input.probe import probe_file; from reelmill_server.model.capability import "
        "Limits; assert all(probe_file(sys.argv[1], Limits()).video[0].mirrored for _ in range(50))"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_side_data_of_frames_is_read_in_one_place() -> None:
    """There alone it is known for which decoders reading is safe."""
    package = Path(reelmill_server.__file__).parent
    readers = {path.relative_to(package).as_posix() for path in package.rglob("*.py") if _reads(path.read_text())}
    assert readers == {"media/libav/side_data.py"}


def _reads(code: str) -> bool:
    names = {getattr(node, "attr", "") or getattr(node, "id", "") for node in ast.walk(ast.parse(code))}
    return bool(names & {"side_data", "SideDataContainer"})
