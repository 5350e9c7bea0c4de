"""Plan delogos, blurs and watermarks: their position and time in an output, in its own pixels."""

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction

from reelmill_server.errors import InvalidMedia
from reelmill_server.model.colour import Matrix
from reelmill_server.model.media_info import MediaInfo
from reelmill_server.model.overlay_plan import BlurPlan, Box, DelogoPlan, OverlayPlan, PicturePlan, TextPlan
from reelmill_server.model.overlay_request import AT_BOTTOM, AT_RIGHT, DelogoSpec, PlaceSpec, WatermarkSpec
from reelmill_server.model.plan import VideoOutput
from reelmill_server.model.request import VideoSpec
from reelmill_server.model.sizes import in_pixels
from reelmill_server.plan.stream.alpha import alpha_decoder
from reelmill_server.plan.stream.geometry import displayed_size, upright
from reelmill_server.plan.stream.header_facts import header_colours, header_crop
from reelmill_server.plan.stream.undecodable import undecodable

# Players assume BT.709 for untagged video from this height on, libav assumes BT.601.
_HIGH_DEFINITION = 577


def plan_overlays(
    spec: VideoSpec, output: VideoOutput, files: Mapping[str, MediaInfo], field: str, warn: Callable[[str], None]
) -> tuple[OverlayPlan, ...]:
    """Return the overlays of `output`, in drawing order; `files` has the contents of watermark files by URI.

    `field` is the path of the FilterVideo message; `warn` is called with each warning. Raises InvalidMedia for a watermark
    file without video or image.
    """
    planned: list[OverlayPlan] = []
    for number, delogo in enumerate(spec.delogos):
        planned += _seen(_delogo(delogo, output), output, f"{field}.delogos[{number}]", warn)
    if spec.desensitization is not None:
        planned.append(BlurPlan(spec.desensitization))
    for number, mark in enumerate(spec.watermarks):
        here = f"{field}.watermarks[{number}]"
        if mark.text is None:
            planned += _seen(_picture(mark, output, files[mark.uri], here), output, here, warn)
        elif mark.text.content.strip():
            planned.append(_text(mark, output))
        else:
            warn(f"{here}: draws nothing, as its content is empty")
    return tuple(planned)


def _seen(
    plan: DelogoPlan | PicturePlan, output: VideoOutput, field: str, warn: Callable[[str], None]
) -> Iterator[DelogoPlan | PicturePlan]:
    box = plan.box
    if -box.width < box.x < output.width and -box.height < box.y < output.height:
        yield plan
    else:
        warn(f"{field}: lies outside of the picture, which is {output.width}x{output.height}")


def _offsets(place: PlaceSpec, output: VideoOutput) -> tuple[int, int]:
    return in_pixels(place.dx, output.width), in_pixels(place.dy, output.height)


def _end_us(place: PlaceSpec) -> int:
    return place.start_us + place.duration_us if place.duration_us else 0


def _box(place: PlaceSpec, width: int, height: int, output: VideoOutput) -> Box:
    """Return a rectangle of this size, offset inward from its corner."""
    x, y = _offsets(place, output)
    x = output.width - width - x if place.corner in AT_RIGHT else x
    y = output.height - height - y if place.corner in AT_BOTTOM else y
    return Box(x, y, width, height)


def _delogo(spec: DelogoSpec, output: VideoOutput) -> DelogoPlan:
    width = output.width if spec.width is None else max(1, in_pixels(spec.width, output.width))
    height = output.height if spec.height is None else max(1, in_pixels(spec.height, output.height))
    box = _box(spec.place, width, height, output)
    return DelogoPlan(box, spec.place.start_us, _end_us(spec.place))


def _text(spec: WatermarkSpec, output: VideoOutput) -> TextPlan:
    assert spec.text
    return TextPlan(spec.text, spec.place.corner, *_offsets(spec.place, output), spec.place.start_us, _end_us(spec.place))


def _picture(spec: WatermarkSpec, output: VideoOutput, info: MediaInfo, field: str) -> PicturePlan:
    stream = next((stream for stream in info.pictures if stream.decodable and stream.width), None)
    if stream is None:
        for barred in (stream for stream in info.pictures if stream.barred):
            raise undecodable(barred, f"{field}.uri: {spec.uri} is in {barred.codec}, which")
        raise InvalidMedia(f"{field}.uri: {spec.uri} has no pictures that can be decoded")
    own = displayed_size(stream)
    ratio = Fraction(own[0], own[1]) / (output.sample_aspect_ratio or 1)  # of width to height in the output's pixels
    width = None if spec.width is None else in_pixels(spec.width, output.width)
    height = None if spec.height is None else in_pixels(spec.height, output.height)
    if height is None:
        height = own[1] if width is None else round(width / ratio)
    if width is None:
        width = round(height * ratio)
    matrix = ("scale=in_color_matrix=bt709",) if stream.color_space == Matrix.UNSPECIFIED and own[1] >= _HIGH_DEFINITION else ()
    box = _box(spec.place, max(1, width), max(1, height), output)
    filters = (*header_colours(stream), *header_crop(stream), *upright(stream), *matrix, "format=rgba")
    return PicturePlan(
        spec.uri,
        stream.index,
        box,
        filters,
        alpha_decoder(stream.codec, stream.metadata),
        spec.place.start_us,
        _end_us(spec.place),
    )
