"""Open an image anew with another library than most are made by, and compare it with the frames that went in.

Of animations, all frames are decoded: when each is shown is compared, and how a few of them look.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Any

from PIL import Image

from reelmill_server.errors import OutputInvalid
from reelmill_server.media.image.stills import WrittenImage
from reelmill_server.media.input.sights import COARSE
from reelmill_server.media.libav.log import error_text
from reelmill_server.media.libav.pillow import UNREADABLE, opened
from reelmill_server.media.result.orientation import altered, unlike
from reelmill_server.model.image_request import ImageKind
from reelmill_server.model.plan import ImagePlan
from reelmill_server.model.time import MICROSECONDS

_ROUNDING = Fraction(2, 100)  # what the ticks of formats may add to the length of an animation
_LOOKED_AT = 6  # frames of an animation
_UNLIKE = 30.0  # root of the mean squared error, of 255: formats of 256 colors reach 8, and lossy ones 4
_OPAQUE = 255
_TICK = Fraction(6, 1000)  # half of that of GIF, and what rounding to it adds


def check_image(file: WrittenImage, plan: ImagePlan) -> None:
    """Raise OutputInvalid if an image is not what was written."""
    where = f"{plan.field}: {plan.kind} {file.number}"
    looks: dict[int, bytes] = {}
    try:
        with opened(file.path) as image:
            shown = getattr(image, "n_frames", 1)
            size = image.size
            wanted = {*range(0, shown, max(1, shown // _LOOKED_AT)), shown - 1} if any(file.looks) else set()
            durations = [_seen(image, place, looks if place in wanted else None) for place in range(shown)]
    except UNREADABLE as error:
        raise OutputInvalid(f"{where} cannot be read back: {error_text(error)}") from error
    # libav's encoders need not store frames again that look like the one before.
    most = len(file.times) if plan.kind is ImageKind.ANIMATION else 1
    if size != (file.width, file.height) or not 1 <= shown <= most:
        raise OutputInvalid(f"{where} is {size[0]}x{size[1]} with {shown} pictures, not what was written")
    edges = [Fraction(edge) / 1000 for edge in accumulate(durations, initial=0.0)]
    if shown > 1 and abs(edges[-1] - file.seconds) > _ROUNDING:
        raise OutputInvalid(f"{where} plays for {float(edges[-1]):.3f} s, not {float(file.seconds):.3f} s")
    begins = _begins(file, plan) if plan.kind is ImageKind.ANIMATION else [Fraction(0)]
    for edge in edges[1:-1]:
        if min(abs(edge - begin) for begin in begins) > _ROUNDING:
            raise OutputInvalid(f"{where} shows its next picture at {float(edge):.3f} s, and none was to begin then")
    if min(size) >= COARSE:
        _compare(file, plan, looks, edges, begins, where)


def _seen(image: Any, place: int, looks: dict[int, bytes] | None) -> float:
    """Decode frame `place`, and look at it; return how long it is shown, milliseconds."""
    image.seek(place)
    image.load()
    if looks is not None:
        looks[place] = _looks(image)
    return image.info.get("duration", 0)  # type: ignore[no-any-return]


def _looks(image: Any) -> bytes:
    """Return `COARSE` rows of how green an image is, on black if it is partly transparent."""
    size, box = (COARSE, COARSE), Image.Resampling.BOX
    if image.mode == "RGB" and not image.has_transparency_data:
        return image.getchannel("G").resize(size, box).tobytes()  # type: ignore[no-any-return]
    small = image.convert("RGBA").resize(size, box).tobytes()
    return bytes(green * alpha // _OPAQUE for green, alpha in zip(small[1::4], small[3::4], strict=True))


def _begins(file: WrittenImage, plan: ImagePlan) -> list[Fraction]:
    """Return when each frame may begin to be shown, seconds of the animation."""
    if not plan.timed:
        return [number / plan.frame_rate for number in range(len(file.times) + file.left_out)]
    origin = max(file.times[0], Fraction(plan.frames.start_us, MICROSECONDS))
    return [max(time - origin, Fraction(0)) for time in file.times]


def _compare(
    file: WrittenImage,
    plan: ImagePlan,
    looks: Mapping[int, bytes],
    edges: Sequence[Fraction],
    begins: Sequence[Fraction],
    where: str,
) -> None:
    """Compare what was seen with the frames that went in. Raises OutputInvalid."""
    told_apart = not file.left_out and all(later - earlier > 2 * _TICK for earlier, later in pairwise(begins))
    for place, seen in looks.items() if told_apart else ():
        # Those that a frame stands for, if the ones behind it look alike: the first, and the last.
        numbers = {bisect_right(begins, edges[place] + _TICK), bisect_right(begins, edges[place + 1] - _TICK)}
        for number in numbers if len(edges) > 2 else (1,):
            given = file.looks[number - 1] if 0 < number <= len(file.looks) else None
            if given is not None and (off := _error(given, seen)) > _UNLIKE:
                raise OutputInvalid(f"{where}: picture {place + 1} is not the frame that went in, but {off:.0f} of 255 off")
    sight = file.sight
    if sight is not None and 0 in looks and not altered(plan.stream) and (wrong := unlike(sight, _grid(looks[0]), 0, False)):
        raise OutputInvalid(f"{where} is not the frame of the source: {wrong}")


def _error(one: bytes, other: bytes) -> float:
    return float((sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) / len(one)) ** 0.5)


def _grid(samples: bytes) -> list[list[float]]:
    return [[float(value) for value in samples[row * COARSE : (row + 1) * COARSE]] for row in range(COARSE)]
