"""The server of Reelmill: one program for all roles of the media conversion service."""

__version__ = "0.1.0"
