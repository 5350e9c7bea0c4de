"""Carry closed captions over to encoded video of another frame rate."""

from collections import deque
from collections.abc import Callable, Iterator
from fractions import Fraction

from av import VideoFrame

from reelmill_server.media.libav import a53
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.track.base import StreamStats
from reelmill_server.model.plan import StreamPlan

_MOST_WAITING = 4096  # tuples; captions are 600 a second


class Captions:
    """The captions of one encoded video stream.

    Where frames are repeated or dropped, captions would be repeated and dropped with them. There they are taken from the
    frames, and each encoded frame is given what has come since the one before it: no pair is lost, doubled, or moved.
    """

    def __init__(self, plan: StreamPlan, written: StreamStats) -> None:
        """`written` counts the frames that have captions, and what found no place."""
        self._written, self._codec = written, plan.codec
        self._moved = plan.codec in a53.CODECS and (plan.steady or plan.counted)
        self._speed, self._step = plan.speed, 1 / plan.video.frame_rate if plan.video else Fraction(0)
        self._coming: deque[tuple[Fraction, bytes]] = deque()
        self._pairs: deque[bytes] = deque(maxlen=_MOST_WAITING)
        self._others: deque[bytes] = deque(maxlen=_MOST_WAITING)
        self._given: dict[int, bytes] = {}

    @property
    def filters(self) -> tuple[str, ...]:
        """Return the filters that frames pass before all others."""
        return (a53.DELETED,) if self._moved else ()

    def read(self, frame: VideoFrame, codec: str, time_of: Callable[[VideoFrame], Fraction | None]) -> None:
        """Look at a frame of a source in `codec`. `time_of` returns when it is shown, seconds of the output; None: unknown."""
        data = a53.in_frame(frame, codec)
        if not data or (time := time_of(frame)) is None:
            return
        self._written.caption_data += 1
        self._written.captioned += not all(map(a53.is_filler, a53.tuples(data)))
        if self._moved:
            # Of a longer frame than the encoded ones, the nearest of those shows it; of shorter ones each shows several.
            half = (frame.duration or 0) * (frame.time_base or 0) / self._speed / 2
            self._coming.append((time - max(self._step - half, self._step / 2), data))

    def give(self, frame: VideoFrame, ticks: int) -> None:
        """Give a frame that is encoded, with the timestamp `ticks` of its packet, what it shows."""
        if self._moved and frame.pts is not None and frame.time_base:
            data = b"".join(self._due(frame))
            if data:
                self._given[ticks] = data

    def hasten(self) -> None:
        """Let the next frame, which is the last one, show all that has come."""
        self._coming = deque((Fraction(-1), data) for _, data in self._coming)

    def skip(self, frame: VideoFrame) -> None:
        """Leave out what a frame would show that is not encoded."""
        if self._moved and frame.pts is not None and frame.time_base:
            for _ in self._due(frame):
                pass

    def onto(self, packet: AnyPacket) -> AnyPacket:
        """Return an encoded packet with the captions of its frame."""
        data = self._given.pop(packet.pts, b"") if packet.pts is not None else b""
        return a53.with_captions(packet, self._codec, data) if data else packet

    def finish(self) -> None:
        """Count what is left behind the last frame."""
        self._written.captions_lost += sum(not a53.is_filler(part) for part in (*self._pairs, *self._others))

    def _due(self, frame: VideoFrame) -> Iterator[bytes]:
        """Yield the tuples of a frame: as many as one can have of what has come, CEA-608 first."""
        assert frame.pts is not None and frame.time_base
        time = frame.pts * frame.time_base
        while self._coming and self._coming[0][0] < time:
            for part in a53.tuples(self._coming.popleft()[1]):
                waiting = self._pairs if a53.kind_of(part) in a53.FIELDS else self._others
                self._written.captions_lost += len(waiting) == _MOST_WAITING
                waiting.append(part)
        for _ in range(a53.MOST):
            waiting = self._pairs or self._others
            if not waiting:
                return
            yield waiting.popleft()


def caption_warnings(plan: StreamPlan, written: StreamStats, field: str) -> Iterator[str]:
    """Yield what became of the captions of an encoded video stream of the target at `field`."""
    if written.captioned and plan.codec not in a53.CODECS:
        yield f"{field}.video: the source has closed captions (CEA-608/708) in its frames, and {plan.codec} none: they are lost"
    if written.captions_lost:
        yield f"{field}.video: {written.captions_lost} pairs of bytes of closed captions do not fit in the frames: left out"
