"""Images of HEIF (AVIF, HEIC), which libav reads item by item: tiles of a grid and alpha are streams of their own."""

import io
from typing import Any, BinaryIO

from av.container import InputContainer
from PIL import Image

from reelmill_server.errors import MediaLimitExceeded, UnsupportedFormat
from reelmill_server.model.capability import Limits

_FORMAT = "mov,mp4,m4a,3gp,3g2,mj2"


def is_item(stream: Any) -> bool:
    """Return whether a video stream is an image of a HEIF file: one frame, at no time."""
    return stream.container.format.name == _FORMAT and stream.frames == 1 and not stream.duration


def has_pieces(container: InputContainer) -> bool:
    """Return whether a file is an image of several pieces."""
    streams = container.streams.video
    return len(streams) > 1 and len(streams) == len(container.streams) and all(map(is_item, streams))


def composed(file: BinaryIO, pieces: int, limits: Limits) -> BinaryIO:
    """Return the image of a HEIF file of several `pieces` as PNG.

    Raises UnsupportedFormat where it cannot be put together, MediaLimitExceeded if it is too large.
    """
    file.seek(0)
    made = io.BytesIO()
    try:
        with Image.open(file, formats=["AVIF"]) as image:
            if image.width * image.height > limits.max_pixels:
                raise MediaLimitExceeded(
                    f"an image of {image.width}x{image.height} pixels is larger than the limit of {limits.max_pixels}"
                )
            image.save(made, format="PNG", compress_level=1)
    except (OSError, ValueError, SyntaxError) as error:
        raise UnsupportedFormat(
            f"the file is a HEIF image of {pieces} pieces (a grid, or with alpha), which can be put together of AVIF only"
        ) from error
    made.seek(0)
    return made
