"""Encode video."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from av import VideoFrame
from av.container import InputContainer, OutputContainer

from reelmill_server.errors import MediaLimitExceeded
from reelmill_server.media.input.account import UNTIMED
from reelmill_server.media.input.part import TOLERANCE, Part, Span
from reelmill_server.media.input.source import average_rate
from reelmill_server.media.libav.filter_graph import Chain, FrameTwins
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.overlay.pipeline import Overlays
from reelmill_server.media.track.base import Track, describe, nearest
from reelmill_server.media.track.captions import Captions, caption_warnings
from reelmill_server.media.track.frame_encoder import FrameEncoder
from reelmill_server.media.track.on_screen import FramesOnScreen
from reelmill_server.model.colour import RANGE_NAMES
from reelmill_server.model.plan import ImagePlan, StreamPlan, TargetPlan, VideoOutput
from reelmill_server.model.time import FALLBACK_RATE
from reelmill_server.plan.clock import UNTIMED_FORMATS


class _VideoTrack(Track):
    """Share what both kinds of encoded video do."""

    wants_frames = True

    def __init__(
        self,
        plan: StreamPlan,
        output: OutputContainer,
        sources: Sequence[InputContainer],
        keep_metadata: bool,
        *,
        max_frames: int,
        overlays: Overlays,
        global_header: bool | None = None,
    ) -> None:
        """`global_header` as for `open_encoder`."""
        super().__init__(plan)
        self._max_frames = max_frames
        self._captions = Captions(plan, self.written)
        self._encoder = FrameEncoder(plan, output, self.written, overlays, self._captions, global_header)
        self._parts = {part.input: part for part in plan.parts}
        describe(self._encoder.stream, plan, sources, keep_metadata)

    @property
    def extradata(self) -> bytes:
        """Return what decoders must know, as far as the encoder puts it beside the packets."""
        return bytes(self._encoder.stream.codec_context.extradata or b"")

    def _count(self) -> None:
        """Count a frame that is to be encoded. Raises MediaLimitExceeded when there are too many."""
        self.frames += 1
        if self.frames > self._max_frames:
            raise MediaLimitExceeded(f"the output has more than {self._max_frames} frames")

    def _chain_of(self, part: Part, shift: Fraction) -> Chain:
        """Build the filters of a part, after which the span begins at `shift` seconds of the source's speed."""
        plan = self._parts[part.number]
        origin: Any = part.source.streams[plan.stream]
        ticks = round((self._span.begin - shift) / origin.time_base)
        return Chain(
            lambda: (f"setpts=PTS-({ticks})", *self._captions.filters, *plan.filters),
            origin.sample_aspect_ratio or Fraction(1),
            average_rate(origin) or FALLBACK_RATE,
        )

    def begin(self, part: Part, span: Span) -> None:
        self._span, self._on_screen = span, FramesOnScreen(span)
        stream = self._parts[part.number].stream
        self._codec = part.source.streams[stream].codec_context.codec.canonical_name if stream >= 0 else ""

    def shorten(self, part: Part, span: Span) -> None:
        self._span = self._on_screen.span = span

    def _take_in(self, shown: VideoFrame) -> None:
        """Count a frame that goes into the filters, and note its captions."""
        self.written.taken += self._counts(shown)
        if shown.pts is not None and shown.time_base:
            self._captions.read(shown, self._codec, self._clock.at(shown.pts * shown.time_base - self._span.begin))

    def _counts(self, shown: VideoFrame) -> bool:
        """Return whether a frame of the source counts in this output."""
        return True

    def _shown(self, part: Part, stream: int, item: VideoFrame) -> Iterator[VideoFrame]:
        """Yield the frames of the span that are known once `item` came."""
        self.written.dropped[UNTIMED] += item.pts is None or item.time_base is None
        yield from self._on_screen.push(item)
        self.written.held = max(self.written.held, self._on_screen.held)
        if self._on_screen.over:
            part.close(self, stream)

    def warnings(self, target: TargetPlan | ImagePlan) -> Iterator[str]:
        yield from super().warnings(target)
        yield from caption_warnings(self.plan, self.written, target.field)

    def _end_of(self, part: Part) -> Fraction | None:
        """Return where the part's own stream ends as far as it was read, seconds of the source; None: nobody knows."""
        stream = self._parts[part.number].stream
        return part.reached(stream) if part.source.format.name not in UNTIMED_FORMATS else None


class VfrVideoTrack(_VideoTrack):
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
    ) -> None:
        """`window`: which frames are encoded, in seconds of the output; None: all. `global_header` as for `open_encoder`."""
        super().__init__(
            plan, output, sources, keep_metadata, max_frames=max_frames, overlays=overlays, global_header=global_header
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
        for frame in self._chain.push(shown):
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
        for shown in self._on_screen.end(self._end_of(part)):
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
        held = self._held
        if held is None and self.plan.segment_us and (self._window is None or self._window.from_front):
            frame.pts = min(frame.pts or 0, 0)  # segments count from 0 in every rendition, so the first frame is shown from 0
        if held is not None and held.pts is not None and frame.pts is not None:
            if frame.pts <= held.pts:
                self.unordered += self._in_window(frame)
                return  # encoders refuse two frames with one timestamp
            held.duration = self._step = frame.pts - held.pts
            if self._in_window(held):
                yield from self._encoder.encode(held)
            else:
                self._captions.skip(held)
        self._held = frame
        self._over = self._window is not None and self._window.after(_time(frame))

    def _in_window(self, frame: Any) -> bool:
        return self._window is None or not (self._window.before(_time(frame)) or self._window.after(_time(frame)))


def _time(frame: Any) -> Fraction:
    return Fraction((frame.pts or 0) * (frame.time_base or 0))


def _shape(frame: VideoFrame) -> str:
    return f"{frame.width}x{frame.height} {frame.format.name} {int(frame.colorspace)}/{int(frame.color_range)}"


class CfrVideoTrack(_VideoTrack):
    """Encode video at a constant frame rate: each part has exactly the frames that its length calls for.

    A missing frame repeats the one before it; a part without video is black.
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
    ) -> None:
        super().__init__(plan, output, sources, keep_metadata, max_frames=max_frames, overlays=overlays)
        assert plan.video
        self._rate = plan.video.frame_rate
        self._next = 0  # number of the next frame to encode
        self._first = 0  # number of the part's first frame
        self._last: VideoFrame | None = None
        self._black = False  # whether that is no frame of the source
        self._pending: tuple[int, VideoFrame] | None = None
        self._chain: Chain | None = None
        self._twins = FrameTwins(self._rate)

    def begin(self, part: Part, span: Span) -> None:
        super().begin(part, span)
        exact = self._clock.at(Fraction(0)) * self._rate
        self._first = nearest(exact)
        # The part may begin between two output frames: shifting it by the difference puts its frames on the grid.
        shift = (exact - self._first) / self._rate * self._clock.speed
        generated = self._parts[part.number].stream < 0
        self._chain, self._last = None if generated else self._chain_of(part, shift), None

    def feed(self, part: Part, stream: int, item: VideoFrame) -> Iterator[AnyPacket]:
        if self._chain is not None:
            for shown in self._shown(part, stream, item):
                yield from self._filter(self._chain, shown)

    def _filter(self, chain: Chain, shown: VideoFrame) -> Iterator[AnyPacket]:
        self._take_in(shown)
        for frame in chain.push(shown):
            yield from self._take(frame)

    def reach(self, part: Part, seconds: Fraction) -> Iterator[AnyPacket]:
        if self._chain is None or part.padded:  # otherwise frames may still be in the decoder
            yield from self._close(part, self._number(seconds))

    def end(self, part: Part, length: Fraction, last: bool) -> Iterator[AnyPacket]:
        yield from self._close(part, self._number(length))
        self._clock.advance(length)

    def _close(self, part: Part, until: int) -> Iterator[AnyPacket]:
        """Encode what is left of the part, and fill it up to frame number `until`."""
        if self._chain:
            for shown in self._on_screen.end(self._end_of(part)):
                yield from self._filter(self._chain, shown)
            for frame in self._chain.flush():
                yield from self._take(frame)
        yield from self._settle(until)
        if self._last is None and self._pending is not None:
            self._last, self._black = self._pending[1], False  # too short a part for its only frame still shows that
        else:
            self.written.skipped += self._pending is not None
        self._pending = None
        if part.padded:
            self._last = None
        yield from self._fill(until)

    def finish(self) -> Iterator[AnyPacket]:
        yield from self._encoder.encode(None)
        self._captions.finish()

    def _number(self, seconds: Fraction) -> int:
        """Return the number of the first frame shown at or after `seconds` into the part."""
        return nearest(self._clock.at(seconds) * self._rate)

    def _take(self, frame: Any) -> Iterator[AnyPacket]:
        """Hold a frame until the next one shows that it lies in the part."""
        number = self._first + nearest(frame.pts * frame.time_base * self._rate)
        yield from self._settle(number)
        self.written.skipped += self._pending is not None
        self._pending = number, frame

    def _settle(self, until: int) -> Iterator[AnyPacket]:
        """Encode the pending frame if its number is below `until`."""
        if self._pending is None or self._pending[0] >= until:
            return
        number, frame = self._pending
        self._pending = None
        if self._last is None:
            self._last, self._black = frame, False  # a part that begins late shows its first frame from the start
        yield from self._fill(number)
        self._last, self._black = frame, False
        self.written.skipped += number < self._next
        if number >= self._next:
            yield from self._show(frame)

    def _fill(self, until: int) -> Iterator[AnyPacket]:
        while self._next < until:
            if self._last is None:
                assert self.plan.video
                self._last, self._black = black(self.plan.video), True
            self.written.black += self._black
            self.written.repeated += not self._black
            yield from self._show(self._last)

    def _show(self, frame: VideoFrame) -> Iterator[AnyPacket]:
        self._count()
        frame.pts, frame.time_base, frame.duration = self._next, 1 / self._rate, 1
        self._next += 1
        yield from self._encoder.encode(self._twins.of(frame) if self.plan.overlays else frame)


def black(video: VideoOutput) -> VideoFrame:
    """Return a black frame as the encoder takes it."""
    span = RANGE_NAMES.get(video.color_range, "tv")
    filters = (f"scale={video.width}:{video.height}:out_range={span}", "setsar=1", f"format={video.pixel_format}")
    small = VideoFrame(16, 16, "rgb24")
    for plane in small.planes:
        plane.update(bytes(plane.buffer_size))
    small.pts, small.time_base = 0, 1 / FALLBACK_RATE
    chain = Chain(lambda: filters)
    frame = [*chain.push(small), *chain.flush()][0]
    assert isinstance(frame, VideoFrame)
    return frame
