"""Overlays: what changes frames that already have the output's size, format and times, right before they are encoded."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Protocol

from av import VideoFrame

from reelmill_server.media.input.part import Span
from reelmill_server.media.libav.filter_graph import Chain
from reelmill_server.model.time import MICROSECONDS


class Overlay(Protocol):
    """One step between the filters and the encoder. Frames come in the order of their times, and must leave in it.

    A frame made `writable` may be changed in place; its times, duration and side data must stay.
    """

    def push(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        """Yield the frames that are ready once `frame` went in: none while it looks ahead."""

    def flush(self) -> Iterator[VideoFrame]:
        """Yield the frames that were held back; nothing follows."""


class TimedOverlay:
    """Draw on the frames within a span of the output, and pass the others on untouched."""

    def __init__(self, begin_us: int, end_us: int, draw: Callable[[VideoFrame], None]) -> None:
        """`end_us` 0: until the end. `draw` gets writable frames, with rows from top to bottom in memory."""
        self._span = Span(Fraction(begin_us, MICROSECONDS), Fraction(end_us, MICROSECONDS) if end_us else None)
        self._draw = draw

    def push(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        time = (frame.pts or 0) * (frame.time_base or Fraction(0))
        if not self._span.before(time) and not self._span.after(time):
            frame = writable(frame)
            self._draw(frame)
        yield frame

    def flush(self) -> Iterator[VideoFrame]:
        return iter(())


def writable(frame: VideoFrame) -> VideoFrame:
    """Return the same frame with memory of its own, and rows from top to bottom in it."""
    if any(plane.line_size < 0 for plane in frame.planes):  # upside down, as vflip and some decoders leave it
        (frame,) = Chain(lambda: ("copy",)).push(frame)  # type: ignore[assignment]
    frame.make_writable()  # the decoder, or another output, may hold the same frame
    return frame
