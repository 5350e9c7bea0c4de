"""How far libav reads ahead to learn what streams a file has: further than by default, and never further than this."""

# libav stops as soon as it knows all streams. By default it gives up after 5 MB or 5 s: before the first frame of slides, or
# before a stream that begins late.
_BYTES = 32 << 20
_SECONDS = 120

PROBING = {"probesize": str(_BYTES), "analyzeduration": str(_SECONDS * 1_000_000)}
"""Options for opening a file."""
