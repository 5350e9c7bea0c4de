"""Find what only a container says of its frames, and no decoder knows: how they are cropped, their colors, and their fields."""

from reelmill_server.model.colour import Matrix, Primaries, Range, Transfer
from reelmill_server.model.media_info import VideoStreamInfo

_UNSAID = {
    "range": Range.UNSPECIFIED,
    "color_primaries": Primaries.UNSPECIFIED,
    "color_trc": Transfer.UNSPECIFIED,
    "colorspace": Matrix.UNSPECIFIED,
}

# Codecs whose frames do not say that they consist of fields, so that libav's decoders leave it to the container.
_FIELDLESS = ("mjpeg", "jpeg2000", "png", "huffyuv", "ffvhuff")
_FIRST_FIELD = {"tt": "tff", "tb": "tff", "bb": "bff", "bt": "bff"}


def header_fields(stream: VideoStreamInfo) -> tuple[str, ...]:
    """Return the filter that gives frames of `stream` the fields of its header; none if they have their own, or none."""
    needed = stream.header_fields and stream.codec in _FIELDLESS
    return (f"setparams=field_mode={_FIRST_FIELD[stream.field_order]}",) if needed else ()


def header_colours(stream: VideoStreamInfo) -> tuple[str, ...]:
    """Return the filter that gives frames of `stream` the colors of its header; none if they have their own."""
    if not stream.header_colors:
        return ()
    values = (stream.color_range, stream.color_primaries, stream.color_transfer, stream.color_space)
    properties = [
        f"{name}={int(value)}" for (name, unsaid), value in zip(_UNSAID.items(), values, strict=True) if value != unsaid
    ]
    return (f"setparams={':'.join(properties)}",)


def header_crop(stream: VideoStreamInfo) -> tuple[str, ...]:
    """Return the filter that crops frames of `stream` as its header says; if it does. Fields are joined before."""
    if stream.crop is None:
        return ()
    return (f"crop={stream.width}:{stream.height}:{stream.crop.left}:{stream.crop.top}:exact=1",)
