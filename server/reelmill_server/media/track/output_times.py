"""Move copied packets from the times of their source to those of the output."""

import operator
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from reelmill_server.media.input.bundle import Run
from reelmill_server.media.libav.timestamps import exact
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.track.measures import Measures


class OutputTimes:
    """Set the times of packets in ticks of `time_base`, decode timestamps in order and at least `least_step` apart."""

    def __init__(self, time_base: Fraction, least_step: int, bounded: bool) -> None:
        """`bounded`: no packet lasts beyond the end of the span."""
        self._time_base, self._least_step, self._bounded = time_base, least_step, bounded
        self._previous: int | None = None  # the last decode timestamp of the source
        self._last_decoded: int | None = None

    def begin(self) -> None:
        """Begin a part, or another time base: packets have nothing to do with those before."""
        self._previous = None

    def move(self, item: AnyPacket, measures: Measures) -> AnyPacket:
        """Move a packet."""
        dts = item.dts
        pts: Any = item.pts if item.pts is not None else dts
        decoded = pts if dts is None else dts
        duration: int | Fraction = item.duration or 0
        if not duration and self._previous is not None:
            # A last packet of no duration would be dropped by readers of MP4.
            duration = max(0, decoded - self._previous)
        self._previous = decoded
        if self._bounded and measures.stop is not None:
            duration = min(duration, measures.stop - pts)
        moved = measures.place.at(pts)
        if dts is not None:
            item.dts = self._after_the_last(measures.place.at(decoded))
        elif self._last_decoded is not None:  # the first frames of a further part: a muxer would take them for earlier ones
            item.dts = self._after_the_last(self._last_decoded)
        if item.dts is not None:
            moved = max(moved, item.dts)
        item.pts, item.duration = moved, measures.length.at(duration)
        item.time_base = self._time_base
        return item

    def move_together(self, run: Run, measures: Measures) -> tuple[Sequence[int], Sequence[int]] | None:
        """Move a run if its packets stay in order; return when each is shown now and how long, if it was."""
        step = self._least_step
        shown, decoded = measures.place.all(run.pts), measures.place.all(run.dts)
        lengths = measures.length.all(run.durations)
        behind = self._last_decoded is None or decoded[0] >= self._last_decoded + step
        apart = not step or len({*decoded}) == len(decoded)
        if not (behind and apart and all(map(operator.ge, shown, decoded))):
            return None
        if shown is not run.pts or decoded is not run.dts or lengths is not run.durations:
            for packet, pts, dts, duration in zip(run.packets, shown, decoded, lengths, strict=True):
                packet.pts, packet.dts, packet.duration = pts, dts, duration
        if exact(run.base) != self._time_base:
            for packet in run.packets:
                packet.time_base = self._time_base
        self._previous, self._last_decoded = run.dts[-1], decoded[-1]
        return shown, lengths

    def _after_the_last(self, decoded: int) -> int:
        """Keep decode timestamps in order: at a seam, those of two sources, or of one that was joined, may cross."""
        if self._last_decoded is not None:
            decoded = max(decoded, self._last_decoded + self._least_step)
        self._last_decoded = decoded
        return decoded
