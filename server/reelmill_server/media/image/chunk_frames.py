"""Pictures that a unit picks for one that joins them: those of a chunk that come into question, or final ones of all."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from av import VideoFrame
from av.video.reformatter import VideoReformatter

from reelmill_server.media.chunk_file import ChunkFileWriter, PackedFrame
from reelmill_server.media.image.frame_selection import FrameSelector, SelectedFrame, is_blank, times_of
from reelmill_server.media.image.output import FrameTrack
from reelmill_server.media.image.stills import WrittenImage
from reelmill_server.media.input.part import Span
from reelmill_server.model.plan import FramesPlan, ImagePlan


class ChunkSelector:
    """Offers what a `FrameSelector` of all frames would look at among those of a window, which is told apart by times alone.

    Whether one is taken may depend on those before the window: that is seen when all are together.
    """

    def __init__(self, plan: FramesPlan, window: Span) -> None:
        """`window` in seconds of the source's span."""
        self._plan, self._window = plan, window
        self._times = times_of(plan)
        self._reformatter = VideoReformatter()
        self._shown = 0
        self.last: Fraction | None = None
        self.unordered = 0

    @property
    def next_time(self) -> Fraction | None:
        """As `FrameSelector.next_time`."""
        over = self.last is not None and self._window.after(self.last)
        enough = self._plan.number and self._shown >= self._plan.number
        return None if over or enough else self._times.next_time

    def offer(self, offered: SelectedFrame) -> Iterator[SelectedFrame]:
        """As `FrameSelector.offer`."""
        if self.last is not None and offered.time <= self.last:
            self.unordered += self._within(offered)
            return
        if self.last is None and not self._window.from_front:
            self._times.skip(offered.time)
        if self.next_time is not None:
            self.last = offered.time
            yield from self._judged(self._times.offer(offered))

    def end(self, time: Fraction) -> Iterator[SelectedFrame]:
        """As `FrameSelector.end`."""
        if self.next_time is not None:
            yield from self._judged(self._times.end(time))

    def finish(self) -> Iterator[SelectedFrame]:
        """Nothing is held back."""
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
    """Takes pictures as `ImageWriter` does."""

    def __init__(self, chunk_file: ChunkFileWriter) -> None:
        self._chunk_file, self.count = chunk_file, 0
        self.blank: bool | None = None

    def take(self, time: Fraction, frame: VideoFrame) -> None:
        """One more picture."""
        self._chunk_file.frame(PackedFrame(time, frame, self.blank))
        self.count += 1

    def finish(self) -> list[WrittenImage]:
        """No file is made."""
        return []


class ChunkFrameTrack(FrameTrack):
    """Packs what is picked, in the form in which it will be written."""

    def __init__(self, plan: ImagePlan, chunk_file: ChunkFileWriter, window: Span | None) -> None:
        """`window` None: all is seen, and what is picked is `final`."""
        self._packer = _Packer(chunk_file)
        super().__init__(
            plan, self._packer, FrameSelector(plan.frames) if window is None else ChunkSelector(plan.frames, window)
        )
        self.final = window is None

    @property
    def count(self) -> int:
        """How many pictures were packed."""
        return self._packer.count

    def _take(self, pictures: Iterator[SelectedFrame]) -> None:
        for picked in pictures:
            self._packer.blank = picked.blank
            super()._take(iter((picked,)))
