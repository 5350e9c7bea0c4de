"""Write one image entry of a target: snapshots, a sprite sheet, or an animation."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

from av import VideoFrame

from reelmill_server.media.chunk_file import ChunkFile
from reelmill_server.media.image.animations import animation_writer
from reelmill_server.media.image.frame_selection import FrameSelector, SelectedFrame
from reelmill_server.media.image.stills import ImageWriter, SheetWriter, StillWriter, WrittenImage
from reelmill_server.media.input.decoding import Decoding
from reelmill_server.media.input.part import Part, Span
from reelmill_server.media.input.restarts import begins_again
from reelmill_server.media.input.seek import frames_from
from reelmill_server.media.input.source import Location, average_rate, open_source
from reelmill_server.media.libav.filter_graph import Chain
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.output.base import Output, Stopped, StopSignal, planned_span
from reelmill_server.media.track.base import Track
from reelmill_server.media.track.on_screen import UNSEEN
from reelmill_server.model.capability import Limits
from reelmill_server.model.image_request import ImageKind
from reelmill_server.model.plan import FrameAccess, ImagePlan, InputPlan, Plan
from reelmill_server.model.time import FALLBACK_RATE, MICROSECONDS
from reelmill_server.plan.clock import UNTIMED_FORMATS

_CLAIM_SECONDS = Fraction(1)  # the duration that a container claims is no more exact


_WRITERS: Mapping[str, Callable[[ImagePlan, Path, int], ImageWriter]] = {
    "snapshot": StillWriter,
    "sprite": SheetWriter,
    "animation": animation_writer,
}


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

    @property
    def length(self) -> Fraction:
        """Return how long the parts that have ended were together."""
        return self._clock.offset

    def skip(self, length: Fraction) -> None:
        """Pass a part without video."""
        self._clock.advance(length)

    def finish(self) -> Iterator[AnyPacket]:
        self._take(self._selector.finish())
        self.files = self._writer.finish()
        self.written.packets = sum(len(file.times) for file in self.files)
        return iter(())

    def _take(self, frames: Iterator[SelectedFrame], end: Fraction | None = None) -> None:
        """Write the selected frames; the last one is shown until `end` at most."""
        for selected in frames:
            until = selected.until if end is None or selected.until is None else min(selected.until, end)
            self._writer.take(selected.time, self._shapers[selected.input].shaped(selected.frame), until)


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


class ImageOutput(Output):
    """Write images instead of a media file.

    With reading `shared` or `through` it is fed like the other outputs, else it reads the inputs by itself, on its own
    thread.
    """

    def __init__(
        self,
        plan: ImagePlan,
        task: Plan,
        folder: Path,
        *,
        locations: Sequence[Location],
        limits: Limits,
        stop: StopSignal,
        chunk_files: Sequence[ChunkFile] = (),
    ) -> None:
        """`locations` are those of the inputs of the whole plan `task`; `chunk_files` hold the frames if chunks selected
        them.
        """
        self._locations, self._limits = locations, limits
        folder.mkdir()
        most = limits.max_output_frames if plan.kind is ImageKind.ANIMATION else limits.max_pictures
        self._writer, self._selector, self._chunk_files = (
            _WRITERS[plan.kind](plan, folder, most),
            FrameSelector(plan.frames),
            chunk_files,
        )
        self._frames, self._decoding = FrameTrack(plan, self._writer, self._selector), Decoding()
        self._frames.frames = sum(chunk_file.summary.frames for chunk_file in chunk_files)
        self._frames.unordered = sum(chunk_file.summary.unordered for chunk_file in chunk_files)
        self._image = plan
        super().__init__(plan, task, str(folder), stop)
        self.fed = plan.reading.is_sequential and not chunk_files
        self.tracks = (self._frames,)

    @property
    def files(self) -> Sequence[WrittenImage]:
        """Return the written files, once `join` has returned."""
        return self._written if self._chunk_files else self._frames.files

    def _write(self) -> None:
        self._write_files()
        for file in self.files:
            if file.left_out:
                self._note(f"{file.left_out} pictures left out: a {self._image.format} of more than 50 a second plays slowly")

    def _write_files(self) -> None:
        if self.fed:
            for _ in self._packets():
                pass
            return
        if self._chunk_files:
            self._unpack()
            return
        for number, plan in enumerate(self._inputs):
            if not plan.attached:
                self._read(number, plan)
        list(self._frames.finish())
        for text in self._decoding.check():
            self._note(text)

    def _unpack(self) -> None:
        """Write the frames that chunks have packed."""
        for chunk_file in self._chunk_files:
            for packed in chunk_file.frames():
                if self._stop.is_set():
                    raise Stopped
                candidate = SelectedFrame(packed.time, packed.frame, blank=packed.blank, until=packed.until)
                self._write_packed(iter((candidate,)) if chunk_file.summary.final else self._selector.sift(candidate))
                self._frames.written.extent.reach(packed.time)
        if not any(chunk_file.summary.final for chunk_file in self._chunk_files):
            self._write_packed(self._selector.finish())
        self._written = self._writer.finish()

    def _write_packed(self, frames: Iterator[SelectedFrame]) -> None:
        for selected in frames:
            self._writer.take(selected.time, selected.frame, selected.until)

    def _read(self, number: int, plan: InputPlan) -> None:
        """Give the track the frames it needs of one input, and no more."""
        stream = next(part.stream for part in self._frames.plan.parts if part.input == number)
        span = planned_span((), plan, Fraction(0))
        length = Fraction(plan.duration_us, MICROSECONDS) if plan.duration_us else None
        if length is not None and self._image.duration_us:  # the audio of the last input may go on after its last frame
            length = min(length, Fraction(self._image.duration_us, MICROSECONDS) - self._frames.length)
        if stream < 0:
            self._frames.skip(length or Fraction(0))
            return
        with open_source(self._locations[number], self._limits) as source:
            part = Part(number, source, span.begin)
            self._frames.begin(part, span)
            end = self._read_frames(part, span, stream, length)
            end = length if plan.still else end
            if end is not None and length is not None and end + _CLAIM_SECONDS < length:
                text = f"the source claims {float(length):.3f} s, but has frames for {float(end):.3f} s only"
                self._note(text)
            self._frames.end(part, end if end is not None else length or Fraction(0), False)

    def _read_frames(self, part: Part, span: Span, stream: int, length: Fraction | None) -> Fraction | None:
        """Seek from frame to frame; decode on where the next one is near. Return where the input ended if it came to that."""
        video: Any = part.source.streams[stream]
        keys = self._image.reading is FrameAccess.KEYFRAMES
        decoding = self._decoding.of(self._inputs[part.number].source, stream, video.type)
        decoding.expected += int((length or 0) * (average_rate(video) or 0))
        # Where nothing can be looked up, all frames are decoded, once.
        near = float("inf") if begins_again(part.source) else Fraction(self._image.key_us, MICROSECONDS)
        last, step = Fraction(-1), Fraction(0)
        while (wanted := self._frames.next_time(length)) is not None:
            for frame in frames_from(part.source, video, span.begin + wanted, decoding, self._note, keys):
                if self._stop.is_set():
                    raise Stopped
                assert frame.pts is not None and frame.time_base
                time = frame.pts * frame.time_base - span.begin
                if time <= last:
                    continue  # a frame of the same GOP that was already seen
                last, step = time, (frame.duration or 0) * frame.time_base or time - last
                self._frames.feed(part, stream, frame)
                following = self._frames.next_time(length)
                if following is None or (not keys and following != wanted and following - time > near):
                    break
                wanted = following
            else:
                return max(last + step, Fraction(0))
        return None
