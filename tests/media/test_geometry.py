"""Sizes, shapes and turns: which pixel of the source is where in the output."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from reelmill_server.media.input.probe import probe_file
from reelmill_server.model.sizes import ScaleType
from tests import judge
from tests.media.converter import COPIED_VIDEO, NO_LIMITS, Converted, Converter, encoded, target
from tests.sources import QUARTERS, Clip, Video

pytestmark = pytest.mark.media

LANDSCAPE = Clip("mp4", (Video(pattern="quarters", size=(128, 64), seconds=0.4),), ())
BLACK = 16


def made(convert: Converter, clip: Clip, **settings: object) -> Converted:
    """One encode of `clip` at good quality."""
    return convert(clip, target("mp4", encoded(crf=10, **settings), None))


def luma(path: Converted) -> NDArray[np.uint8]:
    """The luma of a picture in the middle, as a player turns it."""
    shown = judge.pictures(path.path, "rgb24", upright=True)
    return shown[len(shown) // 2].mean(axis=2).astype(np.uint8)


def quarters(picture: NDArray[np.uint8]) -> list[int]:
    """Which quarter of the source (0 top left, 1 top right, 2 bottom left, 3 bottom right) is in each quarter of `picture`."""
    height, width = picture.shape
    shown = [(value - 16) * 255 / 219 for value in QUARTERS]
    corners = [
        float(picture[down : down + height // 4, across : across + width // 4].mean())
        for down in (height // 8, height // 2 + height // 8)
        for across in (width // 8, width // 2 + width // 8)
    ]
    return [min(range(4), key=lambda index: abs(shown[index] - corner)) for corner in corners]


@pytest.mark.parametrize(
    ("asked", "size"),
    [((64, 64), (64, 64)), ((64, 0), (64, 64)), ((0, 32), (128, 32)), ((256, 128), (256, 128)), ((0, 0), (128, 64))],
)
def test_a_resolution_is_met_and_a_missing_side_is_the_sources(
    convert: Converter, asked: tuple[int, int], size: tuple[int, int]
) -> None:
    """`WxH`, `Wx` and `xH`: a missing side keeps the source's value, it is not scaled in proportion."""
    result = made(convert, LANDSCAPE, width=asked[0], height=asked[1])
    assert judge.describe(result.path).of("Video")[0].size == size
    assert quarters(luma(result)) == [0, 1, 2, 3]
    assert (result.artifact.streams[0].width, result.artifact.streams[0].height) == size


@pytest.mark.parametrize(
    ("source_size", "rotation", "size"),
    [((128, 64), 0, (96, 48)), ((64, 128), 0, (48, 96)), ((128, 64), 90, (48, 96)), ((64, 128), 270, (96, 48))],
)
def test_an_adaptive_direction_means_long_and_short_side(
    convert: Converter, source_size: tuple[int, int], rotation: int, size: tuple[int, int]
) -> None:
    """Landscape or portrait as shown: the source's own rotation counts."""
    clip = Clip("mp4", (Video(pattern="quarters", size=source_size, seconds=0.4, rotation=rotation),), ())
    result = made(convert, clip, width=96, height=48, adaptive_direction=True)
    assert judge.describe(result.path).of("Video")[0].size == size


def test_stretch_fills_the_size(convert: Converter) -> None:
    """The whole picture, out of shape."""
    result = made(convert, LANDSCAPE, width=64, height=96, scale_type=ScaleType.STRETCH)
    assert quarters(luma(result)) == [0, 1, 2, 3]


def test_fill_shows_all_between_bars(convert: Converter) -> None:
    """A wide picture in a square: black bars above and below, of equal height."""
    result = made(convert, LANDSCAPE, width=96, height=96, scale_type=ScaleType.FILL)
    picture = luma(result)
    assert picture.shape == (96, 96)
    assert picture[:22].max() < 6
    assert picture[-22:].max() < 6
    assert picture[26:70].min() > 20
    assert quarters(picture[24:72]) == [0, 1, 2, 3]
    tall = made(convert, Clip("mp4", (Video(pattern="quarters", size=(64, 128), seconds=0.4),), ()), width=96, height=96,
                scale_type=ScaleType.FILL)  # fmt: skip
    assert luma(tall)[:, :22].max() < 6
    assert quarters(luma(tall)[:, 24:72]) == [0, 1, 2, 3]


def test_crop_covers_and_cuts_at_the_centre(convert: Converter) -> None:
    """A wide picture in a square: its middle half, nothing squeezed."""
    circle = Clip("mp4", (Video(pattern="circle", size=(128, 64), seconds=0.4),), ())
    result = made(convert, circle, width=64, height=64, scale_type=ScaleType.CROP)
    bright = luma(result) > 125
    # The source's ellipse is 102 wide and 51 high: cut to 64 wide, its height stays.
    assert bright[:, 32].sum() == pytest.approx(51, abs=2)
    assert bright[32].sum() == 64
    assert (bright == bright[:, ::-1]).mean() > 0.97


def test_fit_may_be_smaller_than_asked(convert: Converter) -> None:
    """The picture keeps its shape within the size."""
    result = made(convert, LANDSCAPE, width=96, height=96, scale_type=ScaleType.FIT)
    assert judge.describe(result.path).of("Video")[0].size == (96, 48)
    assert quarters(luma(result)) == [0, 1, 2, 3]


TURNED = {0: [0, 1, 2, 3], 90: [2, 0, 3, 1], 180: [3, 2, 1, 0], 270: [1, 3, 0, 2]}


@pytest.mark.sample(every=3)
@pytest.mark.parametrize("asked", [0, 90, 180, 270])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_rotations_of_source_and_request_add_up_clockwise(convert: Converter, rotation: int, asked: int) -> None:
    """The output has no rotation of its own left, and looks as the source does, turned as asked."""
    clip = Clip("mp4", (Video(pattern="quarters", size=(128, 64), seconds=0.4, rotation=rotation),), ())
    source = judge.pictures(convert.shelf.get(clip), "rgb24", upright=True)[0].mean(axis=2).astype(np.uint8)
    assert quarters(source) == TURNED[rotation]
    result = made(convert, clip, rotation=asked)
    stream = judge.describe(result.path).of("Video")[0]
    assert stream.rotation == 0
    assert stream.size == ((64, 128) if (rotation + asked) % 180 else (128, 64))
    assert quarters(luma(result)) == TURNED[(rotation + asked) % 360]


@pytest.mark.sample(every=6)
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_mirrored_pictures_are_shown_mirrored(convert: Converter, rotation: int, mirrored: bool) -> None:
    """All eight ways that a display matrix can turn pictures: encoded, and kept by a copy."""
    clip = Clip("mp4", (Video(pattern="quarters", size=(128, 64), seconds=0.4, rotation=rotation, mirrored=mirrored),), ())
    path = convert.shelf.get(clip)
    (stream,) = probe_file(str(path), NO_LIMITS).video
    assert (stream.rotation, stream.mirrored) == (rotation, mirrored)
    shown = quarters(judge.pictures(path, upright=True)[0])
    assert quarters(luma(made(convert, clip))) == shown
    for container in ("mp4", "mov", "mkv"):
        assert quarters(luma(convert(clip, target(container, COPIED_VIDEO, None)))) == shown, container


def test_a_copy_that_loses_a_turn_says_so(convert: Converter) -> None:
    """MPEG-TS and FLV have no place for it, nor has MPEG-TS of HLS."""
    clip = Clip("mp4", (Video(pattern="quarters", size=(128, 64), seconds=0.4, rotation=90, mirrored=True),), ())
    for container in ("ts", "flv"):
        (warning,) = convert(clip, target(container, COPIED_VIDEO, None)).warnings
        assert f"{container} cannot say that pictures are to be mirrored and rotated by 90°" in warning


@pytest.mark.parametrize(
    ("rotation", "mirrored", "quarter", "tilt"), [(45, False, 0, 45), (60, True, 90, -30), (-100, False, 270, -10)]
)
def test_a_turn_that_is_no_quarter_is_told(convert: Converter, rotation: int, mirrored: bool, quarter: int, tilt: int) -> None:
    """The nearest quarter is done, and said; a copy keeps the angle, and says that players hardly follow it."""
    picture = Video(pattern="quarters", size=(128, 64), seconds=0.4, rotation=rotation, mirrored=mirrored)
    clip = Clip("mp4", (picture,), ())
    path = convert.shelf.get(clip)
    (stream,) = probe_file(str(path), NO_LIMITS).video
    assert (stream.rotation, stream.mirrored, stream.tilt) == (quarter, mirrored, tilt)
    asked = f"{'mirrored and ' if mirrored else ''}rotated by {rotation % 360}°"
    result = made(convert, clip)
    assert any(asked in warning and "multiples of 90°" in warning for warning in result.warnings), result.warnings
    assert judge.describe(result.path).of("Video")[0].rotation == 0
    assert judge.describe(result.path).of("Video")[0].size == ((64, 128) if quarter % 180 else (128, 64))
    for container in ("mp4", "mov", "mkv"):
        copy = convert(clip, target(container, COPIED_VIDEO, None))
        assert judge.describe(copy.path).of("Video")[0].rotation == judge.describe(path).of("Video")[0].rotation, container
        (warning,) = copy.warnings
        assert f"{container} keeps that frames are to be {asked}" in warning
    (warning,) = convert(clip, target("ts", COPIED_VIDEO, None)).warnings
    assert f"ts cannot say that pictures are to be {asked}" in warning


def test_a_rotation_goes_before_the_resolution(convert: Converter) -> None:
    """Width and height are meant as shown."""
    clip = Clip("mp4", (Video(pattern="quarters", size=(128, 64), seconds=0.4, rotation=90),), ())
    result = made(convert, clip, width=48, height=80)
    assert judge.describe(result.path).of("Video")[0].size == (48, 80)
    assert quarters(luma(result)) == TURNED[90]


ANAMORPHIC = Clip("mp4", (Video(pattern="circle", size=(64, 96), seconds=0.4, sample_aspect_ratio=Fraction(2)),), ())


def test_without_a_resolution_pixels_keep_their_shape(convert: Converter) -> None:
    """Anamorphic stays anamorphic; a quarter turn turns the pixels, too."""
    result = made(convert, ANAMORPHIC)
    assert judge.describe(result.path).of("Video")[0].size == (64, 96)
    assert "SAR 2:1" in judge.describe(result.path).of("Video")[0].rest
    turned = made(convert, ANAMORPHIC, rotation=90)
    assert judge.describe(turned.path).of("Video")[0].size == (96, 64)
    assert "SAR 1:2" in judge.describe(turned.path).of("Video")[0].rest


def test_with_a_resolution_pixels_become_square(convert: Converter) -> None:
    """The shape that a viewer saw is kept in square pixels."""
    result = made(convert, ANAMORPHIC, width=128, height=128, scale_type=ScaleType.FIT)
    stream = judge.describe(result.path).of("Video")[0]
    assert stream.size == (128, 96)
    assert "SAR 1:1" in stream.rest
    bright = luma(result) > 125
    # Shown 128x96, the source's ellipse takes 0.8 of both sides.
    assert bright[48].sum() == pytest.approx(102, abs=2)
    assert bright[:, 64].sum() == pytest.approx(77, abs=2)
    one_side = made(convert, ANAMORPHIC, width=64)
    assert judge.describe(one_side.path).of("Video")[0].size == (64, 96)


def test_odd_sides_lose_a_row_where_chroma_is_halved(convert: Converter) -> None:
    """4:2:0 cannot have odd sides: the picture is cut, not stretched, with a warning; 4:4:4 keeps them."""
    clip = Clip("matroska", (Video("ffv1", pattern="quarters", size=(99, 65), pixel_format="yuv444p", seconds=0.4),), ())
    result = made(convert, clip, pixel_format="yuv420p")
    assert judge.describe(result.path).of("Video")[0].size == (98, 64)
    assert any("98x64" in warning for warning in result.warnings)
    assert quarters(luma(result)) == [0, 1, 2, 3]
    kept = made(convert, clip)
    assert judge.describe(kept.path).of("Video")[0].size == (99, 65)


def test_an_odd_resolution_is_rounded_with_a_warning(convert: Converter) -> None:
    """The nearest size that the pixel format holds."""
    result = made(convert, LANDSCAPE, width=65, height=33)
    assert judge.describe(result.path).of("Video")[0].size == (64, 32)
    assert any("cannot be subsampled" in warning for warning in result.warnings)


def test_a_picture_that_changes_its_size_midway_keeps_the_first(convert: Converter) -> None:
    """A stream that changes resolution (screen sharing does) is scaled to one size throughout."""
    small = convert.shelf.get(Clip("mpegts", (Video(size=(96, 64), seconds=1),), ()))
    large = convert.shelf.get(Clip("mpegts", (Video(size=(128, 96), seconds=1),), (), offset=1.04))
    joined = convert.shelf.join("sizes.ts", small, large)
    result = convert(joined, target("mp4", encoded(), None))
    assert judge.describe(result.path).of("Video")[0].size == (96, 64)
    assert judge.numbers(result.path) == [*range(25), *range(25)]


@pytest.mark.parametrize("scale_type", [None, ScaleType.FILL, ScaleType.CROP, ScaleType.STRETCH, ScaleType.FIT])
def test_a_picture_that_changes_its_shape_midway_gets_bars(convert: Converter, scale_type: ScaleType | None) -> None:
    """Other shapes are shown whole within the first one, whatever is done to that."""
    first = Video(pattern="quarters", size=(96, 64), seconds=0.4, b_frames=0)
    wide = convert.shelf.get(Clip("mpegts", (first,), ()))
    square = convert.shelf.get(Clip("mpegts", (replace(first, size=(128, 128)),), (), offset=0.4))
    settings = {} if scale_type is None else {"width": 192, "height": 128, "scale_type": scale_type}
    result = convert(convert.shelf.join("shapes.ts", wide, square), target("mp4", encoded(crf=4, **settings), None))
    pictures = judge.pictures(result.path)
    size = (64, 96) if scale_type is None else (128, 192)
    assert pictures.shape == (20, *size)
    edge = size[1] // 6
    assert quarters(pictures[5]) == quarters(pictures[15][:, edge:-edge]) == [0, 1, 2, 3]
    assert pictures[5][:, :edge].min() > 60
    assert pictures[15][:, : edge - 4].max() < 30 and pictures[15][:, 4 - edge :].max() < 30


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts", "mov"])
def test_a_change_of_size_is_copied(convert: Converter, container: str) -> None:
    """Both sizes, as a decoder finds them in the stream."""
    parts = [
        Clip("mpegts", (Video(size=size, seconds=1),), (), offset=late) for size, late in (((96, 64), 0), ((128, 96), 1.08))
    ]
    joined = convert.shelf.join("copied-sizes.ts", *(convert.shelf.get(part) for part in parts))
    result = convert(joined, target(container, audio=None))
    assert judge.numbers(result.path) == [*range(25), *range(25)]
    assert len({frame.size for frame in judge.frames(result.path)}) == 1  # the judge scales to the first


SHAPED = Video("libvpx-vp9", pattern="circle", size=(64, 96), seconds=0.4, sample_aspect_ratio=Fraction(2))


@pytest.mark.parametrize(("codec", "container"), [("vp9", "webm"), ("vp9", "mp4"), ("av1", "mkv"), ("av1", "mp4")])
def test_codecs_without_a_word_for_it_get_square_pixels(convert: Converter, codec: str, container: str) -> None:
    """VP9 and AV1: shown as the source was, by players that know no other shape."""
    result = convert(ANAMORPHIC, target(container, encoded(codec), None))
    stream = judge.describe(result.path).of("Video")[0]
    assert stream.size == (128, 96) and "SAR 1:1" in stream.rest
    bright = luma(result) > 125
    assert bright[48].sum() == pytest.approx(102, abs=2) and bright[:, 64].sum() == pytest.approx(77, abs=2)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg4"])
@pytest.mark.parametrize("container", ["mp4", "mov", "mkv"])
def test_a_copy_keeps_the_shape_of_pixels(convert: Converter, container: str, codec: str) -> None:
    """In the stream or beside it."""
    clip = Clip("mov", (replace(SHAPED, codec=codec),), ())
    assert "SAR 2:1" in judge.describe(convert(clip, target(container, audio=None)).path).of("Video")[0].rest


def test_a_copy_tells_the_shape_beside_the_stream_where_it_can(convert: Converter) -> None:
    """VP9 has no word for it, MP4 has; where neither has, a warning says so."""
    clip = Clip("mp4", (SHAPED,), ())
    assert "SAR 2:1" in judge.describe(convert(clip, target("mp4", audio=None)).path).of("Video")[0].rest
    lost = convert(clip, target("webm", audio=None))
    assert lost.warnings == ("targets[0].video: webm does not keep the shape of the source's pixels, 2:1",)
