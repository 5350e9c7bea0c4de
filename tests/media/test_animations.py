"""Animated pictures: which frames, how fast, how often, and how they look."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from reelmill_server.media.image import animations
from reelmill_server.model.image_request import FramesSpec, ImageKind, ImageSpec
from reelmill_server.model.task import ArtifactKind
from tests import judge
from tests.media.chunked import Chunked
from tests.media.converter import Converted, Converter, encoded, target
from tests.media.test_snapshots import FILM, SECOND, alone, made, snapshots
from tests.sources import Clip, Video

FORMATS = ["gif", "webp", "apng", "avif"]


def animation(form: str, **asked: Any) -> ImageSpec:
    """An entry of animations; what is no field of it is one of its frames."""
    own = {name: asked.pop(name) for name in ("width", "height", "scale_type", "frame_rate") if name in asked}
    return ImageSpec(ImageKind.ANIMATION, 0, "file:///out/moving", form, FramesSpec(**asked), **own)


def played(converted: Converted) -> list[tuple[int, float]]:
    """The number and the seconds of each stored picture, as another library than the one that made most formats reads them."""
    (path,) = made(converted, ArtifactKind.ANIMATION)
    shown = []
    with Image.open(path) as image:
        for place in range(getattr(image, "n_frames", 1)):
            image.seek(place)
            luma = np.asarray(image.convert("L"))  # loads it, which tells its duration
            shown.append((judge.number_of(luma), float(image.info["duration"]) / 1000))
    return shown


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "asked, numbers, seconds",
    [
        ({"interval_us": SECOND // 2}, [0, 12, 25, 37, 50, 62, 75, 87], 0.5),
        ({"interval_us": SECOND // 2, "frame_rate": Fraction(10), "number": 4}, [0, 12, 25, 37], 0.1),
        ({"start_us": 2 * SECOND, "number": 5}, [50, 51, 52, 53, 54], 0.04),
    ],
    ids=["in time", "faster", "every frame"],
)
def test_frames_and_rate(convert: Converter, form: str, asked: dict[str, Any], numbers: list[int], seconds: float) -> None:
    """One every interval, at 1/interval or the asked rate; without an interval every frame at the source's."""
    converted = convert(FILM, alone(animation(form, **asked)))
    assert [number for number, _ in played(converted)] == numbers
    assert [duration for _, duration in played(converted)] == pytest.approx([seconds] * len(numbers), abs=0.0011)
    assert converted.artifact.duration_seconds == pytest.approx(seconds * len(numbers))
    assert converted.artifact.frame_times == tuple(number / 25 for number in numbers)


@pytest.mark.parametrize("form", FORMATS)
def test_animations_repeat_for_ever(convert: Converter, form: str) -> None:
    """The loop count of each format says so."""
    converted = convert(FILM, alone(animation(form, number=3)))
    (path,) = made(converted, ArtifactKind.ANIMATION)
    if form != "avif":  # whose sequences have no such word here
        with Image.open(path) as image:
            assert image.info["loop"] == 0
    assert path.name == f"moving_0_1.{form}"


def test_gif_hundredths_do_not_add_up_to_an_error(convert: Converter) -> None:
    """30 pictures a second are 3, 3 and 4 hundredths in turn: after a second the clock is right."""
    clip = Clip("mp4", (Video(seconds=2, fps=Fraction(30), gop=30),), ())
    converted = convert(clip, alone(animation("gif")))
    durations = [duration for _, duration in played(converted)]
    assert len(durations) == 60
    assert sum(durations) == pytest.approx(2, abs=0.02)
    assert set(np.round(durations, 3)) <= {0.03, 0.04}


@pytest.mark.parametrize("rate", [60, 100, 240])
def test_gif_leaves_out_pictures_that_browsers_would_slow_down(convert: Converter, rate: int) -> None:
    """Each is shown for two hundredths of a second or more, in time, and a warning says that others are left out."""
    converted = convert(FILM, alone(animation("gif", frame_rate=Fraction(rate))))
    shown = played(converted)
    assert [number for number, _ in shown] == sorted({number for number, _ in shown})
    assert min(duration for _, duration in shown) >= 0.02
    assert sum(duration for _, duration in shown) == pytest.approx(100 / rate, abs=0.011)
    assert len(shown) == len(converted.artifact.frame_times) >= 100 / rate * 100 / 3 - 1
    assert any("of more than 50 a second" in text for text in converted.warnings)


SLIDES = Clip(
    "matroska", (Video(times=tuple(Fraction(time, 10) for time in (0, 1, 3, 4, 25)), last=Fraction(3, 2), gop=5),), ()
)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "source, asked, expected",
    [
        ({}, {}, [(0, 0.1), (1, 0.2), (2, 0.1), (3, 2.1), (4, 1.5)]),
        ({}, {"number": 4}, [(0, 0.1), (1, 0.2), (2, 0.1), (3, 2.1)]),
        ({}, {"start_us": SECOND}, [(3, 1.5), (4, 1.5)]),
        ({"start": 1, "duration": 2}, {}, [(3, 1.5), (4, 0.5)]),
    ],
    ids=["whole", "some", "from within a pause", "a cut"],
)
def test_pictures_of_unequal_length_are_shown_as_long_as_in_the_source(
    convert: Converter, form: str, source: dict[str, float], asked: dict[str, Any], expected: list[tuple[int, float]]
) -> None:
    """The last one, too; nothing after it could tell."""
    converted = convert(SLIDES, alone(animation(form, **asked)), **source)  # type: ignore[arg-type]
    shown = played(converted)
    assert [number for number, _ in shown] == [number for number, _ in expected]
    assert [duration for _, duration in shown] == pytest.approx([duration for _, duration in expected], abs=0.0011)
    assert converted.artifact.duration_seconds == pytest.approx(sum(duration for _, duration in expected), abs=0.0011)


@pytest.fixture(scope="module")
def chunked(convert: Converter, tmp_path_factory: pytest.TempPathFactory) -> Chunked:
    """Converts in chunks."""
    return Chunked(convert, lambda: tmp_path_factory.mktemp("chunked"))


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("asked", [{}, {"number": 30}], ids=["all", "some"])
def test_chunks_keep_the_lengths_of_pictures(convert: Converter, chunked: Chunked, asked: dict[str, Any]) -> None:
    """What follows a picture may lie in the next chunk."""
    times = tuple(Fraction(number, 10) + (number > 20) + Fraction(number > 35, 3) for number in range(48))
    clip = Clip("mp4", (Video(times=times, last=Fraction(2), gop=4),), ())
    wanted = replace(target("mp4", encoded(), None), images=(animation("apng", **asked),))
    one, many = convert(clip, wanted), chunked(clip, wanted)
    assert played(many) == played(one)
    assert [seconds for _, seconds in played(one)][20] == pytest.approx(1.1, abs=0.002)


@pytest.mark.parametrize("asked", [{"interval_us": SECOND}, {"number": 1}], ids=["every second", "the first"])
def test_a_cut_within_a_pause_has_the_frame_on_screen(convert: Converter, asked: dict[str, Any]) -> None:
    """Of single images as of animations."""
    converted = convert(SLIDES, alone(snapshots("png", **asked)), start=1, duration=1)
    (path,) = made(converted)
    with Image.open(path) as image:
        assert judge.number_of(np.asarray(image.convert("L"))) == 3
    assert converted.artifact.frame_times == (0,)


@pytest.mark.parametrize("alpha", [False, True], ids=["opaque", "transparent"])
def test_webp_shows_nothing_of_earlier_pictures(convert: Converter, tmp_path: Path, alpha: bool) -> None:
    """A slow fade differs by one shade from picture to picture; what becomes transparent does not stay either."""
    path, frames = tmp_path / "fade.mkv", []
    with av.open(str(path), "w", format="matroska") as output:
        stream = output.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 63, 47, "bgra"
        for number in range(60):
            samples = np.full((47, 63, 4), 255, np.uint8)
            samples[9:30, 11 + number // 2 : 30 + number // 2, :3] = 60 + 2 * number
            samples[:, : number // 2, 3] = 0 if alpha else 255
            frames.append(samples)
            frame = av.VideoFrame.from_ndarray(samples, "rgba").reformat(format="bgra")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    (made_path,) = made(convert(path, alone(animation("webp"))), ArtifactKind.ANIMATION)
    with Image.open(made_path) as image:
        assert getattr(image, "n_frames") == 60  # noqa: B009
        for place, samples in enumerate(frames):
            image.seek(place)
            shown = np.asarray(image.convert("RGBA"))
            assert (shown[..., 3] == samples[..., 3]).all()
            seen = samples[..., 3] > 0
            assert judge.psnr(shown[seen][:, :3], samples[seen][:, :3]) >= 34


def test_avif_milliseconds_do_not_add_up_to_an_error(convert: Converter) -> None:
    """30 pictures a second are 33, 34 and 33 milliseconds in turn: after two seconds the clock is right. One alone is a file
    as well."""
    clip = Clip("mp4", (Video(seconds=2, fps=Fraction(30), gop=30),), ())
    durations = [duration for _, duration in played(convert(clip, alone(animation("avif"))))]
    assert len(durations) == 60
    assert sum(durations) == pytest.approx(2, abs=0.0001)
    assert set(np.round(durations, 3)) == {0.033, 0.034}
    (alone_shown,) = made(convert(clip, alone(animation("avif", number=1))), ArtifactKind.ANIMATION)
    with Image.open(alone_shown) as image:
        assert getattr(image, "n_frames", 1) == 1


@pytest.mark.parametrize("form", FORMATS)
def test_a_slow_source_plays_in_time(convert: Converter, form: str) -> None:
    """A frame that is shown for long is repeated, or shown for as long."""
    clip = Clip("mp4", (Video(seconds=4, fps=Fraction(2), gop=2),), ())
    converted = convert(clip, alone(animation(form, interval_us=SECOND // 5)))
    assert sum(duration for _, duration in played(converted)) == pytest.approx(4, abs=0.21)
    assert len(converted.artifact.frame_times) == 20


@pytest.mark.parametrize("kept", [animations._KEPT_BYTES, 20_000], ids=["one palette", "own palettes"])
def test_gif_looks_like_its_source(convert: Converter, monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    """With one palette for all, and with one for each when memory is short."""
    monkeypatch.setattr(animations, "_KEPT_BYTES", kept)
    clip = Clip("mp4", (Video(seconds=1, pattern="ramp"),), ())
    converted = convert(clip, alone(ImageSpec(ImageKind.ANIMATION, 0, f"file:///out/kept{kept}", "gif", FramesSpec(number=10))))
    (path,) = made(converted, ArtifactKind.ANIMATION)
    got, source = judge.pictures(path, "rgb24"), judge.pictures(convert.shelf.get(clip), "rgb24")
    assert len(got) == 10
    assert judge.psnr(got, source[:10]) > 26  # 256 colours, dithered
    with Image.open(path) as image:
        assert getattr(image, "n_frames") == 10  # noqa: B009 only some formats have it


@pytest.mark.parametrize("form", FORMATS)
def test_size(convert: Converter, form: str) -> None:
    """By pixels and by ratio."""
    converted = convert(FILM, alone(animation(form, number=2, width=31, height=Fraction(1, 2))))
    assert (converted.artifact.width, converted.artifact.height) == (31, 32)
    (path,) = made(converted, ArtifactKind.ANIMATION)
    with Image.open(path) as image:
        assert image.size == (31, 32)


def test_a_gif_of_one_frame_says_how_long_it_is_shown(convert: Converter) -> None:
    """Its delay is the frame's, not the least there is."""
    entry = ImageSpec(ImageKind.ANIMATION, 0, "file:///out/pic", "gif", FramesSpec())
    converted = convert(Clip("mp4", (Video(seconds=0.04),), ()), alone(entry))
    with Image.open(converted.published / converted.artifact.uri.removeprefix("file:///out/")) as image:
        assert image.info["duration"] == 40


def test_frames_of_less_than_a_millisecond_lengthen_no_webp(convert: Converter) -> None:
    """As those of equal times are, one of each pair: each took a millisecond, and the file was refused."""
    pairs = tuple(Fraction(number // 2, 25) + Fraction(number % 2, 10_000) for number in range(120))
    clip = Clip("mp4", (Video("libx264", times=pairs, b_frames=0, time_base=Fraction(1, 90_000)),), ())
    converted = convert(clip, alone(animation("webp")))
    assert converted.artifact.duration_seconds == pytest.approx(float(pairs[-1]) + 1 / 25, abs=0.005)
