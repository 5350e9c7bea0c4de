"""Overlays: what changes pictures that already have the output's size, format and times, right before they are encoded."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Protocol

from av import VideoFrame

from reelmill_server.media.graph import Chain
from reelmill_server.media.source import Place
from reelmill_server.media.tracks import Span
from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import BlurPlan, DelogoPlan, PicturePlan, StreamPlan, TextPlan, VideoOutput

_MICROSECONDS = 1_000_000
_USUAL_RATE = Fraction(25)


class Overlay(Protocol):
    """One step between the filters and the encoder. Pictures come in the order of their times, and must leave in it.

    What `writable` gives may be changed in place; times, duration and side data are to stay.
    """

    def push(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        """Gives the pictures that are ready once `frame` went in: none while it looks ahead."""

    def flush(self) -> Iterator[VideoFrame]:
        """Gives the pictures that were held back; nothing follows."""


class Windowed:
    """Draws on the pictures within a span of the output, and lets the others pass untouched."""

    def __init__(self, begin_us: int, end_us: int, draw: Callable[[VideoFrame], None]) -> None:
        """`end_us` 0: until the end. `draw` gets pictures that it may change, with rows from top to bottom in memory."""
        self._span = Span(Fraction(begin_us, _MICROSECONDS), Fraction(end_us, _MICROSECONDS) if end_us else None)
        self._draw = draw

    def push(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        """As `Overlay.push`."""
        time = (frame.pts or 0) * (frame.time_base or Fraction(0))
        if not self._span.before(time) and not self._span.after(time):
            frame = writable(frame)
            self._draw(frame)
        yield frame

    def flush(self) -> Iterator[VideoFrame]:
        """Nothing is held back."""
        return iter(())


def writable(frame: VideoFrame) -> VideoFrame:
    """The same picture, with memory of its own, and rows from top to bottom in it."""
    if any(plane.line_size < 0 for plane in frame.planes):  # upside down, as flips and some decoders leave it
        (frame,) = Chain(lambda: ("copy",), Fraction(1), _USUAL_RATE).push(frame)  # type: ignore[assignment]
    frame.make_writable()  # the decoder, or another output, may hold the same picture
    return frame


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


def make_overlays(plan: StreamPlan, files: Mapping[str, Place], limits: Limits, note: Callable[[str], None]) -> Overlays:
    """The overlays of a stream of encoded pictures. `files`: where they lie by URI; `note` is told what a user should know."""
    assert plan.video
    steps: list[Overlay] = []
    for overlay in plan.overlays:
        if isinstance(overlay, BlurPlan):
            steps.append(_privacy(overlay, plan.video))
            continue
        draw = _drawing(overlay, plan.video, files, limits, note)
        steps.append(Windowed(overlay.begin_us, overlay.end_us, draw))
    return Overlays(steps)


def _privacy(plan: BlurPlan, video: VideoOutput) -> Overlay:
    from reelmill_server.media.privacy.stage import Privacy

    return Privacy.of(plan.spec, video)


def _drawing(
    plan: DelogoPlan | TextPlan | PicturePlan,
    video: VideoOutput,
    files: Mapping[str, Place],
    limits: Limits,
    note: Callable[[str], None],
) -> Callable[[VideoFrame], None]:
    # Imported here: most conversions have no overlays, and should not wait for numpy, Pillow and fonts.
    if isinstance(plan, DelogoPlan):
        from reelmill_server.media.delogo import Delogo

        return Delogo(plan.box, video).draw
    from reelmill_server.media.watermarks import Film, text_stamp

    if isinstance(plan, TextPlan):
        return text_stamp(plan, video, note).draw
    return Film(plan, video, files[plan.uri], limits).draw
