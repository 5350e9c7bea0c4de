"""Sizes in conversion requests: lengths in pixels or as ratios, and how frames are scaled."""

from enum import StrEnum
from fractions import Fraction
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator

from reelmill_server.model.time import rational


def _length(value: int | Fraction | str | None) -> int | Fraction | None:
    if not isinstance(value, str):
        return value
    if not value:
        return None
    return rational(value) if "/" in value else int(value)


def _length_text(value: int | Fraction | None) -> str:
    if value is None:
        return ""
    return f"{value.numerator}/{value.denominator}" if isinstance(value, Fraction) else str(value)


_LENGTH = (PlainValidator(_length), PlainSerializer(_length_text, return_type=str))
Length = Annotated[int | Fraction, *_LENGTH]
"""Whole pixels, or a ratio of the output's width or height; `n` or `n/d` in JSON."""
OptionalLength = Annotated[int | Fraction | None, *_LENGTH]
"""A length, or None if not set."""


def in_pixels(length: int | Fraction, side: int) -> int:
    """Convert a length, which may be a ratio of `side`, to pixels."""
    return round(length * side) if isinstance(length, Fraction) else length


class ScaleType(StrEnum):
    """How frames are resized."""

    STRETCH = "stretch"
    CROP = "crop"
    FILL = "fill"
    FIT = "fit"
