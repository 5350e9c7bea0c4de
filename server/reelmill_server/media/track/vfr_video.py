"""Encode video with the times of its source."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from av import VideoFrame
from av.container import InputContainer, OutputContainer

from reelmill_server.media.input.part import TOLERANCE, Part, Span
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.overlay.pipeline import Overlays
from reelmill_server.media.track.video import VideoTrack
from reelmill_server.model.plan import StreamPlan


class VfrVideoTrack(VideoTrack):
    """Encode video with its own timestamps, of constant or variable frame rate.

    With a window, the frames before and after it pass the filters, and tell how long those in it are shown, but are not
    encoded.
    """

    def __init__(
        self,
        plan: StreamPlan,
        output: OutputContainer,
        sources: Sequence[InputContainer],
        keep_metadata: bool,
        *,
        max_frames: int,
        overlays: Overlays,
        window: Span | None = None,
        global_header: bool | None = None,
        variants: Sequence[StreamPlan] = (),
    ) -> None:
        """`window`: which frames are encoded, in seconds of the output; None: all. The others as for `VideoTrack`."""
        super().__init__(
            plan,
            output,
            sources,
            keep_metadata,
            max_frames=max_frames,
            overlays=overlays,
            global_header=global_header,
            variants=variants,
        )
        self._window = window
        self._held: VideoFrame | None = None
        self._step = 0  # duration of the frame before the held one
        self._end = Fraction(0)  # where the last frame ends, seconds of the output
        self._over = False  # whether the window was passed
        self.shape = ""  # of the source's first frame, for which the filters are built

    def begin(self, part: Part, span: Span) -> None:
        super().begin(part, span)
        self._chain = self._chain_of(part, Fraction(0))

    def feed(self, part: Part, stream: int, item: VideoFrame) -> Iterator[AnyPacket]:
        if item.pts is None or not self._broken(part, item):
            for shown in self._shown(part, stream, item):
                yield from self._filter(shown)
        if self._over:
            part.close(self, stream)

    def _filter(self, shown: VideoFrame) -> Iterator[AnyPacket]:
        self.shape = self.shape or _shape(shown)
        self._take_in(shown)
        for frame in self._chain.push(self._told_apart(shown) if self.plan.steady else shown):
            yield from self._take(frame)

    def _counts(self, shown: VideoFrame) -> bool:
        """Return whether a frame of the source lies in the window: the neighboring chunks take the others."""
        window = self._window
        if window is None:
            return True
        time = self._clock.at(_time(shown) - self._span.begin)
        return not (window.before(time) or window.after(time))

    def _broken(self, part: Part, item: Any) -> bool:
        """Return whether a frame is shown before the keyframe from which reading began: it refers to frames that were not
        read.
        """
        midway = self._window is not None and not self._window.from_front
        return midway and item.pts * item.time_base < part.key - TOLERANCE

    def end(self, part: Part, length: Fraction, last: bool) -> Iterator[AnyPacket]:
        for shown in self._last_shown(part):
            if shown.pts is not None and shown.time_base:
                end = (shown.pts + (shown.duration or 0)) * shown.time_base
                self._end = self._clock.at(end - self._span.begin)
            yield from self._filter(shown)
        for frame in self._chain.flush():
            yield from self._take(frame)

    def finish(self) -> Iterator[AnyPacket]:
        if self._held is not None and self._in_window(self._held):
            if self.plan.steady:  # the filter of the frame rate says how long each frame is shown
                self._held.duration = self._step or self._held.duration
            elif self._held.pts is not None and self._held.time_base and self._end:
                # Filters scale timestamps, but not the last duration.
                self._held.duration = max(round(self._end / self._held.time_base) - self._held.pts, 1)
            self._end_with_span(self._held)
            if not self._over:
                self._captions.hasten()
            yield from self._encoder.encode(self._held)
        yield from self._encoder.encode(None)
        self._captions.finish()

    def _end_with_span(self, frame: VideoFrame) -> None:
        """Cut the last frame's duration at the end of the span, so that every rendition has the same whole number of
        segments.
        """
        if self.plan.segment_us and self._span.end is not None and frame.pts is not None and frame.time_base:
            end = self._clock.at(self._span.end - self._span.begin)
            frame.duration = min(frame.duration, max(round(end / frame.time_base) - frame.pts, 1))

    def _take(self, frame: Any) -> Iterator[AnyPacket]:
        """Encode a frame when the next one tells how long it is shown: MP4 stores durations between decode timestamps."""
        if self._over:
            return
        if self._in_window(frame):
            self._count()
        earlier = self._held
        if earlier is None and self.plan.segment_us and (self._window is None or self._window.from_front):
            frame.pts = min(frame.pts or 0, 0)  # segments count from 0 in every rendition, so the first frame is shown from 0
        if earlier is not None and earlier.pts is not None and frame.pts is not None:
            if frame.pts <= earlier.pts:
                self.unordered += self._in_window(frame)
                return  # encoders refuse two frames with one timestamp
            earlier.duration = self._step = frame.pts - earlier.pts
            if self._in_window(earlier):
                yield from self._encoder.encode(earlier)
            else:
                self._captions.skip(earlier)
        self._held = frame
        self._over = self._window is not None and self._window.after(_time(frame))

    def _in_window(self, frame: Any) -> bool:
        return self._window is None or not (self._window.before(_time(frame)) or self._window.after(_time(frame)))


def _time(frame: Any) -> Fraction:
    return Fraction((frame.pts or 0) * (frame.time_base or 0))


def _shape(frame: VideoFrame) -> str:
    return f"{frame.width}x{frame.height} {frame.format.name} {int(frame.colorspace)}/{int(frame.color_range)}"
