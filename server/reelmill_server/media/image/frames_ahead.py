"""Decode the frames of requested times ahead, several at once: each group of frames is decoded on its own, by one thread."""

import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from av import VideoFrame
from av.container import InputContainer

from reelmill_server.media.input.decoding import StreamDecoding
from reelmill_server.media.input.seek import frames_from
from reelmill_server.media.output.base import Stopped
from reelmill_server.plan.clock import LATE

_MOST_THREADS = 4  # each has a decoder, which holds the frames that others refer to
_POLL_SECONDS, _MOST_POLLS = 0.2, 10


@dataclass
class _FramesAround:
    """The frames around one time: the one shown then, the one before it, and those after it until it is known to be over.

    `ended`: nothing follows them; `reached`: when the frame is shown that was decoded last, seconds.
    """

    counts: StreamDecoding
    frames: list[VideoFrame] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ended: bool = False
    reached: Fraction = Fraction(0)


class FramesAhead:
    """Decode the frames of some times of one stream, in their order, while those before are used."""

    def __init__(
        self,
        opening: Callable[[], AbstractContextManager[InputContainer]],
        stream: int,
        begin: Fraction,
        times: Sequence[Fraction],
        check: Callable[[], None],
    ) -> None:
        """`opening` opens the source anew; `times` count from second `begin` of it; `check` raises when all is to end."""
        self._opening, self._stream, self._begin, self._check = opening, stream, begin, check
        self._left = iter(times)
        self._threads = min(os.cpu_count() or 1, _MOST_THREADS, len(times))
        self._executor = ThreadPoolExecutor(max(self._threads, 1), "frames")
        self._opened, self._over = ExitStack(), False
        self._idle = list[tuple[InputContainer, StreamDecoding]]()
        self._pending = deque[tuple[Fraction, _FramesAround, Future[None]]]()

    def __enter__(self) -> "FramesAhead":
        return self

    def __exit__(self, *error: object) -> None:
        self._over = True
        self._executor.shutdown(cancel_futures=True)
        self._pending.clear()
        self._opened.close()

    def take(
        self, wanted: Fraction, decoding: StreamDecoding, note: Callable[[str], None], moved: Callable[[Fraction], None]
    ) -> Generator[VideoFrame, None, bool]:
        """Yield the frames around `wanted`; none if they were not decoded ahead. Return whether nothing follows them.

        `decoding` counts packets, `note` is told why reading broke off, `moved` how far decoding has come.
        """
        around = self._next_around(wanted, moved)
        if around is None:
            return False
        decoding.packets += around.counts.packets
        decoding.broken += around.counts.broken
        decoding.damaged += around.counts.damaged
        decoding.last_error = around.counts.last_error or decoding.last_error
        for text in around.notes:
            note(text)
        yield from around.frames
        return around.ended

    def _next_around(self, wanted: Fraction, moved: Callable[[Fraction], None]) -> _FramesAround | None:
        self._begin_some()
        while self._pending and self._pending[0][0] <= wanted:
            time, around, coming = self._pending.popleft()
            if time < wanted:  # the frame shown at the time before is shown then, too
                coming.cancel()
            elif self._wait(coming, around, moved):
                self._begin_some()
                return around
            self._begin_some()
        return None

    def _wait(self, coming: "Future[None]", around: _FramesAround, moved: Callable[[Fraction], None]) -> bool:
        """Return whether it is found: a thread that finds no memory when it starts never begins. Raises its error."""
        polls = 0
        while not wait((coming,), _POLL_SECONDS).done:
            self._check()
            moved(around.reached)
            polls += 1
            if polls > _MOST_POLLS and coming.cancel():
                return False
        coming.result()
        return True

    def _begin_some(self) -> None:
        while len(self._pending) <= self._threads and (time := next(self._left, None)) is not None:
            around = _FramesAround(StreamDecoding(0, self._stream, "video"))
            with suppress(RuntimeError):  # no thread can be started
                self._pending.append((time, around, self._executor.submit(self._find, time, around)))

    def _find(self, wanted: Fraction, around: _FramesAround) -> None:
        try:
            source, counts = self._idle.pop()
        except IndexError:
            source, counts = self._open()
        counts.packets = counts.broken = counts.damaged = 0
        counts.last_error = ""
        last: Fraction | None = None
        around.ended = True
        for frame in frames_from(source, source.streams[self._stream], self._begin + wanted, counts, around.notes.append):
            if self._over:
                raise Stopped
            time = Fraction((frame.pts or 0) * (frame.time_base or 0)) - self._begin
            if last is not None and time <= last:
                continue
            if last is None or last <= wanted:
                del around.frames[:-1]
            around.frames.append(frame)
            last = around.reached = time
            if time > wanted + LATE:
                around.ended = False
                break
        around.counts = replace(counts)
        self._idle.append((source, counts))

    def _open(self) -> tuple[InputContainer, StreamDecoding]:
        source = self._opened.enter_context(self._opening())
        video: Any = source.streams[self._stream]
        # Several frames of one group at once would take longer: some would be decoded in vain, behind the wanted one.
        video.codec_context.thread_count = 1
        return source, StreamDecoding(0, self._stream, "video")
