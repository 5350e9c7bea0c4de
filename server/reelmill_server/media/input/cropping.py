"""Read how a container says that frames are cropped, or hold two views: PyAV hands it out only to muxers, so a trial header
tells.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reelmill_server.media.libav.trial_header import trial_header
from reelmill_server.model.media_info import Crop, VideoStreamInfo

# Of those that libav reads cropping from (PixelCrop, clap).
_CROPPING_FORMATS = ("matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2")
# Elements of Matroska (RFC 9559).
_LEFT, _TOP, _RIGHT, _BOTTOM = 0x54CC, 0x54BB, 0x54DD, 0x54AA
_STEREO = 0x53B8
_STEREO_MODES = (
    " left_right bottom_top top_bottom checkerboard_rl checkerboard_lr row_interleaved_rl row_interleaved_lr "
    "col_interleaved_rl col_interleaved_lr anaglyph_cyan_red right_left anaglyph_green_magenta block_lr block_rl"
).split(" ")


def edges(stream: Any) -> tuple[int, int, int, int]:
    """Return how many pixels of a frame of `stream` the container cuts off: at the left, the top, the right and the bottom."""
    return _edges(trial_header(stream)) if stream.container.format.name in _CROPPING_FORMATS else (0, 0, 0, 0)


def _edges(header: Mapping[int, int]) -> tuple[int, int, int, int]:
    left, top, right, bottom = (header.get(edge, 0) for edge in (_LEFT, _TOP, _RIGHT, _BOTTOM))
    return left, top, right, bottom


def cropped(info: VideoStreamInfo, stream: Any) -> VideoStreamInfo:
    """Return `info` of `stream` with its cropping, and the size that is left, and how its frames hold views of both eyes."""
    if stream.container.format.name not in _CROPPING_FORMATS or info.attached_picture or not info.width:
        return info
    header = trial_header(stream)
    if 0 < (mode := header.get(_STEREO, 0)) < len(_STEREO_MODES):
        info = replace(info, stereo=_STEREO_MODES[mode])
    left, top, right, bottom = _edges(header)
    width, height = info.width - left - right, info.height - top - bottom
    if (width, height) == (info.width, info.height) or width <= 0 or height <= 0:
        return info
    return replace(info, width=width, height=height, crop=Crop(left, top, info.width, info.height))
