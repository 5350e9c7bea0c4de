"""Encode video."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from av import VideoFrame
from av.container import InputContainer, OutputContainer

from reelmill_server.errors import MediaLimitExceeded
from reelmill_server.media.input.account import UNTIMED
from reelmill_server.media.input.part import Part, Span
from reelmill_server.media.input.source import average_rate
from reelmill_server.media.libav.codec_names import canonical_name
from reelmill_server.media.libav.comparison import References
from reelmill_server.media.libav.filter_graph import Chain, FrameTwins
from reelmill_server.media.libav.timestamps import exact
from reelmill_server.media.overlay.pipeline import Overlays
from reelmill_server.media.track.base import StreamStats, Track, describe, nearest
from reelmill_server.media.track.captions import Captions, caption_warnings
from reelmill_server.media.track.frame_encoder import FrameEncoder
from reelmill_server.media.track.on_screen import FramesOnScreen
from reelmill_server.model.plan import ImagePlan, StreamPlan, TargetPlan
from reelmill_server.model.time import FALLBACK_RATE
from reelmill_server.plan.clock import UNTIMED_FORMATS

_LARGEST_TICK = Fraction(1, 4)
"""Of a frame of the output: times in larger ticks are not taken for rounded ones."""


class VideoTrack(Track):
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
        variants: Sequence[StreamPlan] = (),
    ) -> None:
        """`global_header` as for `open_encoder`. `variants`: how the same frames are encoded besides; `written` and `variants`
        of the track count the packets.
        """
        super().__init__(plan)
        self._max_frames = max_frames
        self._captions = Captions(plan, self.written)
        self._encoder = FrameEncoder(plan, output, self.written, overlays, self._captions, global_header)
        self.sample = self._encoder.sample
        self.variants = tuple(StreamStats() for _ in variants)
        for variant, written in zip(variants, self.variants, strict=True):
            self._encoder.add_variant(variant, written)
        self._parts = {part.input: part for part in plan.parts}
        assert plan.video
        self._video = plan.video
        self._place = -1  # number in the part of the last frame that went into the filters, at a constant rate
        self._moved = FrameTwins()
        describe(self._encoder.stream, plan, sources, keep_metadata)

    def judge_by(self, references: References, lends: bool) -> None:
        """Measure quality as `Comparison.judge_by` says."""
        self._encoder.judge_by(references, lends)

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
        self._origin = round((self._span.begin - shift) / self._on_screen.tick(exact(origin.time_base)))
        return Chain(
            lambda: (f"setpts=PTS-({self._origin})", *self._captions.filters, *plan.filters),
            origin.sample_aspect_ratio or Fraction(1),
            average_rate(origin) or FALLBACK_RATE,
        )

    def begin(self, part: Part, span: Span) -> None:
        self._span, self._on_screen, self._held_before = span, FramesOnScreen(span), self.written.held
        self._place = -1
        stream = self._parts[part.number].stream
        self._codec = canonical_name(part.source.streams[stream].codec_context) if stream >= 0 else ""

    def shorten(self, part: Part, span: Span) -> None:
        self._span = self._on_screen.span = span

    def _take_in(self, shown: VideoFrame) -> None:
        """Count a frame that goes into the filters, and note its captions."""
        self.written.taken += self._counts(shown)
        self._captions.read(shown, self._codec, self._time_in_output)

    def _told_apart(self, shown: VideoFrame) -> VideoFrame:
        """Return a frame with the time at which it is shown, or a tick beside it.

        Halfway between two frames of the output, rounded times lead to either of them: it is to be that behind the last one.
        """
        base: Any = shown.time_base
        tick: Fraction = base / self._clock.speed * self._video.frame_rate
        exact = (shown.pts - self._origin) * tick  # type: ignore[operator]
        place, behind = nearest(exact), self._place + 1
        aside = behind - place
        self._place = place
        if tick > _LARGEST_TICK or abs(aside) != 1 or nearest(exact + aside * tick) != behind:
            return shown
        self._place, shown = behind, self._moved.of(shown)
        shown.pts += aside  # type: ignore[operator]
        return shown

    def _time_in_output(self, shown: VideoFrame) -> Fraction | None:
        """Return when a frame of the source is shown in the output, seconds; None: it has no time."""
        if shown.pts is None or not shown.time_base:
            return None
        return self._clock.at(shown.pts * shown.time_base - self._span.begin)

    def _counts(self, shown: VideoFrame) -> bool:
        """Return whether a frame of the source counts in this output."""
        return True

    def _shown(self, part: Part, stream: int, item: VideoFrame) -> Iterator[VideoFrame]:
        """Yield the frames of the span that are known once `item` came."""
        if item.pts is None or item.time_base is None:
            self.written.dropped[UNTIMED] += 1
            return
        yield from self._on_screen.push(item)
        self._note_held()
        if self._on_screen.over:
            part.close(self, stream)

    def _note_held(self) -> None:
        """Book the frames that are held in the span, of all parts so far."""
        self.written.held = self._held_before + self._on_screen.held

    def warnings(self, target: TargetPlan | ImagePlan) -> Iterator[str]:
        yield from super().warnings(target)
        yield from caption_warnings(self.plan, self.written, target.field)

    def _last_shown(self, part: Part) -> Iterator[VideoFrame]:
        """Yield the frame that is shown last in the part."""
        yield from self._on_screen.end(self._end_of(part))
        self._note_held()

    def _end_of(self, part: Part) -> Fraction | None:
        """Return where the part's own stream ends as far as it was read, seconds of the source; None: nobody knows."""
        stream = self._parts[part.number].stream
        return part.reached(stream) if part.source.format.name not in UNTIMED_FORMATS else None
