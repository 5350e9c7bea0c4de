"""Sizes and shapes, as numbers."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelmill_server.model.media_info import VideoStreamInfo
from reelmill_server.model.request import VideoSpec
from reelmill_server.model.sizes import ScaleType
from reelmill_server.plan.stream.geometry import chroma_steps, displayed_size, plan_geometry


def stream(width: int, height: int, rotation: int = 0, sar: Fraction = Fraction(0)) -> VideoStreamInfo:
    """A video of this size."""
    return VideoStreamInfo(0, "h264", width=width, height=height, rotation=rotation, sample_aspect_ratio=sar)


@pytest.mark.parametrize(
    ("source", "turned", "size"),
    [
        (stream(1920, 1080), 0, (1920, 1080)),
        (stream(1920, 1080, 90), 0, (1080, 1920)),
        (stream(1920, 1080, 90), 90, (1920, 1080)),
        (stream(720, 576, sar=Fraction(64, 45)), 0, (1024, 576)),
        (stream(720, 576, sar=Fraction(64, 45)), 270, (576, 1024)),
    ],
)
def test_the_size_shown_has_square_pixels_and_counts_rotations(
    source: VideoStreamInfo, turned: int, size: tuple[int, int]
) -> None:
    """As a viewer sees it."""
    assert displayed_size(source, turned) == size


@pytest.mark.parametrize(
    ("spec", "source", "size", "filters"),
    [
        (VideoSpec(), stream(640, 480), (640, 480), ()),
        (VideoSpec(rotation=90), stream(640, 480), (480, 640), ("transpose=clock",)),
        (VideoSpec(rotation=270), stream(640, 480, 270), (640, 480), ("hflip", "vflip")),
        (VideoSpec(rotation=90), stream(640, 480, 270), (640, 480), ()),
        (VideoSpec(), stream(641, 481), (640, 480), ("crop=640:480:0:0",)),
        (VideoSpec(width=320), stream(640, 480), (320, 480), ("scale=320:480:flags=bicubic", "setsar=1")),
        (VideoSpec(height=240), stream(640, 480), (640, 240), ("scale=640:240:flags=bicubic", "setsar=1")),
        (
            VideoSpec(width=1280, height=720, adaptive_direction=True),
            stream(1080, 1920),
            (720, 1280),
            ("scale=720:1280:flags=bicubic", "setsar=1"),
        ),
        (
            VideoSpec(width=1280, adaptive_direction=True),
            stream(1080, 1920),
            (1080, 1280),
            ("scale=1080:1280:flags=bicubic", "setsar=1"),
        ),
        (
            VideoSpec(width=300, height=300, scale_type=ScaleType.FILL),
            stream(640, 480),
            (300, 300),
            ("scale=300:224:flags=bicubic", "pad=300:300:-1:-1:black", "setsar=1"),
        ),
        (
            VideoSpec(width=300, height=300, scale_type=ScaleType.CROP),
            stream(640, 480),
            (300, 300),
            ("scale=400:300:flags=bicubic", "crop=300:300", "setsar=1"),
        ),
        (
            VideoSpec(width=300, height=300, scale_type=ScaleType.FIT),
            stream(640, 480, 90),
            (224, 300),
            ("transpose=clock", "scale=224:300:flags=bicubic", "setsar=1"),
        ),
    ],
)
def test_a_size_becomes_filters(
    spec: VideoSpec, source: VideoStreamInfo, size: tuple[int, int], filters: tuple[str, ...]
) -> None:
    """Turn, then scale, then cut or pad."""
    geometry = plan_geometry(spec, source, "yuv420p")
    assert ((geometry.width, geometry.height), geometry.filters) == (size, filters)


@pytest.mark.parametrize(
    ("pixel_format", "size"), [("yuv420p", (98, 64)), ("yuv422p10le", (98, 65)), ("yuv444p", (99, 65)), ("gray", (99, 65))]
)
def test_sides_fit_the_chroma(pixel_format: str, size: tuple[int, int]) -> None:
    """4:2:0 halves both sides, 4:2:2 one."""
    geometry = plan_geometry(VideoSpec(), stream(99, 65), pixel_format)
    assert (geometry.width, geometry.height) == size
    assert bool(geometry.warnings) == (size != (99, 65))


@pytest.mark.parametrize(
    ("rotation", "expected"), [(0, Fraction(16, 11)), (90, Fraction(11, 16)), (180, Fraction(16, 11)), (270, Fraction(11, 16))]
)
def test_pixels_turn_with_the_picture(rotation: int, expected: Fraction) -> None:
    """Without a size pixels keep their shape."""
    assert (
        plan_geometry(VideoSpec(rotation=rotation), stream(720, 576, sar=Fraction(16, 11)), "yuv420p").sample_aspect_ratio
        == expected
    )


SIDES = st.integers(1, 4096)


@given(
    source=st.tuples(SIDES, SIDES),
    asked=st.tuples(SIDES, SIDES),
    scale_type=st.sampled_from(ScaleType),
    rotation=st.sampled_from([0, 90, 180, 270]),
    sar=st.sampled_from([Fraction(0), Fraction(16, 11), Fraction(64, 45), Fraction(1, 2)]),
    pixel_format=st.sampled_from(["yuv420p", "yuv422p", "yuv444p"]),
)
def test_every_size_is_one_that_an_encoder_takes(
    source: tuple[int, int],
    asked: tuple[int, int],
    scale_type: ScaleType,
    rotation: int,
    sar: Fraction,
    pixel_format: str,
) -> None:
    """Whatever is asked of whatever source: sides are positive multiples of what chroma needs, within the box but for FIT."""
    spec = VideoSpec(width=asked[0], height=asked[1], scale_type=scale_type)
    geometry = plan_geometry(spec, stream(*source, rotation, sar), pixel_format)
    steps = chroma_steps(pixel_format)
    assert geometry.width > 0 < geometry.height
    assert (geometry.width % steps[0], geometry.height % steps[1]) == (0, 0)
    assert geometry.width <= asked[0] + steps[0]
    assert geometry.height <= asked[1] + steps[1]
    if scale_type is not ScaleType.FIT:
        assert abs(geometry.width - asked[0]) < steps[0]
        assert abs(geometry.height - asked[1]) < steps[1]
