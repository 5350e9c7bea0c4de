"""Compute sizes and shapes of frames: where each pixel of the source goes."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from reelmill_server.model.media_info import VideoStreamInfo
from reelmill_server.model.request import VideoSpec
from reelmill_server.model.sizes import ScaleType

_CHROMA_STEPS = {"420": (2, 2), "422": (2, 1), "444": (1, 1)}
_TURNS = {
    (0, False): (),
    (90, False): ("transpose=clock",),
    (180, False): ("hflip", "vflip"),
    (270, False): ("transpose=cclock",),
    (0, True): ("hflip",),
    (90, True): ("transpose=clock_flip",),
    (180, True): ("vflip",),
    (270, True): ("transpose=cclock_flip",),
}


@dataclass(frozen=True)
class Geometry:
    """The output's size in pixels, its sample aspect ratio, the filters that produce it, and warnings."""

    width: int
    height: int
    sample_aspect_ratio: Fraction
    filters: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.width, self.height


def displayed_size(stream: VideoStreamInfo, turned: int = 0) -> tuple[int, int]:
    """Return width and height as displayed, in square pixels, after the stream's own rotation and `turned` further degrees."""
    sar = stream.sample_aspect_ratio or Fraction(1)
    width, height = max(1, round(stream.width * sar)), stream.height
    return (height, width) if (stream.rotation + turned) % 180 else (width, height)


def upright(stream: VideoStreamInfo, turned: int = 0) -> tuple[str, ...]:
    """Return the filters that turn frames of `stream` for display, and rotate them by `turned` degrees more."""
    return _TURNS[(stream.rotation + turned) % 360, stream.mirrored]


def turn_asked(stream: VideoStreamInfo) -> str:
    """Return how the header of `stream` says to turn its frames, in words; empty: not at all."""
    degrees = (stream.rotation + stream.tilt) % 360
    return " and ".join(filter(None, ("mirrored" * stream.mirrored, f"rotated by {degrees}°" * bool(degrees))))


def tilt_warnings(stream: VideoStreamInfo) -> Iterator[str]:
    """Yield what encoding and images leave out of the turn that the header of `stream` asks for."""
    if stream.tilt:
        # ffmpeg turns frames within their size, which cuts corners; players turn by quarters or not at all.
        turned = turn_asked(replace(stream, tilt=0)) or "shown as they are coded"
        yield f"the source's frames are to be {turn_asked(stream)}, of which only multiples of 90° are done: they are {turned}"


def chroma_steps(pixel_format: str) -> tuple[int, int]:
    """Return the numbers of which width and height must be multiples in this pixel format."""
    return next((steps for word, steps in _CHROMA_STEPS.items() if word in pixel_format), (1, 1))


def _whole(value: Fraction | int, step: int) -> int:
    """Return the multiple of `step` nearest to `value`, at least one step."""
    return max(step, round(Fraction(value) / step) * step)


def asked_size(spec: VideoSpec, width: int, height: int) -> tuple[int, int]:
    """Return the requested size; a missing side is the source's.

    With `adaptive_direction` long and short side are assigned by the orientation of the source.
    """
    if spec.adaptive_direction:
        long, short = spec.width or max(width, height), spec.height or min(width, height)
        return (long, short) if width >= height else (short, long)
    return spec.width or width, spec.height or height


def plan_geometry(spec: VideoSpec, stream: VideoStreamInfo, pixel_format: str) -> Geometry:
    """Return how the frames of `stream` get the size and orientation that `spec` requests.

    The rotations of source and request are applied first; then, only if a size is requested, frames are scaled to it in
    square pixels. Otherwise coded size and sample aspect ratio stay. Sides are rounded to what the pixel format supports.
    """
    turn = (stream.rotation + spec.rotation) % 360
    rotate = upright(stream, spec.rotation)
    steps = chroma_steps(pixel_format)
    if spec.width or spec.height:
        return _scaled(spec, displayed_size(stream, spec.rotation), steps, rotate)
    return _kept(stream, turn, steps, rotate)


def _kept(stream: VideoStreamInfo, turn: int, steps: tuple[int, int], rotate: tuple[str, ...]) -> Geometry:
    sar = stream.sample_aspect_ratio or Fraction(1)
    width, height = stream.width, stream.height
    if turn % 180:
        width, height, sar = height, width, 1 / sar
    # A side that cannot be subsampled loses its last row or column: cropping leaves all other pixels unchanged.
    even = (max(steps[0], width // steps[0] * steps[0]), max(steps[1], height // steps[1] * steps[1]))
    fit: tuple[str, ...] = () if even == (width, height) else (f"crop={even[0]}:{even[1]}:0:0",)
    if even[0] > width or even[1] > height:  # a single row or column is shown twice
        fit = (f"scale={even[0]}:{even[1]}:flags=neighbor", f"setsar={sar.numerator}/{sar.denominator}")
    warnings = (f"the picture is {even[0]}x{even[1]}, as {width}x{height} cannot be subsampled",) if fit else ()
    return Geometry(*even, sar, (*rotate, *fit), warnings)


def _scaled(spec: VideoSpec, shown: tuple[int, int], steps: tuple[int, int], rotate: tuple[str, ...]) -> Geometry:
    asked = asked_size(spec, *shown)
    box = (_whole(asked[0], steps[0]), _whole(asked[1], steps[1]))
    warnings = (f"the picture is {box[0]}x{box[1]}, as {asked[0]}x{asked[1]} cannot be subsampled",) if box != asked else ()
    ratios = (Fraction(box[0], shown[0]), Fraction(box[1], shown[1]))

    def size(ratio: Fraction) -> tuple[int, int]:
        return _whole(shown[0] * ratio, steps[0]), _whole(shown[1] * ratio, steps[1])

    fit: tuple[str, ...] = ()
    if spec.scale_type is ScaleType.STRETCH:
        inner, outer = box, box
    elif spec.scale_type is ScaleType.CROP:
        inner, outer = size(max(ratios)), box
        inner = (max(inner[0], box[0]), max(inner[1], box[1]))
        fit = (f"crop={box[0]}:{box[1]}",)
    elif spec.scale_type is ScaleType.FILL:
        inner, outer = size(min(ratios)), box
        inner = (min(inner[0], box[0]), min(inner[1], box[1]))
        fit = (f"pad={box[0]}:{box[1]}:-1:-1:black",)
    else:
        inner = outer = size(min(ratios))
    return Geometry(*outer, Fraction(1), (*rotate, f"scale={inner[0]}:{inner[1]}:flags=bicubic", *fit, "setsar=1"), warnings)
