"""Watermarks and delogos: where, when and in which colours."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from reelmill_server.errors import InvalidMedia, MediaLimitExceeded, ReelmillError, UnsupportedFormat
from reelmill_server.media.overlay.bitmap import Bitmap
from reelmill_server.media.overlay.delogo import Delogo
from reelmill_server.media.overlay.text import draw_text
from reelmill_server.model.overlay_plan import Box, DelogoPlan, PicturePlan
from reelmill_server.model.overlay_request import Corner, DelogoSpec, PlaceSpec, TextSpec, WatermarkSpec
from reelmill_server.model.plan import VideoOutput
from tests import judge
from tests.media.converter import Converted, Converter, encoded, target
from tests.sources import DARK, Clip, Video

pytestmark = pytest.mark.media

SIZE = (96, 64)
DARKNESS = Clip("mp4", (Video(pattern="black", size=SIZE, seconds=0.4),), ())
NOISE = Clip("mp4", (Video(pattern="noise", size=SIZE, seconds=1),), ())
RED = (255, 0, 0, 255)
TOP_LEFT = PlaceSpec()
Marker = Callable[..., str]


@pytest.fixture(scope="module")
def mark(tmp_path_factory: pytest.TempPathFactory) -> Marker:
    """A PNG of one colour: its path."""
    folder = tmp_path_factory.mktemp("marks")

    def made(size: tuple[int, int] = (20, 10), color: tuple[int, ...] = RED) -> str:
        path = folder / f"{size}-{color}.png"
        Image.new("RGBA", size, color).save(path)
        return str(path)

    return made


def lossless(codec: str = "h264", **settings: Any) -> Any:
    """An encode that keeps every sample."""
    return encoded(codec, crf=0, **settings)


def run(convert: Converter, clip: Clip, **settings: Any) -> Converted:
    """A lossless encode with overlays."""
    return convert(clip, target("mp4", lossless(**settings), None))


def changed(result: Converted, plain: Converted, picture: int = 0) -> tuple[int, int, int, int] | None:
    """The rectangle (x, y, width, height) of the pixels whose luma differs; None: none does."""
    different = luma(result)[picture] != luma(plain)[picture]
    rows, columns = np.flatnonzero(different.any(axis=1)), np.flatnonzero(different.any(axis=0))
    if not rows.size:
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)


def luma(result: Converted) -> NDArray[np.integer]:
    """The luma of all pictures, as it is coded."""
    return judge.planes(result.path, "yuv420p")[0]


@pytest.mark.sample(every=2)
@pytest.mark.parametrize(
    ("corner", "place"),
    [
        (Corner.TOP_LEFT, (5, 7)),
        (Corner.TOP_RIGHT, (96 - 20 - 5, 7)),
        (Corner.BOTTOM_RIGHT, (96 - 20 - 5, 64 - 10 - 7)),
        (Corner.BOTTOM_LEFT, (5, 64 - 10 - 7)),
    ],
)
def test_a_picture_lies_inwards_from_its_corner(
    convert: Converter, mark: Marker, corner: Corner, place: tuple[int, int]
) -> None:
    """To the pixel, at odd locations, too; everything else is bit for bit what it is without a watermark."""
    spec = WatermarkSpec(PlaceSpec(corner, 5, 7), None, mark())
    result, plain = run(convert, DARKNESS, watermarks=(spec,)), run(convert, DARKNESS)
    assert changed(result, plain) == (*place, 20, 10)
    for marked, clear in zip(judge.planes(result.path, "yuv420p")[1:], judge.planes(plain.path, "yuv420p")[1:], strict=True):
        different = np.argwhere(marked[0] != clear[0])
        assert different.min(axis=0).tolist() == [place[1] // 2, place[0] // 2]
        assert different.max(axis=0).tolist() == [(place[1] + 9) // 2, (place[0] + 19) // 2]


@pytest.mark.sample(every=2)
@pytest.mark.parametrize(
    ("spec", "box"),
    [
        (WatermarkSpec(PlaceSpec(dx=Fraction(1, 4), dy=Fraction(1, 4))), Box(24, 16, 20, 10)),
        (WatermarkSpec(width=Fraction(1, 2)), Box(0, 0, 48, 24)),
        (WatermarkSpec(height=Fraction(1, 2)), Box(0, 0, 64, 32)),
        (WatermarkSpec(width=Fraction(1, 2), height=Fraction(1, 8)), Box(0, 0, 48, 8)),
        (WatermarkSpec(width=1, height=4), Box(0, 0, 1, 4)),
        (WatermarkSpec(PlaceSpec(Corner.BOTTOM_RIGHT, Fraction(1, 10), 0), width=30), Box(96 - 30 - 10, 64 - 15, 30, 15)),
    ],
)
def test_sizes_and_places_are_pixels_or_ratios_of_the_output(
    convert: Converter, mark: Marker, spec: WatermarkSpec, box: Box
) -> None:
    """A ratio of x and width is of the output's width, one of y and height of its height; a missing side follows the other."""
    result = run(convert, DARKNESS, watermarks=(replace(spec, uri=mark()),))
    assert result.plan.targets[0].streams[0].overlays == (PicturePlan(mark(), 0, box, ("format=rgba",)),)
    assert changed(result, run(convert, DARKNESS)) == (box.x, box.y, box.width, box.height)


def test_one_that_reaches_beyond_the_picture_is_cut_and_one_outside_is_told(convert: Converter, mark: Marker) -> None:
    """Neither fails."""
    plain = run(convert, DARKNESS)
    over = run(convert, DARKNESS, watermarks=(WatermarkSpec(PlaceSpec(dx=90, dy=60), None, mark()),))
    assert changed(over, plain) == (90, 60, 6, 4)
    wide = run(convert, DARKNESS, watermarks=(WatermarkSpec(PlaceSpec(Corner.TOP_RIGHT), None, mark((120, 10))),))
    assert changed(wide, plain) == (0, 0, 96, 10)
    outside = run(convert, DARKNESS, watermarks=(WatermarkSpec(PlaceSpec(dx=100), None, mark()),))
    assert changed(outside, plain) is None
    assert outside.warnings == ("targets[0].video.filter_video.watermarks[0]: lies outside of the picture, which is 96x64",)


@pytest.mark.sample(every=4)
@pytest.mark.parametrize(
    ("begin_us", "duration_us", "pictures"),
    [(0, 0, range(25)), (200_000, 400_000, range(5, 15)), (210_000, 400_000, range(6, 16)), (800_000, 0, range(20, 25))],
)
def test_windows_are_exact_to_the_picture(
    convert: Converter, mark: Marker, begin_us: int, duration_us: int, pictures: range
) -> None:
    """A picture is in it if it is shown at or after its begin and before its end; the others are bit for bit untouched."""
    place = PlaceSpec(start_us=begin_us, duration_us=duration_us)
    specs = {
        "watermarks": (WatermarkSpec(place, None, mark()),),
        "delogos": (DelogoSpec(replace(place, dx=40, dy=30), 30, 20),),
    }
    plain = run(convert, NOISE)
    for kind, spec in specs.items():
        result = run(convert, NOISE, **{kind: spec})
        assert [number for number in range(25) if changed(result, plain, number)] == list(pictures)


def test_windows_are_of_the_output_when_it_is_slowed_down(convert: Converter, mark: Marker) -> None:
    """At half speed the second of the source lasts two of the output."""
    spec = WatermarkSpec(PlaceSpec(start_us=1_000_000, duration_us=400_000), None, mark())
    result, plain = run(convert, NOISE, speed=Fraction(1, 2), watermarks=(spec,)), run(convert, NOISE, speed=Fraction(1, 2))
    times = [float(time) for number, time in enumerate(judge.times(result.path)) if changed(result, plain, number)]
    assert times == pytest.approx([1.04, 1.12, 1.2, 1.28, 1.36])


WHITE_203_PQ = 64 + 876 * 0.5807  # BT.2408: graphics white is a PQ signal of 58 %
WHITE_203_HLG = 64 + 876 * 0.75  # and one of 75 % in HLG


@pytest.mark.sample(every=2)
@pytest.mark.parametrize(
    ("codec", "pixel_format", "colours", "white", "red"),
    [
        ("h264", "yuv420p", {"color_space": 6}, 235, (81, 90, 240)),
        ("h264", "yuv420p", {"color_space": 1}, 235, (63, 102, 240)),
        ("h264", "yuv422p", {"color_space": 1}, 235, (63, 102, 240)),
        ("h264", "yuv444p", {"color_space": 1, "color_range": 2}, 255, (54, 99, 255)),
        ("h264", "yuv420p10le", {"color_space": 1}, 940, (250, 409, 960)),
        ("h265", "yuv422p10le", {"color_space": 9}, 940, (294, 387, 960)),
        (
            "h265",
            "yuv420p10le",
            {"color_space": 9, "color_transfer": 16, "color_primaries": 9},
            WHITE_203_PQ,
            (393, 435, 607),
        ),
        ("h265", "yuv420p10le", {"color_space": 9, "color_transfer": 18, "color_primaries": 9}, WHITE_203_HLG, None),
    ],
)
def test_colours_are_right_in_every_kind_of_output(
    convert: Converter,
    mark: Marker,
    codec: str,
    pixel_format: str,
    colours: dict[str, int],
    white: float,
    red: tuple[int, int, int] | None,
) -> None:
    """White is white, and red has the numbers that the output's matrix and range give it; HDR shows white at 203 cd/m²."""
    deep = "libx265" if pixel_format.endswith("10le") else "libx264"
    clip = Clip("mp4", (Video(deep, SIZE, pattern="black", seconds=0.12, pixel_format=pixel_format, **colours),), ())  # type: ignore[arg-type]
    marks = (
        WatermarkSpec(TOP_LEFT, None, mark((20, 16), (255, 255, 255, 255))),
        WatermarkSpec(PlaceSpec(dx=40), None, mark((20, 16))),
    )
    result = convert(clip, target("mp4", encoded(codec, crf=4, watermarks=marks), None))
    assert result.plan.targets[0].streams[0].video.pixel_format == pixel_format  # type: ignore[union-attr]
    plan = judge.planes(result.path, pixel_format)
    step = [96 // plane.shape[2] for plane in plan]
    neutral = 512 if deep == "libx265" else 128
    near = neutral / 128 * 2

    def at(x: int) -> list[float]:
        return [float(plane[0][8 // (64 // plane.shape[1]), x // across]) for plane, across in zip(plan, step, strict=True)]

    assert at(10) == pytest.approx([white, neutral, neutral], abs=near)
    if red:
        assert at(50) == pytest.approx(red, abs=near)


def test_a_half_transparent_picture_mixes(convert: Converter, mark: Marker) -> None:
    """In the proportion of its alpha, and the later watermark lies over the earlier one."""
    white = WatermarkSpec(TOP_LEFT, None, mark((20, 10), (255, 255, 255, 128)))
    black = WatermarkSpec(PlaceSpec(dx=10), None, mark((20, 10), (0, 0, 0, 255)))
    shown = luma(run(convert, DARKNESS, watermarks=(white, black)))[0]
    assert shown[5, 5] == pytest.approx(DARK + (235 - DARK) * 128 / 255, abs=2)
    assert shown[5, 15] == pytest.approx(16, abs=1)


def test_the_transparency_of_a_video_stays_and_is_covered(convert: Converter, mark: Marker) -> None:
    """On a clear part of a video a watermark is opaque; beside it the video stays clear."""
    clip = Clip("matroska", (Video("ffv1", SIZE, pattern="black", seconds=0.12, pixel_format="yuva420p"),), ())
    spec = WatermarkSpec(TOP_LEFT, None, mark((20, 16), (255, 255, 255, 128)))
    video = encoded("vp9", crf=4, pixel_format="yuva420p")
    plain, result = (convert(clip, target("webm", replace(video, watermarks=marks), None)) for marks in ((), (spec,)))
    before, after = (judge.planes(results.path, "yuva420p", "libvpx-vp9") for results in (plain, result))
    assert before[3][0].max() in (0, 255)
    under = int(before[3][0][0, 0])
    assert after[3][0][40:, 40:].tolist() == before[3][0][40:, 40:].tolist()
    assert after[3][0][4, 4] == pytest.approx(128 + under * 127 / 255, abs=3)
    expected = 235 if not under else DARK + (235 - DARK) * 128 / 255
    assert after[0][0][4, 4] == pytest.approx(expected, abs=4)


def film(path: Path, codec: str, pixel_format: str, form: str, options: dict[str, str]) -> str:
    """Four pictures, a quarter of a second each: grey levels that rise, the left half clear."""
    with av.open(str(path), "w", format=form) as container:
        stream: Any = container.add_stream(codec, rate=4, options=options)
        stream.width, stream.height, stream.pix_fmt = 32, 16, pixel_format
        for number in range(4):
            rgba = np.zeros((16, 32, 4), np.uint8)
            rgba[:, 16:] = (*[60 * number + 60] * 3, 255)
            frame = av.VideoFrame.from_ndarray(rgba, format="rgba").reformat(format=pixel_format)
            frame.pts, frame.time_base = number, Fraction(1, 4)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return str(path)


FILMS = [
    ("qtrle", "argb", "mov", {}),
    ("png", "rgba", "mov", {}),
    ("prores_ks", "yuva444p10le", "mov", {"profile": "4444"}),
    ("libvpx-vp9", "yuva420p", "webm", {"auto-alt-ref": "0", "crf": "4", "b": "0"}),
]


@pytest.mark.parametrize(("codec", "pixel_format", "form", "options"), FILMS)
def test_a_film_plays_once_from_its_begin_and_its_last_picture_stays(
    convert: Converter, tmp_path: Path, codec: str, pixel_format: str, form: str, options: dict[str, str]
) -> None:
    """With its transparency, whatever the codec."""
    if codec not in av.codecs_available:
        pytest.skip("no encoder to make it with")
    clip = Clip("mp4", (Video(pattern="black", size=SIZE, seconds=2),), ())
    uri = film(tmp_path / f"mark.{form}", codec, pixel_format, form, options)
    place = PlaceSpec(start_us=200_000, duration_us=1_600_000)
    shown = luma(run(convert, clip, watermarks=(WatermarkSpec(place, None, uri),)))[:, 8]
    levels = [16 + level * 219 / 255 for level in (60, 120, 180, 240)]
    expected = [DARK] * 5 + [levels[min(3, int((number - 5) / 25 * 4))] for number in range(5, 45)] + [DARK] * 5
    assert shown[:, 24].tolist() == pytest.approx(expected, abs=4)
    assert shown[:, 8].tolist() == pytest.approx([DARK] * 50, abs=4)


@pytest.mark.parametrize(
    ("rotation", "size", "levels"),
    [(90, (16, 32), (100, 200, 50, 150)), (180, (32, 16), (50, 100, 150, 200)), (270, (16, 32), (150, 50, 200, 100))],
)
@pytest.mark.parametrize(("codec", "pixel_format"), [("libx264", "yuv420p"), ("png", "rgba")])
def test_a_turned_film_is_upright(
    convert: Converter, rotation: int, size: tuple[int, int], levels: tuple[int, ...], codec: str, pixel_format: str
) -> None:
    """The file's own rotation is applied before it is placed."""
    turned = Video(codec, (32, 16), pattern="quarters", seconds=0.2, rotation=rotation, pixel_format=pixel_format)
    source = convert.shelf.get(Clip("mov", (turned,), ()))
    result = run(convert, DARKNESS, watermarks=(WatermarkSpec(TOP_LEFT, None, str(source)),))
    assert changed(result, run(convert, DARKNESS)) == (0, 0, *size)
    shown = luma(result)[0]
    corners = [int(shown[y, x]) for y in (size[1] // 4, size[1] * 3 // 4) for x in (size[0] // 4, size[0] * 3 // 4)]
    assert corners == pytest.approx(levels, abs=6)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("size", [{}, {"width": 64, "height": 32}])
def test_overlays_are_not_turned_with_the_video(convert: Converter, mark: Marker, rotation: int, size: dict[str, int]) -> None:
    """They come after rotation and scaling, in the output's own pixels."""
    settings = {"rotation": rotation, **size}
    spec = WatermarkSpec(PlaceSpec(dx=4, dy=2), None, mark())
    result, plain = run(convert, NOISE, watermarks=(spec,), **settings), run(convert, NOISE, **settings)
    assert changed(result, plain) == (4, 2, 20, 10)


def test_wide_pixels_do_not_make_a_mark_wide(convert: Converter, mark: Marker) -> None:
    """What is shown twice as wide is drawn half as wide; heights and asked widths stay."""
    clip = Clip("mp4", (Video(pattern="black", size=SIZE, seconds=0.12, sample_aspect_ratio=Fraction(2)),), ())
    plain = run(convert, clip)
    assert changed(run(convert, clip, watermarks=(WatermarkSpec(TOP_LEFT, None, mark()),)), plain) == (0, 0, 10, 10)
    text = WatermarkSpec(TOP_LEFT, TextSpec("W", size=40, color="#ffffff"))
    narrow = changed(run(convert, clip, watermarks=(text,)), plain)
    square = changed(run(convert, DARKNESS, watermarks=(text,)), run(convert, DARKNESS))
    assert narrow and square
    assert narrow[3] == square[3]
    assert narrow[2] == pytest.approx(square[2] / 2, abs=2)


def text_of(convert: Converter, **settings: Any) -> tuple[NDArray[np.integer], Converted]:
    """The luma of a picture with a text."""
    place = settings.pop("place", PlaceSpec(dx=3, dy=3))
    text = TextSpec(**{"content": "MII", "size": 24, "color": "#ffffff", **settings})
    result = run(convert, DARKNESS, watermarks=(WatermarkSpec(place, text),))
    return luma(result)[0], result


@pytest.mark.parametrize("corner", Corner)
def test_the_ink_of_a_text_begins_at_its_place(convert: Converter, corner: Corner) -> None:
    """Its outermost pixels are as far from the edges as asked."""
    _, result = text_of(convert, place=PlaceSpec(corner, 3, 5))
    box = changed(result, run(convert, DARKNESS))
    assert box
    x, y, width, height = box
    gaps = {
        Corner.TOP_LEFT: (x, y),
        Corner.TOP_RIGHT: (SIZE[0] - x - width, y),
        Corner.BOTTOM_RIGHT: (SIZE[0] - x - width, SIZE[1] - y - height),
        Corner.BOTTOM_LEFT: (x, SIZE[1] - y - height),
    }
    assert gaps[corner] == pytest.approx((3, 5), abs=1)  # the faintest pixels of an edge may change nothing
    assert 14 <= height <= 22  # capitals of an em of 24 pixels


def test_a_text_has_its_opacity_its_border_and_its_colours(convert: Converter) -> None:
    """Levels of the letters and around them."""
    opaque, _ = text_of(convert)
    faint, _ = text_of(convert, opacity=0.5)
    assert opaque.max() == pytest.approx(235, abs=2)
    assert faint.max() == pytest.approx(DARK + (235 - DARK) / 2, abs=2)
    bordered, result = text_of(convert, color="#000000", border_width=4, border_color="#ffffff")
    plain, _ = text_of(convert, color="#000000")
    assert bordered.max() == pytest.approx(235, abs=2)
    assert bordered.min() == pytest.approx(16, abs=2)
    assert plain.max() == DARK
    box, narrow = (changed(results, run(convert, DARKNESS)) for results in (result, text_of(convert)[1]))
    assert box and narrow
    assert box[2] - narrow[2] == pytest.approx(8, abs=2)


def test_lines_stand_below_each_other_and_fonts_are_of_their_weight(convert: Converter) -> None:
    """A line feed begins a line; Bold has more ink than Regular."""
    one, two = (changed(text_of(convert, content=words, size=16)[1], run(convert, DARKNESS)) for words in ("II", "II\nII"))
    assert one and two
    assert two[3] - one[3] == pytest.approx(16 * 1.448, abs=2)
    regular, bold = (text_of(convert, font=f"SourceHanSans-{weight}")[0] for weight in ("Regular", "Bold"))
    assert (bold > 150).sum() > 1.3 * (regular > 150).sum()


def test_what_no_font_has_is_told_and_left_out(convert: Converter) -> None:
    """The characters, their script, and the font that was looked for."""
    shown, result = text_of(convert, content="I𒀀I")
    (warning,) = result.warnings
    assert "targets[0]" in warning and "U+12000" in warning and "Cuneiform" in warning and "SourceHanSans-Regular" in warning
    assert (shown == text_of(convert, content="II")[0]).all()


@pytest.mark.parametrize(("corner", "columns"), [(Corner.TOP_LEFT, slice(SIZE[0])), (Corner.TOP_RIGHT, slice(-SIZE[0], None))])
def test_of_a_text_that_does_not_fit_what_lies_at_its_corner_is_seen(
    convert: Converter, corner: Corner, columns: slice
) -> None:
    """And the task says so; what would need gigabytes is refused."""
    text = TextSpec("MMMMMMMIIIIIIIIIIM", size=24, color="#ffffff")
    shown, result = text_of(convert, content=text.content, place=PlaceSpec(corner))
    assert [len(result.warnings), "does not fit" in result.warnings[0]] == [1, True]
    ink = draw_text(text, corner, (4096, 4096), Fraction(1), pytest.fail)[:, columns, 3]
    assert np.abs(shown[: ink.shape[0]] - (DARK + ink / 255 * (235 - DARK))).max() <= 2
    with pytest.raises(MediaLimitExceeded):
        draw_text(TextSpec("M" * 1000, size=119, border_width=1000), corner, (4096, 4096), Fraction(1), print)


def test_an_empty_text_is_told(convert: Converter) -> None:
    """It is the contract's default, and draws nothing."""
    _, result = text_of(convert, content=" ")
    assert result.warnings == ("targets[0].video.filter_video.watermarks[0]: draws nothing, as its content is empty",)


def test_a_broken_or_wrong_file_fails_the_task_and_is_named(convert: Converter, mark: Marker, tmp_path: Path) -> None:
    """As every file of strangers it is opened with care."""
    wrong = {
        "empty.png": (b"", InvalidMedia),
        "words.png": (b"no picture at all", InvalidMedia),
        "list.mov": (b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n", ReelmillError),
        "sound.wav": (_wave(), InvalidMedia),
        "cut.png": (Path(mark((300, 300), (1, 2, 3, 4))).read_bytes()[:60], ReelmillError),
    }
    for name, (content, error) in wrong.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(error) as raised:
            run(convert, DARKNESS, watermarks=(WatermarkSpec(TOP_LEFT, None, str(path)),))
        assert name in str(raised.value)
        assert not isinstance(raised.value, UnsupportedFormat) or name == "list.mov"


def _wave() -> bytes:
    """A second of silence."""
    return b"RIFF$\x3e\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\0\x3e\0\0" + bytes(16000)


def slope(width: int, height: int) -> NDArray[np.float64]:
    """What a delogo should leave: luma that rises evenly across and down."""
    down, across = np.mgrid[:height, :width]
    return 40 + across * 1.0 + down * 0.8


@pytest.fixture(scope="module")
def sloped(convert: Converter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slope with a white bar of 24x12 at (30, 20), one in each corner and one along the whole bottom."""
    path = tmp_path_factory.mktemp("sloped") / "sloped.mkv"
    picture = slope(*SIZE)
    picture[20:32, 30:54] = 235
    picture[:8, :8] = picture[56:] = 235
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for number in range(5):
            frame = av.VideoFrame(*SIZE, "yuv420p")
            for plane, values in zip(frame.planes, (picture, np.full((32, 48), 90), np.full((32, 48), 160)), strict=True):
                rows = np.zeros((plane.height, plane.line_size), np.uint8)
                rows[:, : plane.width] = values
                plane.update(rows.tobytes())
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("box", "largest"),
    [
        (Box(30, 20, 24, 12), 1.5),  # inside: a slope is what a membrane over its rim is
        (Box(29, 19, 27, 15), 1.5),  # odd edges
        (Box(0, 0, 8, 8), 11),  # in a corner: half of the rim is not there
        (Box(0, 56, 96, 8), 13),  # along an edge: three sides are not there
    ],
)
def test_a_delogo_leaves_what_the_surroundings_promise(convert: Converter, sloped: Path, box: Box, largest: float) -> None:
    """The bar is gone, no edge is seen, nothing outside of the rectangle has changed, and its colour stays."""
    spec = DelogoSpec(PlaceSpec(dx=box.x, dy=box.y), box.width, box.height)
    result, plain = (convert(sloped, target("mp4", lossless(delogos=specs), None)) for specs in ((spec,), ()))
    assert result.plan.targets[0].streams[0].overlays == (DelogoPlan(box),)
    after, before = (judge.planes(results.path, "yuv420p") for results in (result, plain))
    inside = np.zeros((SIZE[1], SIZE[0]), bool)
    inside[box.y : box.y + box.height, box.x : box.x + box.width] = True
    assert (after[0][3][~inside] == before[0][3][~inside]).all()
    assert np.abs(after[0][3] - slope(*SIZE))[inside].max() <= largest
    assert after[1][3].min() == after[1][3].max() == 90


def test_a_delogo_of_the_whole_picture_blurs_it(convert: Converter) -> None:
    """There are no surroundings: only the coarse remains."""
    result, plain = run(convert, NOISE, delogos=(DelogoSpec(),)), run(convert, NOISE)
    fine = [float(np.abs(np.diff(luma(results)[3].astype(int), axis=1)).mean()) for results in (result, plain)]
    assert fine[0] < fine[1] / 5
    assert luma(result)[3].mean() == pytest.approx(luma(plain)[3].mean(), abs=2)


def test_delogos_come_before_watermarks(convert: Converter, mark: Marker) -> None:
    """Whatever their order, a watermark over a filled rectangle is whole."""
    specs = {"delogos": (DelogoSpec(width=40, height=30),), "watermarks": (WatermarkSpec(TOP_LEFT, None, mark()),)}
    assert (luma(run(convert, NOISE, **specs))[3][:10, :20] == 81).all()


def test_overlays_keep_times_durations_and_key_frames(convert: Converter, mark: Marker) -> None:
    """Variable rates, too."""
    times = (Fraction(0), Fraction(1, 10), Fraction(3, 10), Fraction(4, 10), Fraction(9, 10))
    clip = Clip("mp4", (Video(pattern="black", times=times, last=Fraction(1, 2)),), ())
    marked = WatermarkSpec(TOP_LEFT, None, mark())
    specs: Sequence[tuple[WatermarkSpec, ...]] = ((), (marked,))
    plain, result = (judge.packets(run(convert, clip, gop_size=2, watermarks=each).path) for each in specs)
    assert [(unit.pts, unit.duration, unit.key) for unit in result] == [(unit.pts, unit.duration, unit.key) for unit in plain]


@pytest.mark.parametrize("pixel_format", ["nv12", "p010le"])
def test_what_hardware_encoders_take_is_drawn_on_as_everything_else(pixel_format: str) -> None:
    """Both chromas in one plane: the same picture as in planes of their own, within the rounding to 10 bits."""
    planar = {"nv12": "yuv420p", "p010le": "yuv420p10le"}[pixel_format]
    rgba = np.zeros((20, 30, 4), np.uint8)
    rgba[..., 0], rgba[..., 3] = 255, np.linspace(0, 255, 30)
    drawn = []
    for name in (pixel_format, planar):
        video = VideoOutput(64, 48, name, Fraction(1, 25), Fraction(25), color_space=1)
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), (60, 120, 180), np.uint8), "rgb24").reformat(format=name)
        Bitmap(rgba, 7, 5, video).draw(frame)
        Delogo(Box(40, 30, 11, 9), video).draw(frame)
        drawn.append(frame.reformat(format=planar).to_ndarray().astype(int))
    assert np.abs(drawn[0] - drawn[1]).max() <= 1
