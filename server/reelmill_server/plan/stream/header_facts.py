"""Find what only a container says of its frames, and no decoder knows: how they are cropped, and their colors."""

from reelmill_server.model.colour import Matrix, Primaries, Range, Transfer
from reelmill_server.model.media_info import VideoStreamInfo

_UNSAID = {
    "range": Range.UNSPECIFIED,
    "color_primaries": Primaries.UNSPECIFIED,
    "color_trc": Transfer.UNSPECIFIED,
    "colorspace": Matrix.UNSPECIFIED,
}


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
