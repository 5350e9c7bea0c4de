"""Reads what pictures say about their light: the side data of HDR10."""

import struct
from fractions import Fraction
from typing import Any

from av import VideoFrame
from av.sidedata.sidedata import Type

from reelmill_server.model.media_info import ContentLight, MasteringDisplay

_CHROMATICITY_UNITS = 50_000
_LUMINANCE_UNITS = 10_000
# AVMasteringDisplayMetadata: ten AVRational (red, green, blue, white as x and y; least and greatest luminance), two flags.
_MASTERING = struct.Struct("=20i2i")
# AVContentLightMetadata
_LIGHT = struct.Struct("=2I")


def hdr_metadata_of(frame: VideoFrame) -> tuple[MasteringDisplay | None, ContentLight | None]:
    """The mastering display and the content light level that come with a picture; None for what does not."""
    mastering: MasteringDisplay | None = None
    light: ContentLight | None = None
    found = _of_type(frame, Type.MASTERING_DISPLAY_METADATA)
    if found is not None:
        mastering = _mastering(found)
    found = _of_type(frame, Type.CONTENT_LIGHT_LEVEL)
    if found is not None and len(found) >= _LIGHT.size:
        light = ContentLight(*_LIGHT.unpack_from(found))
    return mastering, light


def _of_type(frame: VideoFrame, kind: Type) -> bytes | None:
    try:
        side_data: Any = frame.side_data  # looked up by type: iterating gives items in PyAV 18 and types in 19
        return bytes(side_data[kind])
    except (KeyError, ValueError):  # ValueError: beside a type that PyAV does not know, such as the Exif of photographs
        return None


def _mastering(data: bytes) -> MasteringDisplay | None:
    """None when it is not whole: encoders take primaries and luminance together only."""
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
    return MasteringDisplay(red, green, blue, white, least, greatest)
