"""Overlays: what changes pictures that already have the output's size, format and times, right before they are encoded."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Protocol

from av import VideoFrame

from reelmill_server.media.tracks import Span
from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import StreamPlan

_MICROSECONDS = 1_000_000


class Overlay(Protocol):
    """One step between the filters and the encoder. Pictures come in the order of their times, and must leave in it.

    A picture may be changed in place once `make_writable` was called on it; times, duration and side data are to stay.
    """

    def push(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        """Gives the pictures that are ready once `frame` went in: none while it looks ahead."""

    def flush(self) -> Iterator[VideoFrame]:
        """Gives the pictures that were held back; nothing follows."""


class Windowed:
    """Draws on the pictures within a span of the output, and lets the others pass untouched."""

    def __init__(self, begin_us: int, end_us: int, draw: Callable[[VideoFrame], None]) -> None:
        self._span = Span(Fraction(begin_us, _MICROSECONDS), Fraction(end_us, _MICROSECONDS) if end_us else None)
        self._draw = draw

    def push(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        """As `Overlay.push`."""
        time = (frame.pts or 0) * (frame.time_base or Fraction(0))
        if not self._span.before(time) and not self._span.after(time):
            frame.make_writable()  # the decoder, or another output, may hold the same picture
            self._draw(frame)
        yield frame

    def flush(self) -> Iterator[VideoFrame]:
        """Nothing is held back."""
        return iter(())


class Overlays:
    """The overlays of one stream, in order."""

    def __init__(self, steps: Sequence[Overlay] = ()) -> None:
        self._steps = steps

    def __bool__(self) -> bool:
        return bool(self._steps)

    def push(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        """Gives the pictures that have passed all overlays once `frame` went in."""
        yield from self._through(0, frame)

    def flush(self) -> Iterator[VideoFrame]:
        """Gives all pictures that were held back."""
        for number, step in enumerate(self._steps):
            for frame in step.flush():
                yield from self._through(number + 1, frame)

    def _through(self, number: int, frame: VideoFrame) -> Iterator[VideoFrame]:
        if number == len(self._steps):
            yield frame
            return
        for passed in self._steps[number].push(frame):
            yield from self._through(number + 1, passed)


def make_overlays(plan: StreamPlan, files: Mapping[str, str], limits: Limits, note: Callable[[str], None]) -> Overlays:
    """The overlays of a stream. `files`: local paths by URI; `note` is told what a user should know.

    Raises InvalidMedia, UnsupportedFormat or MediaLimitExceeded for a file that gives no picture.
    """
    return Overlays([])
