"""Tables of options of libav's image encoders and muxers."""

from collections.abc import Mapping
from fractions import Fraction

# Visually lossless in each format: quantizer 2 of mjpeg is about quality 95 of other programs.
STILL_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "mjpeg": {"qmin": "2", "qmax": "2"},
    "libwebp": {"quality": "85"},
    "png": {},
}
"""Encoder options for single images, by encoder."""

ANIMATION_MUXERS: Mapping[str, str] = {"libwebp": "webp", "apng": "apng", "gif": "gif"}
ANIMATION_MUXER_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "libwebp": {"loop": "0"},
    "apng": {"plays": "0"},
    "gif": {"loop": "0"},
}
WEBP_OPTIONS: Mapping[str, str] = {"quality": "75", "compression_level": "4"}
ANIMATION_OPTIONS: Mapping[str, Mapping[str, str]] = {"libwebp": WEBP_OPTIONS}
"""Muxers, muxer options and encoder options for animations, by encoder."""

GIF_TICK = Fraction(1, 100)  # GIF counts delays in hundredths of a second
GIF_LEAST = 2 * GIF_TICK
"""The shortest delay that browsers keep: they show a frame of less for a tenth of a second."""
# Of paletteuse's dithers, this one has neither a visible pattern nor noise that crawls from frame to frame.
_DITHER = "dither=sierra2_4a"
PALETTE, PALETTE_USE = "stats_mode=full", f"{_DITHER}:diff_mode=rectangle"
"""Options of palettegen and paletteuse for one palette for all frames."""
OWN_PALETTES, OWN_PALETTES_USE = "stats_mode=single", f"{_DITHER}:new=1"
"""Options of palettegen and paletteuse for a palette per frame."""
