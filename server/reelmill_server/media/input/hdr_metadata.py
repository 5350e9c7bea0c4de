"""Read HDR10 metadata: mastering display and content light level."""

import struct
from fractions import Fraction

from av import VideoFrame
from av.sidedata.sidedata import Type

from reelmill_server.media.libav.side_data import frame_data
from reelmill_server.model.media_info import ContentLight, MasteringDisplay

_CHROMATICITY_UNITS = 50_000
_LUMINANCE_UNITS = 10_000
# AVMasteringDisplayMetadata: ten AVRational (red, green, blue, white as x and y; minimum and maximum luminance), two flags.
_MASTERING = struct.Struct("=20i2i")
# AVContentLightMetadata
_LIGHT = struct.Struct("=2I")
# What HEVC's SEI messages hold (ITU-T H.265, D.2.28 and D.2.35), and AV1's metadata alike.
_POINT_BOUND, _LUMINANCE_BOUND, _LIGHT_BOUND = 1 << 16, 1 << 32, 1 << 16


def hdr_metadata_of(frame: VideoFrame, codec: str) -> tuple[MasteringDisplay | None, ContentLight | None]:
    """Return the mastering display and the content light level that come with a decoded frame of `codec`; None: it has none."""
    mastering: MasteringDisplay | None = None
    content_light: ContentLight | None = None
    data = frame_data(frame, codec, Type.MASTERING_DISPLAY_METADATA)
    if data is not None:
        mastering = _mastering(data)
    data = frame_data(frame, codec, Type.CONTENT_LIGHT_LEVEL)
    if data is not None and len(data) >= _LIGHT.size:
        levels = _LIGHT.unpack_from(data)
        content_light = ContentLight(*levels) if max(levels) < _LIGHT_BOUND else None
    return mastering, content_light


def _mastering(data: bytes) -> MasteringDisplay | None:
    """Return the mastering display; None when it is incomplete, since encoders take primaries and luminance together only, and
    when its numbers are such as no stream can hold."""
    if len(data) < _MASTERING.size:
        return None
    *numbers, has_primaries, has_luminance = _MASTERING.unpack_from(data)
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
    if not has_primaries or not has_luminance or any(denominator <= 0 for _, denominator in pairs):
        return None
    values = [Fraction(numerator, denominator) for numerator, denominator in pairs]
    points = [round(value * _CHROMATICITY_UNITS) for value in values[:8]]
    red, green, blue, white = zip(points[::2], points[1::2], strict=True)
    least, greatest = (round(value * _LUMINANCE_UNITS) for value in values[8:])
    if not all(0 <= point < _POINT_BOUND for point in points) or not 0 <= least <= greatest < _LUMINANCE_BOUND:
        return None
    return MasteringDisplay(red, green, blue, white, least, greatest)
