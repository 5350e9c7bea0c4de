"""Join decoded audio frames into blocks: what Python does for each frame takes longer than decoding its samples."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from av import AudioFifo, AudioFrame

from reelmill_server.media.libav.layouts import is_shared

_BLOCKS_PER_SECOND = 2


@dataclass(frozen=True)
class AudioBlock:
    """The samples of `count` decoded frames that follow each other without a gap."""

    frame: AudioFrame
    count: int = 1


class AudioBlocks:
    """Join the frames of one stream, whose times are final, into blocks of half a second.

    A frame belongs to a block if it is in the same format and begins, to the tick, where the block ends. Elsewhere a new block
    begins, at its own time: gaps, overlaps and drift are as before.
    """

    def __init__(self) -> None:
        self._fifo = AudioFifo()
        self._shape: tuple[Any, ...] = ()
        self._first: AudioFrame | None = None  # all of the block, as long as there is no second frame
        self._begin = self._samples = self._count = 0
        self._tick = self._sample = 1  # lengths, in units of which both have a whole number

    def join(self, frames: Iterable[AudioFrame], base: Any) -> Iterator[AudioBlock]:
        """Yield the blocks that have ended once `frames` came, whose time base is `base`."""
        for frame in frames:
            shape = frame.sample_rate, frame.layout.name, frame.format.name, base
            if not self._continues(frame, shape):
                yield from self.rest()
                if not self._open(frame, shape):
                    yield AudioBlock(frame)
                    continue
            self._add(frame)
            if self._samples * _BLOCKS_PER_SECOND >= frame.sample_rate:
                yield from self.rest()

    def rest(self) -> Iterator[AudioBlock]:
        """Yield what is held back."""
        if not self._count:
            return
        frame: Any = self._first or self._fifo.read()
        block, self._count, self._first = AudioBlock(frame, self._count), 0, None
        frame.pts, frame.time_base = self._begin, self._shape[-1]
        yield block

    def _continues(self, frame: AudioFrame, shape: tuple[Any, ...]) -> bool:
        if not self._count or frame.pts is None or shape != self._shape:
            return False
        return abs((frame.pts - self._begin) * self._tick - self._samples * self._sample) <= self._tick

    def _open(self, frame: AudioFrame, shape: tuple[Any, ...]) -> bool:
        """Begin a block with `frame`; return whether others can follow it."""
        base = shape[-1]
        if frame.pts is None or not base or not frame.sample_rate or is_shared(frame.layout):
            return False
        if shape != self._shape:
            self._fifo, self._shape = AudioFifo(), shape
        self._tick, self._sample = base.numerator * frame.sample_rate, base.denominator
        self._begin, self._samples = frame.pts, 0
        return True

    def _add(self, frame: AudioFrame) -> None:
        if self._count:
            if self._first is not None:
                self._write(self._first)
            self._write(frame)
        self._first = None if self._count else frame
        self._count += 1
        self._samples += frame.samples

    def _write(self, frame: AudioFrame) -> None:
        frame.pts = None  # the queue has an opinion of its own about times
        self._fifo.write(frame)
