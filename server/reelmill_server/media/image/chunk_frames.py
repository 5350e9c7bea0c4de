"""Select frames in a chunk for the join: candidates of the chunk's window, or the final ones when a chunk sees all."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from av import VideoFrame
from av.video.reformatter import VideoReformatter

from reelmill_server.media.chunk_file import ChunkFileWriter, PackedFrame
from reelmill_server.media.image.frame_selection import FrameSelector, SelectedFrame, is_blank, times_of
from reelmill_server.media.image.frame_track import FrameTrack
from reelmill_server.media.image.stills import WrittenImage
from reelmill_server.media.input.part import Span
from reelmill_server.model.plan import FramesPlan, ImagePlan


class ChunkSelector:
    """Offer the frames of a window at which a `FrameSelector` of all frames would look, judged by time alone.

    Whether one is selected may depend on frames before the window; the join decides that.
    """

    def __init__(self, plan: FramesPlan, window: Span) -> None:
        """`window` is in seconds of the source's span."""
        self._plan, self._window = plan, window
        self._times = times_of(plan)
        self._reformatter = VideoReformatter()
        self._shown = 0
        self.last: Fraction | None = None
        self.unordered = 0

    @property
    def next_time(self) -> Fraction | None:
        over = self.last is not None and self._window.after(self.last)
        enough = self._plan.number and self._shown >= self._plan.number
        return None if over or enough else self._times.next_time

    def offer(self, offered: SelectedFrame) -> Iterator[SelectedFrame]:
        if self.last is not None and offered.time <= self.last:
            self.unordered += self._within(offered)
            return
        if self.last is None and not self._window.from_front:
            self._times.skip(offered.time)
        if self.next_time is not None:
            self.last = offered.time
            yield from self._judged(self._times.offer(offered))

    def end(self, time: Fraction) -> Iterator[SelectedFrame]:
        if self.next_time is not None:
            yield from self._judged(self._times.end(time))

    def finish(self) -> Iterator[SelectedFrame]:
        return iter(())

    def _within(self, picked: SelectedFrame) -> bool:
        return not self._window.before(picked.time) and not self._window.after(picked.time)

    def _judged(self, candidates: Iterator[SelectedFrame]) -> Iterator[SelectedFrame]:
        for picked in candidates:
            if self._within(picked):
                blank = self._plan.skip_blank and is_blank(picked.frame, self._reformatter)
                self._shown += not blank
                yield replace(picked, blank=blank)


class _Packer:
    """Write frames to a chunk file, with the interface of an `ImageWriter`."""

    def __init__(self, chunk_file: ChunkFileWriter) -> None:
        self._chunk_file, self.count = chunk_file, 0
        self.blank: bool | None = None

    def take(self, time: Fraction, frame: VideoFrame, until: Fraction | None = None) -> None:
        self._chunk_file.frame(PackedFrame(time, frame, self.blank, until))
        self.count += 1

    def finish(self) -> list[WrittenImage]:
        return []


class ChunkFrameTrack(FrameTrack):
    """Pack the selected frames, in the form in which they will be written."""

    def __init__(self, plan: ImagePlan, chunk_file: ChunkFileWriter, window: Span | None) -> None:
        """`window` None: the chunk sees all frames, and its selection is `final`."""
        self._packer = _Packer(chunk_file)
        super().__init__(
            plan, self._packer, FrameSelector(plan.frames) if window is None else ChunkSelector(plan.frames, window)
        )
        self.final = window is None

    @property
    def count(self) -> int:
        """Return how many frames were packed."""
        return self._packer.count

    def _take(self, frames: Iterator[SelectedFrame], end: Fraction | None = None) -> None:
        for selected in frames:
            self._packer.blank = selected.blank
            super()._take(iter((selected,)), end)
