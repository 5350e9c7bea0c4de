"""Hand the frames that a plan calls for to an image writer, in its size and format."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, Protocol

from av import VideoFrame

from reelmill_server.media.image.frame_selection import SelectedFrame
from reelmill_server.media.image.stills import ImageWriter, WrittenImage
from reelmill_server.media.input.part import Part, Span
from reelmill_server.media.input.sights import PictureSight, picture_sight
from reelmill_server.media.input.source import average_rate
from reelmill_server.media.libav.filter_graph import Chain
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.track.base import Track
from reelmill_server.model.plan import ImagePlan
from reelmill_server.model.time import FALLBACK_RATE
from reelmill_server.plan.clock import UNSEEN, UNTIMED_FORMATS


class Selector(Protocol):
    """The interface of `FrameSelector`, in the order in which frames come."""

    last: Fraction | None
    unordered: int

    @property
    def next_time(self) -> Fraction | None:
        """Return the time from which on frames are needed; None: no more are."""

    def offer(self, offered: SelectedFrame) -> Iterator[SelectedFrame]:
        """Yield what is selected once `offered` came."""

    def end(self, time: Fraction) -> Iterator[SelectedFrame]:
        """Yield what is selected of a source that ends at `time`."""

    def finish(self) -> Iterator[SelectedFrame]:
        """Yield what could not be known before."""


class FrameTrack(Track):
    """Hand the frames that a plan calls for to an image writer. It makes no packets."""

    wants_frames = True

    def __init__(self, plan: ImagePlan, writer: ImageWriter, selector: Selector) -> None:
        super().__init__(plan.stream)
        self._selector, self._writer = selector, writer
        self._parts = {part.input: part for part in plan.stream.parts}
        self._shapers: dict[int, _Shaper] = {}
        self._before: VideoFrame | None = None
        self._streams: dict[int, Any] = {}
        self._sight: PictureSight | None = None
        self.files: Sequence[WrittenImage] = ()

    def next_time(self, length: Fraction | None) -> Fraction | None:
        """Return from which second of the part, which is `length` long, frames are needed; None: no more of it are."""
        time = self._selector.next_time
        if time is None or (length is not None and time - self._clock.offset >= length):
            return None
        return max(time - self._clock.offset, Fraction(0))

    def begin(self, part: Part, span: Span) -> None:
        self._span, self._before = span, None
        plan = self._parts[part.number]
        if plan.stream >= 0:
            stream: Any = part.source.streams[plan.stream]
            self._streams[part.number] = stream
            self._shapers[part.number] = _Shaper(plan.filters, stream)

    def feed(self, part: Part, stream: int, item: VideoFrame) -> Iterator[AnyPacket]:
        if item.pts is None or item.time_base is None:
            return iter(())
        time = item.pts * item.time_base
        if self._selector.next_time is None:
            part.close(self, stream)
        elif self._span.before(time):
            self._before = item
        elif self._span.after(time):
            self._show_first(part, None)
            part.close(self, stream)
        else:
            self._show_first(part, time)
            self._offer(part, time, item)
        return iter(())

    def end(self, part: Part, length: Fraction, last: bool) -> Iterator[AnyPacket]:
        self._show_first(part, None)
        reached = part.reached(self._parts[part.number].stream) if last else None
        shown = length if reached is None else min(length, reached - self._span.begin)  # audio may go on after the last frame
        self._take(self._selector.end(self._clock.at(max(shown, Fraction(0)))), self._end_of(part))
        self._clock.advance(length)
        return iter(())

    def _show_first(self, part: Part, until: Fraction | None) -> None:
        """Offer the frame that was on screen when the span began, if it stays there `until` a moment worth seeing; None: to the
        end of the part.
        """
        before, self._before = self._before, None
        if before is not None and (until is None or until - self._span.begin >= UNSEEN):
            self._offer(part, self._span.begin, before)

    def _offer(self, part: Part, time: Fraction, frame: VideoFrame) -> None:
        self.frames += 1
        place = self._clock.at(time - self._span.begin)
        self.written.extent.reach(place)
        self._take(self._selector.offer(SelectedFrame(place, frame, part.number)))
        self.unordered = self._selector.unordered

    def _end_of(self, part: Part) -> Fraction | None:
        """Return when the part's last frame is over, which other streams may outlast; None: unknown."""
        end = part.reached(self._parts[part.number].stream)
        if end is None or part.source.format.name in UNTIMED_FORMATS:
            return None
        return self._clock.at((end if self._span.end is None else min(end, self._span.end)) - self._span.begin)

    def reached(self, seconds: Fraction) -> None:
        """Note that the part was decoded so far."""
        self.written.extent.reach(self._clock.at(seconds))

    @property
    def length(self) -> Fraction:
        """Return how long the parts that have ended were together."""
        return self._clock.offset

    def skip(self, length: Fraction) -> None:
        """Pass a part without video."""
        self._clock.advance(length)

    def finish(self) -> Iterator[AnyPacket]:
        self._take(self._selector.finish())
        self.files = self._seen(self._writer.finish())
        self.written.packets = sum(len(file.times) for file in self.files)
        return iter(())

    def _take(self, frames: Iterator[SelectedFrame], end: Fraction | None = None) -> None:
        """Write the selected frames; the last one is shown until `end` at most."""
        for selected in frames:
            if self._sight is None:
                self._sight = picture_sight(selected.frame, self._streams[selected.input], selected.time)
            until = selected.until if end is None or selected.until is None else min(selected.until, end)
            self._writer.take(selected.time, self._shapers[selected.input].shaped(selected.frame), until)

    def _seen(self, files: Sequence[WrittenImage]) -> Sequence[WrittenImage]:
        """Return `files`, the first of them with how its frame looked."""
        if not files or self._sight is None or not files[0].looks or files[0].times[0] != self._sight.time:
            return files
        return [replace(files[0], sight=self._sight), *files[1:]]


class _Shaper:
    """Bring single frames to the size and the pixel format of images."""

    def __init__(self, filters: Sequence[str], stream: Any) -> None:
        self._chain = Chain(lambda: filters, stream.sample_aspect_ratio or Fraction(1), average_rate(stream) or FALLBACK_RATE)

    def shaped(self, frame: VideoFrame) -> VideoFrame:
        """Return `frame` filtered; a filter that waits for the next frame is flushed instead."""
        frames = list(self._chain.push(frame)) or list(self._chain.flush())
        shaped = frames[0]
        assert isinstance(shaped, VideoFrame)
        return shaped
