"""Give frames the times that their decoder or their source leaves out."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import islice
from typing import Any

import av

from reelmill_server.media.input.padding import cut_frames
from reelmill_server.media.input.video_clock import counts_all, delay, is_packed
from reelmill_server.media.libav.timestamps import exact
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.plan.clock import COUNTING_FORMATS, DECODING_FORMATS, UNSURE_FORMATS

_MOST_DELAYED = 64  # more frames no decoder holds back
_LONGEST_DELAY = Fraction(1, 2)
_NO_TIME, _WHOLE = Fraction(0), Fraction(1)


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
        self._since = _NO_TIME  # seconds of the frames after it
        self._first: Fraction | None = None  # when the first packet begins
        self._near_limit: int | None = None  # a second before it, ticks

    @property
    def end(self) -> Fraction | None:
        """Return where the last frame ends, seconds of the source; before the first one, where that begins."""
        if self._timed is None:
            return None if self._first is None else self._first + self._since
        pts, base, samples, rate = self._timed
        return pts * exact(base) + Fraction(samples, rate) + self._since

    def complete(self, packet: AnyPacket, frames: Sequence[Any], base: Any) -> Sequence[Any]:
        """Return `frames`, which came out of the decoder with `packet`, with the timestamps that miss among them. `base`: the
        time base of both.
        """
        if self._first is None and packet.pts is not None and base:
            self._first = packet.pts * exact(base)
        for frame in frames:
            pts = frame.pts
            if pts is not None and (self._timed is None or pts != self._timed[0]):
                self._timed, self._since = (pts, base, frame.samples, frame.sample_rate), _NO_TIME
                continue
            begin = self.end
            if begin is None or not frame.sample_rate:
                continue
            frame.pts = round(begin / exact(base))
            self._since += Fraction(frame.samples, frame.sample_rate)
        if packet.size == 0 and packet.dts is None:  # the end of the stream
            self.final = self.end if self.limit is None or self.end is None else min(self.end, self.limit)
        return frames if self.limit is None or self._far_from(self.limit, frames, base) else [*cut_frames(frames, self.limit)]

    def _far_from(self, limit: Fraction, frames: Sequence[Any], base: Any) -> bool:
        """Return whether all of `frames` clearly end before `limit`."""
        if self._near_limit is None and base:
            self._near_limit = int((limit - 1) // exact(base))
        near = self._near_limit
        return near is not None and all(
            frame.pts is not None and frame.pts < near and frame.samples <= frame.sample_rate for frame in frames
        )


class RepeatedTimes:
    """Tell the frames of one video stream apart that claim the same time: each further one is shown later, before the next.

    A frame without a time follows the one before it: of several frames in a PES packet only the first has one. `end`: where the
    frame before the next one ends, in its ticks; None: unknown.
    """

    def __init__(self) -> None:
        self._claimed: int | None = None
        self._share = _WHOLE
        self.end: int | None = None

    def separate(self, frames: Sequence[Any]) -> None:
        """Move those of `frames` that claim the time of the one before them: halfway to its end, and so on."""
        for frame in frames:
            if frame.pts is None and self.end is not None:
                frame.pts = self.end
            self.end = frame.pts + frame.duration if frame.pts is not None and frame.duration else None
            if frame.pts is None or frame.pts != self._claimed:
                self._claimed, self._share = frame.pts, _WHOLE
                continue
            self._share /= 2
            frame.pts += int((frame.duration or 0) * (1 - self._share))


class _DecodedTimes:
    """Time the frames of a container whose packets say when they are decoded: frames leave the decoder as they are shown.

    Each one's decode timestamp is that of the packet with which it came out. In AVI it is earlier by the delay of reordering,
    as many packets as came before the first frame did: that is shown when the first packet is decoded.
    """

    def __init__(self, stream: Any, keys: bool) -> None:
        """`keys`: only keyframes are decoded, which come out with any later packet."""
        self._first = [entry.timestamp for entry in islice(stream.index_entries, _MOST_DELAYED)]
        self._longest = int(_LONGEST_DELAY / exact(stream.time_base))
        self._front = round(Fraction(stream.container.start_time or 0, av.time_base) / exact(stream.time_base))
        self._keys = keys
        self._given: list[int] = []
        self._moved, self._packed = delay(stream), is_packed(stream)
        counts = stream.container.format.name in COUNTING_FORMATS
        self._delay: int | None = None if counts and not (keys and self._moved) else 0
        self._last: int | None = None
        self._step = 0

    def complete(self, packet: AnyPacket, frames: Sequence[Any]) -> None:
        """Set the times of `frames`, which came out of the decoder with `packet`."""
        if packet.dts is not None and self._delay is None:
            self._given.append(packet.dts)
            if self._keys and packet.pts is not None:
                self._delay = packet.pts - packet.dts
        for frame in frames:
            time = self._time_of(frame, packet.dts is None)
            if time is not None and self._last is not None and time > self._last:
                self._step = time - self._last
            frame.pts = self._last = time

    def _time_of(self, frame: Any, ended: bool) -> int | None:
        if self._keys:
            return None if frame.pts is None else frame.pts - (self._delay or 0)
        if frame.dts is not None:
            if self._delay is None:
                self._delay = frame.dts - frame.pts if self._moved and frame.pts is not None else self._measured(frame.dts)
            return int(frame.dts - self._delay)
        if not ended:  # of a decoder that does not say
            return frame.pts  # type: ignore[no-any-return]
        if self._last is not None:
            return self._last + (self._step or frame.duration or 1)
        return self._given[0] if self._given else frame.pts

    def _measured(self, came_out: int) -> int:
        """Return the delay of the first frame, which came out with the packet decoded at `came_out`."""
        count = self._given.index(came_out) if came_out in self._given else 0
        if self._packed:  # where reading begins with a keyframe, the frame that is in its packet, too, does not come out
            count = min(count, 1)
        for times in (self._first, self._given):  # the same wherever reading begins, if the container has an index
            if count < len(times) and times[count] - times[0] <= self._longest:
                return min(times[count] - times[0], max(times[count] - self._front, 0))
        return 0


class VideoTimes:
    """Time the frames of one video stream that is read from one position on."""

    def __init__(self, stream: Any, keys: bool = False) -> None:
        """`keys`: only keyframes are decoded."""
        name = stream.container.format.name
        self._decoded = _DecodedTimes(stream, keys) if name in DECODING_FORMATS else None
        self._counts = bool(counts_all([stream]))
        self._unsure = self._counts and name in UNSURE_FORMATS
        self._repeated = RepeatedTimes()

    def complete(self, packet: AnyPacket, frames: Sequence[Any]) -> Sequence[Any]:
        """Return `frames`, which came out with `packet`, but for those that only count (`counts_all`). Set times that
        miss, are those of decoding, or are claimed twice.
        """
        if self._decoded is not None:
            self._decoded.complete(packet, frames)
        if self._unsure and self._repeated.end is None:
            self._repeated.end = packet.dts
        self._repeated.separate(frames)
        return [frame for frame in frames if not frame.is_corrupt] if self._counts else frames
