"""Units of time, frame rates and playback speeds, and their form in JSON."""

from fractions import Fraction
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator

MICROSECONDS = 1_000_000
"""Microseconds per second."""
FALLBACK_RATE = Fraction(25)
"""Frame rate if neither the request nor the source has one."""


def rational_text(value: Fraction) -> str:
    """Return `n/d`, as filters, probes and plans write it; empty for 0, which means unknown."""
    return f"{value.numerator}/{value.denominator}" if value else ""


def rational(value: Fraction | str) -> Fraction:
    """Parse `n/d` or `n`; an empty string and a zero denominator give 0. Raises ValueError."""
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
"""A number written as `n/d` in JSON; 0, which means unknown, is an empty string there."""
Speed = Annotated[Fraction, PlainValidator(_speed), PlainSerializer(_speed_text, return_type=str)]
"""A playback speed written as `n/d` in JSON; 1 is an empty string there."""
