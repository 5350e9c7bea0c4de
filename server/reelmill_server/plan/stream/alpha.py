"""Transparency: which sources have it, and what becomes of it where the output has none."""

import re
from collections.abc import Mapping

from reelmill_server.model.media_info import VideoStreamInfo

_WITH_ALPHA = re.compile(r"yuva|rgba|bgra|argb|abgr|gbrap|ya8|ya16|pal8")
_DEPTH = re.compile(r"(9|10|12|14|16|32|48|64)(le|be)$")
_YUVA_DEPTHS, _RGBA_DEPTHS = ("9", "10", "12", "16"), ("10", "12", "16")
_DEEPEST = "16"
_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}

ON_BLACK = "the source is partly transparent, which this output cannot be: it is shown on black"
"""The warning that goes with `on_black`."""


def alpha_decoder(codec: str, metadata: Mapping[str, str]) -> str:
    """Return the decoder (libav's name) that a stream of `codec` needs for its alpha channel; empty: the usual one.

    WebM has the alpha of VP8 and VP9 beside the frames, where only libvpx's decoders look for it.
    """
    # Matroska's element is `alpha_mode` here, the tag that libav writes besides has capitals.
    is_told = codec in _DECODERS and any(name.lower() == "alpha_mode" and value == "1" for name, value in metadata.items())
    return _DECODERS[codec] if is_told else ""


def has_alpha(pixel_format: str) -> bool:
    """Return whether a pixel format has an alpha channel."""
    return _WITH_ALPHA.match(pixel_format) is not None


def on_black(stream: VideoStreamInfo) -> tuple[str, ...]:
    """Return the filters that compose the frames of `stream` on black; none if it has no alpha channel.

    Without them, colors of what is invisible would show. Alpha itself stays, for a later conversion of the format to drop.
    """
    if not has_alpha(stream.pixel_format):
        return ()
    match = _DEPTH.search(stream.pixel_format)
    name, depths = ("yuva444p", _YUVA_DEPTHS) if stream.pixel_format.startswith("yuva") else ("gbrap", _RGBA_DEPTHS)
    depth = match[1] if match and match[1] in depths else _DEEPEST if match else ""
    return (f"format={name}{depth}{'le' * bool(depth)}", "premultiply=inplace=1")
