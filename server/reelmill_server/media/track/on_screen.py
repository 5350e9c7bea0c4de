"""Hold the frame on screen where a span begins and where it ends."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from av import VideoFrame

from reelmill_server.media.input.part import Span
from reelmill_server.media.libav.filter_graph import FrameTwins
from reelmill_server.media.libav.timestamps import exact, first_tick
from reelmill_server.plan.clock import UNSEEN, finer


class FramesOnScreen:
    """Give the frames of one part that are shown in its span.

    The frame that was on screen when the span began comes first if the next one is late or there is none, at the time of the
    span's begin. The last one is told to last until the span or its stream ends: a decoder's durations are those of packets,
    which may be distances of decode timestamps.
    """

    def __init__(self, span: Span) -> None:
        self.span = span
        self._before: VideoFrame | None = None
        self._held: VideoFrame | None = None
        self._begun, self._whole = False, span.whole
        self._twins, self._finer = FrameTwins(), FrameTwins()
        self.held = 0
        """How many frames from before the span are shown in it."""
        self.over = False
        """Whether a frame after the span came."""

    def push(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        """Yield the frames of which all is known once `frame` came, which has a time."""
        frame = frame if self._whole else self._fine(frame)
        if not (self._begun and self.span.whole) and not self._shown(frame):
            return
        earlier, self._held = self._held, frame
        if earlier is not None:
            yield earlier

    def tick(self, base: Fraction) -> Fraction:
        """Return the time base of the frames that are given, of those in `base`: one in which a cut can be told."""
        return base if self._whole else finer(base)

    def _fine(self, frame: VideoFrame) -> VideoFrame:
        base, pts = exact(frame.time_base), frame.pts
        if (tick := self.tick(base)) != base and pts is not None:
            parts, frame = round(base / tick), self._finer.of(frame)
            frame.pts, frame.duration, frame.time_base = pts * parts, (frame.duration or 0) * parts, tick
        return frame

    def _shown(self, frame: VideoFrame) -> bool:
        """Return whether a frame is in the span; what was on screen when that began is held before the first."""
        time = _time(frame)
        if self.span.before(time):
            self._before = frame
            return False
        if not self._begun:
            self._hold_first(time if self.span.end is None else min(time, self.span.end))
        if self.span.after(time):
            self.over = True
            return False
        self._begun = True
        return True

    def end(self, end: Fraction | None) -> Iterator[VideoFrame]:
        """Yield the last frame, which is shown until `end` of its stream, seconds of the source; None: as long as it says."""
        if self.span.end is not None:
            end = self.span.end if self.over or end is None else min(end, self.span.end)
        if not self._begun:
            self._hold()
        frame, self._held = self._held, None
        if frame is not None and end is not None and frame.time_base is not None:
            frame, base = self._twins.of(frame), exact(frame.time_base)
            shown = round(end / base) - (frame.pts or 0)
            frame.duration = shown if shown > 0 else frame.duration or 1
        if frame is not None:
            yield frame

    def _hold_first(self, until: Fraction) -> None:
        """Hold the frame that was on screen when the span began, if it stays there `until` a moment worth seeing."""
        if until - self.span.begin >= UNSEEN:
            self._hold()

    def _hold(self) -> None:
        before, self._before = self._before, None
        if before is not None and before.time_base:
            self.held += 1
            self._held, self._begun = self._twins.of(before), True
            self._held.pts = first_tick(self.span.begin, exact(before.time_base))


def _time(frame: Any) -> Fraction:
    return Fraction(frame.pts * frame.time_base)
