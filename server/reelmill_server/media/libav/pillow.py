"""Read image files with Pillow, where libav reads a part of them, or is not to be the judge of its own work."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from PIL import Image

# Pillow's own limit has an error of its own, whatever the limits here are; those are checked by whoever opens.
Image.MAX_IMAGE_PIXELS = None
UNREADABLE = (OSError, ValueError, SyntaxError)
"""Exceptions that Pillow raises for a file that it cannot read."""


def opened(file: Path | BinaryIO, formats: tuple[str, ...] | None = None) -> AbstractContextManager[Image.Image]:
    """Open an image of any of these `formats`, of any size: check that before its pixels are loaded. Raises UNREADABLE."""
    return Image.open(file, formats=formats)
