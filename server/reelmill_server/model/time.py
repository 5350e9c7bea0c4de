"""Times, rates and speeds: their units, the frame rate of video that does not say its own, and how they are written as JSON."""

from fractions import Fraction
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator

MICROSECONDS = 1_000_000
"""In a second."""
FALLBACK_RATE = Fraction(25)
"""Frames a second, where neither a request nor a source says how many."""


def rational_text(value: Fraction) -> str:
    """Return `value` as `n/d`, which filters, probes and plans write; empty for 0, which stands for what is not known."""
    return f"{value.numerator}/{value.denominator}" if value else ""


def rational(value: Fraction | str) -> Fraction:
    """Return the number that `n/d` or `n` stands for; 0 for an empty text and for a zero denominator. Raises ValueError."""
    if isinstance(value, Fraction):
        return value
    numerator, _, denominator = value.partition("/")
    if not numerator or denominator == "0":
        return Fraction(0)
    return Fraction(int(numerator), int(denominator or 1))


def _speed(value: Fraction | str) -> Fraction:
    return rational(value) or Fraction(1)


def _speed_text(value: Fraction) -> str:
    return "" if value == 1 else rational_text(value)


Rational = Annotated[Fraction, PlainValidator(rational), PlainSerializer(rational_text, return_type=str)]
"""A number that is `n/d` in JSON; 0, which is not known, is an empty text there."""
Speed = Annotated[Fraction, PlainValidator(_speed), PlainSerializer(_speed_text, return_type=str)]
"""A playback speed, `n/d` in JSON; 1 is an empty text there."""
