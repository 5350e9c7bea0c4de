"""Reelmill's server: one program that plays every role of the media conversion service."""

__version__ = "0.1.0"
