"""Encode video at a constant rate, counted from its beginning."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from av import VideoFrame
from av.container import InputContainer, OutputContainer

from reelmill_server.media.input.part import Part, Span
from reelmill_server.media.libav.filter_graph import Chain, FrameTwins
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.overlay.pipeline import Overlays
from reelmill_server.media.track.base import nearest
from reelmill_server.media.track.video import VideoTrack
from reelmill_server.model.colour import RANGE_NAMES
from reelmill_server.model.plan import StreamPlan, VideoOutput
from reelmill_server.model.time import FALLBACK_RATE


class CfrVideoTrack(VideoTrack):
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
        for frame in chain.push(self._told_apart(shown)):
            yield from self._take(frame)

    def reach(self, part: Part, seconds: Fraction) -> Iterator[AnyPacket]:
        if self._chain is None or part.padded:  # otherwise frames may still be in the decoder
            yield from self._close(part, self._number(seconds))

    def end(self, part: Part, length: Fraction, last: bool) -> Iterator[AnyPacket]:
        yield from self._close(part, self._number(length), last)
        self._clock.advance(length)

    def _close(self, part: Part, until: int, last: bool = False) -> Iterator[AnyPacket]:
        """Encode what is left of the part, and fill it up to frame number `until`; the `last` one leaves no output empty."""
        if self._chain:
            for shown in self._last_shown(part):
                yield from self._filter(self._chain, shown)
            for frame in self._chain.flush():
                yield from self._take(frame)
        if last and not until and self._pending is not None:
            until = 1  # all is shorter than half a frame
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
        if self._pending is not None:
            self.written.skipped += 1
            if self._last is None:
                self._last, self._black = self._pending[1], False  # the first frame, though the next one takes its place
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
