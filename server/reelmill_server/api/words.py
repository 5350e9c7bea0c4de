"""The words and numbers of requests: enum values, rates, colours, and lengths that are pixels or ratios."""

import re
from fractions import Fraction
from typing import Any

from PIL.ImageColor import colormap

from reelmill.v1 import audio_pb2, image_pb2, subtitle_pb2, target_pb2, video_pb2
from reelmill_server.model.request import COPY

AnyTarget = target_pb2.Target | target_pb2.GroupTarget


def word(enum: Any, number: int, prefix: str) -> str:
    """The contract's word of an enum value; "" for unspecified or unknown."""
    return enum.Name(number).removeprefix(prefix).lower() if number and number in enum.values() else ""


def container_name(number: int) -> str:
    """The contract's word of a Container."""
    return word(target_pb2.Container, number, "CONTAINER_")


def video_codec(number: int) -> str:
    """The contract's word of a VideoCodec; unspecified is copy."""
    return word(video_pb2.VideoCodec, number, "VIDEO_CODEC_") or COPY


def audio_codec(number: int) -> str:
    """The contract's word of an AudioCodec; unspecified is copy."""
    return word(audio_pb2.AudioCodec, number, "AUDIO_CODEC_") or COPY


def subtitle_format(number: int) -> str:
    """The extension of a SubtitleFormat: ass, srt or vtt; "" for unspecified."""
    text = word(subtitle_pb2.SubtitleFormat, number, "SUBTITLE_FORMAT_")
    return "vtt" if text == "webvtt" else text


def segment_format(number: int) -> str:
    """The contract's word of a SegmentFormat; "" for unspecified."""
    return word(target_pb2.SegmentFormat, number, "SEGMENT_FORMAT_")


def image_format(number: int) -> str:
    """The extension of an ImageFormat: jpg, png, webp or avif; "" for unspecified."""
    return word(image_pb2.ImageFormat, number, "IMAGE_FORMAT_")


def animation_format(number: int) -> str:
    """The extension of an AnimationFormat: gif, webp, apng or avif; "" for unspecified."""
    return word(image_pb2.AnimationFormat, number, "ANIMATION_FORMAT_")


# Rates that decimal numbers only approximate: 24000/1001, 30000/1001 and their multiples.
_NTSC = tuple(Fraction(base * 1000, 1001) for base in (24, 30, 48, 60, 120, 240))


_NTSC_TOLERANCE = Fraction(6, 1000)


def frame_rate(value: float) -> Fraction:
    """The NTSC rate that a decimal number stands for, else the number itself to a thousandth."""
    decimal = Fraction(str(round(value, 6)))
    near = min(_NTSC, key=lambda rate: abs(rate - decimal))
    whole = Fraction(round(decimal))
    if decimal != whole and abs(near - decimal) < _NTSC_TOLERANCE:
        decimal = near
    return decimal if decimal in _NTSC else decimal.limit_denominator(1001)


def speed(message: Any) -> Fraction:
    """A message's playback speed, 1 when it is not set: float has seven digits, of which four are meant."""
    return Fraction(str(round(message.speed, 4))) if message.HasField("speed") else Fraction(1)


_HEX_COLOR = re.compile("#[0-9a-f]{6}")


def color(text: str) -> str:
    """A colour as `#rrggbb`, given as that or by its name in CSS; "" for what is neither."""
    word = text.lower()
    return word if _HEX_COLOR.fullmatch(word) else str(colormap.get(word, ""))


def side(entry: Any, field: str, ratio_below: float = 1.0) -> int | Fraction | None:
    """A number-or-ratio field, None when it is not set."""
    return length(getattr(entry, field), ratio_below) if entry.HasField(field) else None


def length(value: float, ratio_below: float = 1.0) -> int | Fraction:
    """A number or ratio: a ratio of a side below `ratio_below`, else whole pixels."""
    return round(value) if value >= ratio_below else Fraction(str(round(value, 6)))


def given(message: Any, field: str) -> Any:
    """A field's value, None when it is not set."""
    return getattr(message, field) if message.HasField(field) else None
