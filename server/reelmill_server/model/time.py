"""Units of time, and the frame rate of video that does not say its own."""

from fractions import Fraction

MICROSECONDS = 1_000_000
"""In a second."""
FALLBACK_RATE = Fraction(25)
"""Frames a second, where neither a request nor a source says how many."""
