"""Write one image entry of a target: snapshots, a sprite sheet, or an animation."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from av import VideoFrame
from av.container import InputContainer

from reelmill_server.media.chunk_file import ChunkFile
from reelmill_server.media.image.animations import animation_writer
from reelmill_server.media.image.frame_selection import FrameSelector, SelectedFrame
from reelmill_server.media.image.frame_track import FrameTrack
from reelmill_server.media.image.frames_ahead import FramesAhead
from reelmill_server.media.image.stills import ImageWriter, SheetWriter, StillWriter, WrittenImage
from reelmill_server.media.input.decoding import Decoding, StreamDecoding
from reelmill_server.media.input.part import Part, Span
from reelmill_server.media.input.restarts import begins_again
from reelmill_server.media.input.seek import frames_from
from reelmill_server.media.input.source import Location, average_rate, open_source
from reelmill_server.media.output.base import Output, Stopped, StopSignal
from reelmill_server.media.output.input_spans import planned_span
from reelmill_server.model.capability import Limits
from reelmill_server.model.image_request import ImageKind
from reelmill_server.model.plan import FrameAccess, ImagePlan, InputPlan, Plan
from reelmill_server.model.time import FALLBACK_RATE, MICROSECONDS

_CLAIM_SECONDS = Fraction(1)  # the duration that a container claims is no more exact
_SURELY = Fraction(1, 2)  # by which frames are further apart than those that are decoded on to
_LITTLE_PIXELS = 1 << 24  # that one thread has decoded sooner than others have started, and filled memory of their own

_WRITERS: Mapping[str, Callable[[ImagePlan, Path, int], ImageWriter]] = {
    "snapshot": StillWriter,
    "sprite": SheetWriter,
    "animation": animation_writer,
}


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
        sources: Sequence[InputContainer] = (),
        chunk_files: Sequence[ChunkFile] = (),
    ) -> None:
        """`locations` are those of the inputs of the whole plan `task`, `sources` what is open there and nobody else reads;
        `chunk_files` hold the frames if chunks selected them.
        """
        self._locations, self._limits, self._sources = locations, limits, sources
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
        with self._opened(number) as source:
            part = Part(number, source, span.begin)
            self._frames.begin(part, span)
            end = self._read_frames(part, span, stream, length)
            end = length if plan.still else end
            if end is not None and length is not None and end + _CLAIM_SECONDS < length:
                text = f"the source claims {float(length):.3f} s, but has frames for {float(end):.3f} s only"
                self._note(text)
            self._frames.end(part, end if end is not None else length or Fraction(0), False)

    def _opened(self, number: int) -> AbstractContextManager[InputContainer]:
        """Open the source of an input, unless it is open for this output alone: opening decodes frames."""
        return nullcontext(self._sources[number]) if self._sources else open_source(self._locations[number], self._limits)

    def _read_frames(self, part: Part, span: Span, stream: int, length: Fraction | None) -> Fraction | None:
        """Seek from frame to frame; decode on where the next one is near. Return where the input ended if it came to that."""
        video: Any = part.source.streams[stream]
        keys = self._image.reading is FrameAccess.KEYFRAMES
        decoding = self._decoding.of(self._inputs[part.number].source, stream, video.type)
        decoding.expected += int((length or 0) * (average_rate(video) or 0))
        # Where nothing can be looked up, all frames are decoded, once.
        near = float("inf") if begins_again(part.source) else Fraction(self._image.key_us, MICROSECONDS)
        if self._is_little(video, near) and not video.codec_context.is_open:
            video.codec_context.thread_count = 1
        last, step = Fraction(-1), Fraction(0)
        with self._ahead(part, span, stream, length, near) as ahead:
            while (wanted := self._frames.next_time(length)) is not None:
                for frame in self._frames_from(ahead, part, span, video, wanted, decoding):
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
                    end = max(last + step, Fraction(0))
                    return length if keys and end and length else end  # other frames may follow the last keyframe
        return None

    def _is_little(self, video: Any, near: Fraction | float) -> bool:
        """Return whether few pixels are decoded until all that is wanted is there."""
        pixels = near * (average_rate(video) or FALLBACK_RATE) * video.width * video.height
        return self._selector.wants_one and self._image.reading is FrameAccess.SEEK and pixels < _LITTLE_PIXELS

    def _ahead(self, part: Part, span: Span, stream: int, length: Fraction | None, near: Fraction | float) -> FramesAhead:
        """Decode frames ahead whose times are known, and so far apart that each is sought."""
        known, before = [], self._frames.length
        if length is not None and self._image.reading is FrameAccess.SEEK:
            known = [time - before for time in self._selector.upcoming(before + length)]
        apart = len(known) > 1 and all(later - earlier > near + _SURELY for earlier, later in pairwise(known))
        opening = partial(open_source, self._locations[part.number], self._limits)
        return FramesAhead(opening, stream, span.begin, known if apart else (), self.check)

    def _frames_from(
        self, ahead: FramesAhead, part: Part, span: Span, video: Any, wanted: Fraction, decoding: StreamDecoding
    ) -> Iterator[VideoFrame]:
        """Yield frames from the one shown at `wanted`, or an earlier one, on."""
        ended = yield from ahead.take(wanted, decoding, self._note, self._frames.reached)
        if not ended:
            keys = self._image.reading is FrameAccess.KEYFRAMES
            yield from frames_from(part.source, video, span.begin + wanted, decoding, self._note, keys)
