"""Transparency: kept where the output can, else composed on black; what is hidden never shows."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from reelmill_server.media.input.probe import probe_file
from reelmill_server.model.request import SourceSpec
from tests import judge
from tests.media.converter import NO_LIMITS, Converter, encoded, target
from tests.media.test_joined import Joiner, join
from tests.media.test_snapshots import alone, made, snapshots
from tests.sources import Clip, Video

__all__ = ["join"]

pytestmark = pytest.mark.media

SIZE = 64, 48
WORDS = "partly transparent"


def rgba() -> Image.Image:
    """White, of which the left half is invisible."""
    samples = np.full((SIZE[1], SIZE[0], 4), 255, np.uint8)
    samples[:, : SIZE[0] // 2, 3] = 0
    return Image.fromarray(samples)


@pytest.fixture(scope="module", params=["libvpx", "libvpx-vp9", "png"])
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with alpha: WebM has it beside the frames."""
    folder = tmp_path_factory.mktemp("alpha")
    if request.param == "png":
        rgba().save(folder / "a.png")
        return folder / "a.png"
    path = folder / "a.webm"
    with av.open(str(path), "w") as output:
        stream = output.add_stream(request.param, rate=25, options={"auto-alt-ref": "0", "crf": "4", "b": "2M"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuva420p"
        for number in range(5):
            frame = av.VideoFrame.from_ndarray(np.asarray(rgba()), "rgba").reformat(format="yuva420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def halves(picture: np.ndarray) -> tuple[float, float]:
    """The mean brightness of both halves, without their edges."""
    return float(picture[:, : SIZE[0] // 2 - 4].mean()), float(picture[:, SIZE[0] // 2 + 4 :].mean())


@pytest.mark.parametrize("form", ["jpg", "mp4"])
def test_without_alpha_the_hidden_is_black(convert: Converter, source: Path, form: str) -> None:
    """And a warning says that it was transparent."""
    asked = alone(snapshots("jpg", number=1)) if form == "jpg" else target("mp4", encoded(crf=8), None)
    converted = convert(source, asked)
    path = made(converted)[0] if form == "jpg" else converted.path
    left, right = halves(judge.pictures(path, "rgb24")[0])
    assert left < 8 and right > 240
    assert sum(WORDS in text for text in converted.warnings) == 1


def test_colors_that_are_partly_transparent_pass_the_gate(convert: Converter, tmp_path: Path) -> None:
    """What is shown is compared by its luma: magenta is brighter than dark green, though it has no green."""
    bars = np.full((SIZE[1], SIZE[0], 4), (255, 0, 255, 128), np.uint8)
    bars[:, 16:48, :3] = (0, 120, 0)
    with av.open(str(tmp_path / "bars.mov"), "w") as output:
        stream = output.add_stream("qtrle", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "argb"
        output.mux([*stream.encode(av.VideoFrame.from_ndarray(bars, "rgba").reformat(format="argb")), *stream.encode(None)])
    assert any(WORDS in text for text in convert(tmp_path / "bars.mov", target("mp4", encoded(crf=8), None)).warnings)


def test_with_alpha_it_is_kept(convert: Converter, source: Path) -> None:
    """In VP9 and in PNG."""
    converted = convert(source, target("webm", encoded("vp9", crf=4), None), alone(snapshots("png", number=1)))
    assert not any(WORDS in text for text in converted.warnings)
    alpha = judge.planes(converted.paths[0], "yuva420p", "libvpx-vp9")[3]
    left, right = halves(alpha[0])
    assert left < 8 and right > 240
    image = Image.open(io.BytesIO(made(converted)[0].read_bytes()))
    left, right = halves(np.asarray(image.getchannel("A")))
    assert left < 8 and right > 240


@pytest.mark.parametrize("container", ["webm", "mkv", "mp4"])
def test_a_copy_keeps_alpha_where_it_can(convert: Converter, source: Path, container: str) -> None:
    """WebM and Matroska have it beside the frames; elsewhere a warning says that hidden colors show."""
    video = probe_file(str(source), NO_LIMITS).video[0]
    if video.codec != "vp9":
        pytest.skip("mp4 holds neither VP8 nor PNG")
    converted = convert(source, target(container, audio=None))
    lost = any("cannot hold the alpha channel of vp9" in text for text in converted.warnings)
    assert lost == (container == "mp4")
    assert probe_file(str(converted.path), NO_LIMITS).video[0].transparent != lost


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("codec, container", [("h264", "mp4"), ("vp9", "webm")])
def test_a_transparent_source_behind_an_opaque_one_is_shown_on_black(
    join: Joiner, source: Path, codec: str, container: str
) -> None:
    """The first one decides what the output can be, and a warning says so."""
    opaque = Clip("mp4", (Video(size=SIZE, seconds=0.2, pattern="black"),), ())
    clear = (source, SourceSpec("file:///b", duration_us=200_000))
    plan, (path,) = join([opaque, clear], target(container, encoded(codec, crf=8), None))
    left, right = halves(judge.pictures(path, "rgb24")[-1])
    assert left < 8 and right > 235
    assert sum(WORDS in text for text in plan.warnings) == 1
