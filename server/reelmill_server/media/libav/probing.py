"""How far libav reads ahead to learn what streams a file has: further than by default, and never further than this."""

from reelmill_server.model.time import MICROSECONDS

# libav stops as soon as it knows all streams. By default it gives up after 5 MB or 5 s: before the first frame of slides, or
# before a stream that begins late.
_BYTES = 32 << 20
_SECONDS = 120

PROBING = {"probesize": str(_BYTES), "analyzeduration": str(_SECONDS * MICROSECONDS)}
"""Options for opening a file."""
