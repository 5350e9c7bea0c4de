"""Animated pictures: which frames, how fast, how often, and how they look."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reelmill_server.media.image import animations
from reelmill_server.model.image_request import FramesSpec, ImageKind, ImageSpec
from reelmill_server.model.task import ArtifactKind
from tests import judge
from tests.media.converter import Converted, Converter
from tests.media.test_snapshots import FILM, SECOND, alone, made
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
            luma = np.asarray(image.convert("L"))
            shown.append((judge.number_of(luma), float(image.info["duration"]) / 1000))
    return shown


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


@pytest.mark.parametrize("rate", [120, 240])
def test_gif_leaves_out_pictures_that_are_shown_for_less_than_a_hundredth(convert: Converter, rate: int) -> None:
    """The others are shown in time."""
    converted = convert(FILM, alone(animation("gif", frame_rate=Fraction(rate))))
    shown = played(converted)
    assert len(shown) == round(100 / rate * 100)
    assert [number for number, _ in shown] == sorted({number for number, _ in shown})
    assert sum(duration for _, duration in shown) == pytest.approx(100 / rate, abs=0.02)
    assert min(duration for _, duration in shown) == 0.01


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
