"""Images that libav reads in pieces, wrongly or not at all: HEIF (AVIF, HEIC), whose tiles and alpha are streams of their own,
animated WebP, images with unusual EXIF, and TIFF in tiles, of JPEG and other compressions, or in other colors than RGB.
"""

import io
from typing import Any, BinaryIO

from av.container import InputContainer

from reelmill_server.errors import MediaLimitExceeded, UnsupportedFormat
from reelmill_server.media.input.exif import with_plain_exif
from reelmill_server.media.input.heif_items import image_count
from reelmill_server.media.libav.pillow import UNREADABLE, opened
from reelmill_server.model.capability import Limits

_HEIF, _WEBP = "mov,mp4,m4a,3gp,3g2,mj2", "webp_pipe"  # which FFmpeg 9 no longer takes for animated ones: it reads them
_TIFF = "tiff_pipe"
_ANIMATED_BRAND = "avis"
# What is read in memory: all frames of an animation, or a file of WebP.
_MOST_BYTES = 256 << 20
# Tags of TIFF of which libav makes something else without an error: tiles become black, JPEG and other colors green.
_COMPRESSION, _COLORS, _TILE_WIDTH, _EXTRA = 259, 262, 322, 338
# JPEG, old and new, LZMA, Zstandard; CMYK, YCbCr, Lab in two forms; alpha that colors are multiplied by.
_MISREAD = {_COMPRESSION: (6, 7, 34925, 50000), _COLORS: (5, 6, 8, 9), _EXTRA: ((1,),)}
_PALETTE_WITH_ALPHA = "PA"
_KEPT_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")  # of Pillow, that PNG has
_FURTHER, _NO_PAGE = 254, 0b101  # what a page is: a smaller one of another, or its mask
_MOST_PAGES = 10_000


def is_item(stream: Any) -> bool:
    """Return whether a video stream is an image of a HEIF file: one frame, at no time."""
    return stream.container.format.name == _HEIF and stream.frames == 1 and not stream.duration


def replacement(file: BinaryIO, container: InputContainer, limits: Limits) -> BinaryIO | None:
    """Return what is to be read instead of an open file; None: the file. Raises as `composed` does."""
    if has_pieces(container) or (container.format.name == _TIFF and _is_misread(file)):
        return composed(file, len(container.streams), limits)
    return with_plain_exif(file, container.format.name)


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
    """Return the image or animation of a file of several `pieces`, or the first page of a TIFF, as PNG.

    Raises UnsupportedFormat where it cannot be put together, MediaLimitExceeded if it is too large.
    """
    file.seek(0)
    png = io.BytesIO()
    try:
        with opened(file, ("AVIF", "WEBP", "TIFF")) as image:
            frames = 1 if image.format == "TIFF" else getattr(image, "n_frames", 1)
            _check(image.width * image.height, frames, limits)
            kept = image if image.mode in _KEPT_MODES or frames > 1 else image.convert(_nearest(image.mode))
            kept.save(png, format="PNG", compress_level=1, save_all=frames > 1)
    except UNREADABLE as error:
        if (images := image_count(file)) > 1:
            raise UnsupportedFormat(
                f"the file has {images} images: of HEIF, only files of one image, and AVIF, are read"
            ) from error
        several = f"an image of {pieces} pieces (a grid, or with alpha), which can be put together of AVIF and WebP only"
        raise UnsupportedFormat(f"the file is {several if pieces > 1 else 'an image that cannot be read'}") from error
    png.seek(0)
    return png


def _check(pixels: int, frames: int, limits: Limits) -> None:
    if pixels > limits.max_pixels:
        raise MediaLimitExceeded(f"an image of {pixels} pixels is larger than the limit of {limits.max_pixels}")
    if frames > 1 and frames * pixels * 4 > _MOST_BYTES:
        raise MediaLimitExceeded(f"an animation in pieces is read in memory: {frames} pictures of this size do not fit")


def _is_misread(file: BinaryIO) -> bool:
    file.seek(0)
    try:
        with opened(file, ("TIFF",)) as image:
            tags = getattr(image, "tag_v2", {})
            misread = _TILE_WIDTH in tags or any(tags.get(tag) in values for tag, values in _MISREAD.items())
            return misread or image.mode == _PALETTE_WITH_ALPHA
    except UNREADABLE:
        return False


def further_pages(file: BinaryIO) -> int:
    """Return how many pages a TIFF has behind the first, which alone is shown; 0 for anything else."""
    pages = 0
    file.seek(0)
    try:
        with opened(file, ("TIFF",)) as image:
            for number in range(1, _MOST_PAGES):
                image.seek(number)
                pages += not getattr(image, "tag_v2", {}).get(_FURTHER, 0) & _NO_PAGE
    except (*UNREADABLE, EOFError):
        pass
    return pages


def _nearest(mode: str) -> str:
    return "RGBA" if mode == _PALETTE_WITH_ALPHA else "RGB"
