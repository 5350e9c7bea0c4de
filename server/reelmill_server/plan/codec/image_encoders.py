"""What libav's encoders and muxers of pictures are told."""

from collections.abc import Mapping
from fractions import Fraction

# Visually lossless for each format: mjpeg's quantiser 2 is about quality 95 of other programs.
STILL_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "mjpeg": {"qmin": "2", "qmax": "2"},
    "libwebp": {"quality": "85"},
    "png": {},
}
"""Of single pictures, by encoder."""

ANIMATION_MUXERS: Mapping[str, str] = {"libwebp_anim": "webp", "apng": "apng", "gif": "gif"}
ANIMATION_MUXER_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "libwebp_anim": {"loop": "0"},
    "apng": {"plays": "0"},
    "gif": {"loop": "0"},
}
ANIMATION_OPTIONS: Mapping[str, Mapping[str, str]] = {"libwebp_anim": {"quality": "75", "compression_level": "4"}}
"""Of animations, by encoder: the muxer, what it is told, and what the encoder is told."""

GIF_TICK = Fraction(1, 100)
# Of the dithers of paletteuse, this one has neither the noise of a pattern nor worms that crawl between pictures.
_DITHER = "dither=sierra2_4a"
PALETTE, PALETTE_USE = "stats_mode=full", f"{_DITHER}:diff_mode=rectangle"
"""Options of palettegen and paletteuse for one palette of all pictures."""
OWN_PALETTES, OWN_PALETTES_USE = "stats_mode=single", f"{_DITHER}:new=1"
"""The same for a palette of each picture."""
