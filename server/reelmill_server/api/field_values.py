"""Values of request fields: enums, frame rates, colors, and lengths in pixels or as ratios."""

import re
from fractions import Fraction
from typing import Any

from PIL.ImageColor import colormap, getrgb

from reelmill.v1 import audio_pb2, image_pb2, subtitle_pb2, target_pb2, video_pb2
from reelmill_server.model.request import COPY
from reelmill_server.model.smart_cut import SmartCut

AnyTarget = target_pb2.Target | target_pb2.GroupTarget


def enum_name(enum: Any, number: int, prefix: str) -> str:
    """Return the contract's name of an enum value, or "" if unspecified or unknown."""
    return enum.Name(number).removeprefix(prefix).lower() if number and number in enum.values() else ""


def container_name(number: int) -> str:
    """Return the contract's name of a Container, or ""."""
    return enum_name(target_pb2.Container, number, "CONTAINER_")


def video_codec(number: int) -> str:
    """Return the contract's name of a VideoCodec; unspecified means copy."""
    return enum_name(video_pb2.VideoCodec, number, "VIDEO_CODEC_") or COPY


def audio_codec(number: int) -> str:
    """Return the contract's name of an AudioCodec; unspecified means copy."""
    return enum_name(audio_pb2.AudioCodec, number, "AUDIO_CODEC_") or COPY


def subtitle_format(number: int) -> str:
    """Return the extension of a SubtitleFormat: ass, srt or vtt; "" for unspecified."""
    text = enum_name(subtitle_pb2.SubtitleFormat, number, "SUBTITLE_FORMAT_")
    return "vtt" if text == "webvtt" else text


def smart_cut(settings: video_pb2.TranscodeVideo) -> SmartCut:
    """Return whether copied video is cut at the frame."""
    return SmartCut(enum_name(video_pb2.SmartCut, settings.smart_cut, "SMART_CUT_") or "none")


def segment_format(number: int) -> str:
    """Return the contract's name of a SegmentFormat, or ""."""
    return enum_name(target_pb2.SegmentFormat, number, "SEGMENT_FORMAT_")


def image_format(number: int) -> str:
    """Return the extension of an ImageFormat: jpg, png, webp or avif; "" for unspecified."""
    return enum_name(image_pb2.ImageFormat, number, "IMAGE_FORMAT_")


def animation_format(number: int) -> str:
    """Return the extension of an AnimationFormat: gif, webp, apng or avif; "" for unspecified."""
    return enum_name(image_pb2.AnimationFormat, number, "ANIMATION_FORMAT_")


# Rates that decimal numbers only approximate: 24000/1001, 30000/1001 and their multiples.
_NTSC = tuple(Fraction(base * 1000, 1001) for base in (24, 30, 48, 60, 120, 240))


_NTSC_TOLERANCE = Fraction(6, 1000)


def frame_rate(value: float) -> Fraction:
    """Return the NTSC rate that a decimal number approximates, else the number itself to a thousandth."""
    decimal = Fraction(str(round(value, 6)))
    nearest = min(_NTSC, key=lambda rate: abs(rate - decimal))
    integer = Fraction(round(decimal))
    if decimal != integer and abs(nearest - decimal) < _NTSC_TOLERANCE:
        decimal = nearest
    return decimal if decimal in _NTSC else decimal.limit_denominator(1001)


def speed(message: Any) -> Fraction:
    """Return a message's playback speed, 1 if not set; a float has seven digits, four of which are significant here."""
    return Fraction(str(round(message.speed, 4))) if message.HasField("speed") else Fraction(1)


_HEX_COLOR = re.compile("#[0-9a-f]{6}")


def color(text: str) -> str:
    """Return a color, given as `#rrggbb` or by its CSS name, as `#rrggbb`; "" if it is neither."""
    name = text.lower()
    if _HEX_COLOR.fullmatch(name):
        return name
    # Pillow replaces a value of its table by a tuple once anybody has asked for it, so the table serves for the names alone.
    return "#" + bytes(getrgb(name)[:3]).hex() if name in colormap else ""


def optional_length(entry: Any, field: str, ratio_below: float = 1.0) -> int | Fraction | None:
    """Return a number-or-ratio field, or None if not set."""
    return length(getattr(entry, field), ratio_below) if entry.HasField(field) else None


def length(value: float, ratio_below: float = 1.0) -> int | Fraction:
    """Return whole pixels, or below `ratio_below` a ratio of a side."""
    return round(value) if value >= ratio_below else Fraction(str(round(value, 6)))


def optional(message: Any, field: str) -> Any:
    """Return a field's value, or None if not set."""
    return getattr(message, field) if message.HasField(field) else None
