"""Images that libav reads in pieces, or not at all: HEIF (AVIF, HEIC), whose tiles and alpha are streams of their own, and
animated WebP.
"""

import io
from typing import Any, BinaryIO

from av.container import InputContainer

from reelmill_server.errors import MediaLimitExceeded, UnsupportedFormat
from reelmill_server.media.libav.pillow import UNREADABLE, opened
from reelmill_server.model.capability import Limits

_HEIF, _WEBP = "mov,mp4,m4a,3gp,3g2,mj2", "webp_pipe"  # which FFmpeg 9 no longer takes for animated ones: it reads them
_ANIMATED_BRAND = "avis"
# All frames of an animation are in memory at once.
_MOST_BYTES = 256 << 20


def is_item(stream: Any) -> bool:
    """Return whether a video stream is an image of a HEIF file: one frame, at no time."""
    return stream.container.format.name == _HEIF and stream.frames == 1 and not stream.duration


def has_pieces(container: InputContainer) -> bool:
    """Return whether libav shows only a part of the file's image or animation."""
    streams = container.streams.video
    if container.format.name == _WEBP:
        return bool(streams) and not streams[0].codec_context.width
    if container.format.name != _HEIF or len(streams) != len(container.streams):
        return False
    tracks = [stream for stream in streams if not is_item(stream)]
    alpha_apart = container.metadata.get("major_brand") == _ANIMATED_BRAND and len(tracks) > 1
    return alpha_apart or (not tracks and len(streams) > 1)


def composed(file: BinaryIO, pieces: int, limits: Limits) -> BinaryIO:
    """Return the image or animation of a file of several `pieces` as PNG.

    Raises UnsupportedFormat where it cannot be put together, MediaLimitExceeded if it is too large.
    """
    file.seek(0)
    png = io.BytesIO()
    try:
        with opened(file, ("AVIF", "WEBP")) as image:
            frames = getattr(image, "n_frames", 1)
            _check(image.width * image.height, frames, limits)
            image.save(png, format="PNG", compress_level=1, save_all=frames > 1)
    except UNREADABLE as error:
        raise UnsupportedFormat(
            f"the file is an image of {pieces} pieces (a grid, or with alpha), which can be put together of AVIF and WebP only"
        ) from error
    png.seek(0)
    return png


def _check(pixels: int, frames: int, limits: Limits) -> None:
    if pixels > limits.max_pixels:
        raise MediaLimitExceeded(f"an image of {pixels} pixels is larger than the limit of {limits.max_pixels}")
    if frames > 1 and frames * pixels * 4 > _MOST_BYTES:
        raise MediaLimitExceeded(f"an animation in pieces is read in memory: {frames} pictures of this size do not fit")
