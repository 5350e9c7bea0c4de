"""Give frames the times that their decoder or their source leaves out."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from reelmill_server.media.input.padding import cut_frames
from reelmill_server.media.libav.timestamps import exact
from reelmill_server.media.libav.types import AnyPacket


class FrameTimes:
    """Time the frames of one audio stream: one without a timestamp begins where the frame before it ended.

    Of several frames in one packet only the first has a timestamp, and those that a decoder holds until the end have none.
    One that has the timestamp of the frame before it is treated alike: audio never begins twice.

    `limit`: where the stream ends within its last frame, seconds of the source; None: with it. `final`: where the audio ends,
    once all of it was decoded; a packet may claim padding beyond it.
    """

    def __init__(self) -> None:
        self.limit: Fraction | None = None
        self.final: Fraction | None = None
        self._timed: tuple[int, Any, int, int] | None = None  # pts, time base, samples, rate of the last timed frame
        self._since = Fraction(0)  # seconds of the frames after it
        self._first: Fraction | None = None  # when the first packet begins

    @property
    def end(self) -> Fraction | None:
        """Return where the last frame ends, seconds of the source; before the first one, where that begins."""
        if self._timed is None:
            return None if self._first is None else self._first + self._since
        pts, base, samples, rate = self._timed
        return pts * exact(base) + Fraction(samples, rate) + self._since

    def complete(self, packet: AnyPacket, frames: Sequence[Any]) -> Sequence[Any]:
        """Return `frames`, which came out of the decoder with `packet`, with the timestamps that miss among them."""
        if self._first is None and packet.pts is not None and packet.time_base:
            self._first = packet.pts * packet.time_base
        for frame in frames:
            if frame.pts is not None and (self._timed is None or frame.pts != self._timed[0]):
                self._timed, self._since = (frame.pts, frame.time_base, frame.samples, frame.sample_rate), Fraction(0)
                continue
            begin = self.end
            if begin is None or not frame.sample_rate:
                continue
            frame.time_base = frame.time_base or packet.time_base
            frame.pts = round(begin / exact(frame.time_base))
            self._since += Fraction(frame.samples, frame.sample_rate)
        if packet.size == 0 and packet.dts is None:  # the end of the stream
            self.final = self.end if self.limit is None or self.end is None else min(self.end, self.limit)
        return frames if self.limit is None else [*cut_frames(frames, self.limit)]


class RepeatedTimes:
    """Tell the frames of one video stream apart that claim the same time: each further one is shown later, before the next.

    A frame without a time follows the one before it: of several frames in a PES packet only the first has one.
    """

    def __init__(self) -> None:
        self._claimed: int | None = None
        self._share = Fraction(1)
        self._end: int | None = None  # of the frame before

    def separate(self, frames: Sequence[Any]) -> None:
        """Move those of `frames` that claim the time of the one before them: halfway to its end, and so on."""
        for frame in frames:
            if frame.pts is None and self._end is not None:
                frame.pts = self._end
            self._end = frame.pts + frame.duration if frame.pts is not None and frame.duration else None
            if frame.pts is None or frame.pts != self._claimed:
                self._claimed, self._share = frame.pts, Fraction(1)
                continue
            self._share /= 2
            frame.pts += int((frame.duration or 0) * (1 - self._share))
