"""Select the frames that become images, out of frames whose times increase.

Times are seconds of the concatenated sources. A frame is shown from its time until that of the next one; the frame for a
requested time is the one shown then.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import count, dropwhile, islice, pairwise, takewhile
from typing import Any, Protocol

from av import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from reelmill_server.model.image_request import FrameMode
from reelmill_server.model.plan import FramesPlan
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.plan.clock import LATE

_HASH_WIDTH, _HASH_HEIGHT = 9, 8
_HASH_BITS = (_HASH_WIDTH - 1) * _HASH_HEIGHT
_BLANK_SIDE = 32
# In a blank frame, the luma of all but a few of its 1024 samples lies this close together: the rest is grain and noise.
_BLANK_SPREAD, _BLANK_OUTLIERS = 24, 10


@dataclass(frozen=True)
class SelectedFrame:
    """A frame that becomes an image, its own time, and the number of its input.

    `blank`: whether it is blank; `until`: when the next frame of the sources, or their end, follows it; None: unknown.
    """

    time: Fraction
    frame: VideoFrame
    input: int = 0
    blank: bool | None = None
    until: Fraction | None = None


class _Times(Protocol):
    """Choose candidates by time: all frames from some time on, or those shown at requested times."""

    def offer(self, offered: SelectedFrame) -> Iterator[SelectedFrame]:
        """Yield the frames that are known to be wanted once `offered` came."""

    def end(self, time: Fraction) -> Iterator[SelectedFrame]:
        """Yield what is wanted of a source that ends at `time`; frames of the next one follow."""

    def skip(self, time: Fraction) -> None:
        """Start at `time`, with which a frame begins; another chunk looks at what was shown before."""

    @property
    def next_time(self) -> Fraction | None:
        """The time from which on frames are needed; None: no more are."""


class _Keys:
    """Take the keyframes from a time on."""

    def __init__(self, start: Fraction) -> None:
        self.next_time: Fraction | None = start

    def offer(self, offered: SelectedFrame) -> Iterator[SelectedFrame]:
        assert self.next_time is not None
        if offered.frame.key_frame and offered.time >= self.next_time - LATE:
            yield offered

    def end(self, time: Fraction) -> Iterator[SelectedFrame]:
        return iter(())

    def skip(self, time: Fraction) -> None:
        pass


class _EveryFrame:
    """Take the frame shown at a time, and every one after it, each once it is known until when it is shown."""

    def __init__(self, start: Fraction) -> None:
        self.next_time: Fraction | None = start
        self._start = start
        self._held: SelectedFrame | None = None

    def offer(self, offered: SelectedFrame) -> Iterator[SelectedFrame]:
        earlier, self._held = self._held, offered
        if earlier is not None and _before(earlier, offered) > self._start:
            yield replace(earlier, until=offered.time)

    def end(self, time: Fraction) -> Iterator[SelectedFrame]:
        last, self._held = self._held, None
        if last is not None and max(time, last.time + LATE) > self._start:
            yield replace(last, until=time if time > last.time else None)

    def skip(self, time: Fraction) -> None:
        pass


def _before(earlier: SelectedFrame | None, offered: SelectedFrame) -> Fraction:
    """Return the time until which `earlier`, or what came before, is shown: `offered` may be a little late."""
    return offered.time - (LATE if earlier is None else min(LATE, (offered.time - earlier.time) / 2))


class _Shown:
    """Take the frames shown at requested times."""

    def __init__(self, times: Iterator[Fraction], repeats: bool) -> None:
        self._times, self._repeats = times, repeats
        self.next_time: Fraction | None = next(times, None)
        self._held: SelectedFrame | None = None

    def offer(self, offered: SelectedFrame) -> Iterator[SelectedFrame]:
        earlier, self._held = self._held, offered
        if earlier is not None:
            yield from self._until(earlier, _before(earlier, offered))

    def end(self, time: Fraction) -> Iterator[SelectedFrame]:
        last, self._held = self._held, None
        if last is not None:
            yield from self._until(last, max(time, last.time + LATE))

    def skip(self, time: Fraction) -> None:
        while self.next_time is not None and self.next_time < time - LATE:
            self.next_time = next(self._times, None)

    def _until(self, frame: SelectedFrame, time: Fraction) -> Iterator[SelectedFrame]:
        given = False
        while self.next_time is not None and self.next_time < time:
            self.next_time = next(self._times, None)
            if self._repeats or not given:
                given = True
                yield frame


class FrameSelector:
    """Select frames by a plan. `last`: the time of the last frame that was offered."""

    def __init__(self, plan: FramesPlan) -> None:
        self._plan = plan
        self._times = times_of(plan)
        self._before: int | None = None
        self._strongest: list[tuple[int, SelectedFrame]] = []
        self._blank: SelectedFrame | None = None
        self._shown = not plan.skip_blank
        self._left = plan.number or None
        self._keep_all = not (plan.mode is FrameMode.DHASH and plan.number)
        self._reformatter = VideoReformatter()
        self.last: Fraction | None = None
        self.unordered = 0

    @property
    def next_time(self) -> Fraction | None:
        """Return the time from which on frames are needed; None: no more are."""
        return None if self._left == 0 else self._times.next_time

    @property
    def wants_one(self) -> bool:
        """Whether the next frame is all that is wanted."""
        return self._left == 1 and self._keep_all and self._shown

    def upcoming(self, until: Fraction) -> list[Fraction]:
        """Return the times before `until` from which on frames will be needed, as far as they are known."""
        times, begin = _requested_times(self._plan), self.next_time
        if times is None or begin is None:
            return []
        known = takewhile(lambda time: time < until, dropwhile(lambda time: time < begin, times))
        return list(islice(known, self._left))

    def offer(self, offered: SelectedFrame) -> Iterator[SelectedFrame]:
        """Yield what is selected once `offered` came. Frames that go back in time are left out and counted as `unordered`."""
        if self.last is not None and offered.time <= self.last:
            self.unordered += 1
            return
        self.last = offered.time
        if self.next_time is not None:
            yield from self._sifted(self._times.offer(offered))

    def sift(self, candidate: SelectedFrame) -> Iterator[SelectedFrame]:
        """Yield what is selected once a candidate came."""
        yield from self._sifted(iter((candidate,)))

    def end(self, time: Fraction) -> Iterator[SelectedFrame]:
        """Yield what is selected of a source that ends at `time`."""
        if self.next_time is not None:
            yield from self._sifted(self._times.end(time))

    def finish(self) -> Iterator[SelectedFrame]:
        """Yield what could not be known before: the strongest changes, and a blank frame when there is no other."""
        if self._blank is not None and not self._shown:
            yield self._blank
        yield from (picked for _, picked in sorted(self._strongest, key=lambda pair: pair[1].time))

    def _sifted(self, candidates: Iterator[SelectedFrame]) -> Iterator[SelectedFrame]:
        for picked in candidates:
            if self._left == 0:
                return
            if not self._shown and (is_blank(picked.frame, self._reformatter) if picked.blank is None else picked.blank):
                self._blank = self._blank or picked
                continue
            self._shown = True
            if self._plan.mode is FrameMode.DHASH and not self._changed(picked):
                continue
            if self._left:
                self._left -= 1
            yield picked

    def _changed(self, picked: SelectedFrame) -> bool:
        """Return whether the frame is selected at once.

        It is compared with the last selected one; when a number of the strongest changes is requested, with the one before
        it, and those are known at the end only.
        """
        bits = difference_hash(picked.frame, self._reformatter)
        change = 101 if self._before is None else (bits ^ self._before).bit_count() * 100 // _HASH_BITS
        if self._keep_all:
            is_other = change > self._plan.threshold
            self._before = bits if is_other else self._before
            return is_other
        self._before = bits
        if change > self._plan.threshold:
            self._strongest.append((change, picked))
            self._strongest.sort(key=lambda pair: (-pair[0], pair[1].time))
            del self._strongest[self._plan.number :]
        return False


def _requested_times(plan: FramesPlan) -> Iterator[Fraction] | None:
    """Return the times whose frames are wanted; None: it is not by time that frames are chosen."""
    if plan.times_us:
        return (Fraction(time, MICROSECONDS) for time in plan.times_us)
    start, step = Fraction(plan.start_us, MICROSECONDS), Fraction(plan.interval_us, MICROSECONDS)
    return (start + place * step for place in count()) if step else None


def times_of(plan: FramesPlan) -> _Times:
    """Return the chooser of candidates for a plan."""
    times, start = _requested_times(plan), Fraction(plan.start_us, MICROSECONDS)
    if times is not None:
        return _Shown(times, plan.repeats)
    return _Keys(start) if plan.mode is FrameMode.KEYFRAME else _EveryFrame(start)


def difference_hash(frame: VideoFrame, reformatter: VideoReformatter) -> int:
    """Return dHash of 64 bits: whether each sample of a 9x8 gray frame is darker than the one to its right (N. Krawetz,
    2013).
    """
    grey = _grey(frame, _HASH_WIDTH, _HASH_HEIGHT, reformatter)
    bits = 0
    for row in grey:
        for left, right in pairwise(row):
            bits = bits << 1 | (left < right)
    return bits


def is_blank(frame: VideoFrame, reformatter: VideoReformatter) -> bool:
    """Return whether a frame is black or of nearly one brightness."""
    samples = sorted(value for row in _grey(frame, _BLANK_SIDE, _BLANK_SIDE, reformatter) for value in row)
    return samples[-1 - _BLANK_OUTLIERS] - samples[_BLANK_OUTLIERS] < _BLANK_SPREAD


def _grey(frame: VideoFrame, width: int, height: int, reformatter: VideoReformatter) -> list[bytes]:
    small = reformatter.reformat(frame, width, height, "gray", interpolation=Interpolation.AREA, threads=1)
    plane: Any = small.planes[0]
    data, stride = bytes(plane), plane.line_size
    return [data[row * stride : row * stride + width] for row in range(height)]
