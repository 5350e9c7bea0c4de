"""Measure the span of a copy in ticks, and where its packets go."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from reelmill_server.media.input.bundle import Run
from reelmill_server.media.input.part import TOLERANCE, Span
from reelmill_server.media.libav.timestamps import AffineMap, exact, first_tick
from reelmill_server.media.track.base import Clock
from reelmill_server.plan.clock import OVERRUN

PRIMING = Fraction(1, 10)
"""Encoder priming is shorter than this (Opus, the longest, has 80 ms of pre-roll); packets hidden before it are useless."""


@dataclass(frozen=True)
class Measures:
    """A span in ticks of the packets' time base, and how its packets map to the output's ticks.

    `begin` and `end` are rounded to ticks, `stop` is the exact end. Audio from `primed` on is kept although it lies before
    the span: the decoder needs it. `place` maps a timestamp, `length` a duration. `overrun`: for so
    long audio is held back at a seam.
    """

    base: Any  # the type is PyAV's own
    begin: int
    end: int | None
    stop: Fraction | None
    primed: int
    place: AffineMap
    length: AffineMap
    overrun: int

    def over(self, tick: int) -> bool:
        """Return whether a time is at or after the end."""
        return self.end is not None and tick >= self.end

    def hold(self, run: Run) -> bool:
        """Return whether all of a run, which is `timed`, lies in the span."""
        first, last = run.span
        return (
            (run.base is self.base or run.base == self.base) and first >= self.begin and not self.over(max(last, run.dts[-1]))
        )

    @classmethod
    def of(cls, base: Any, span: Span, clock: Clock, output_base: Fraction, priming: Fraction = PRIMING) -> "Measures":
        """Measure `span`; `clock` is that of the output when the part begins. `priming`: how much audio before it is kept."""
        tick, scale = exact(base), 1 / clock.speed / output_base
        return cls(
            base,
            first_tick(span.begin - TOLERANCE, tick),
            None if span.end is None else first_tick(span.end - TOLERANCE, tick),
            None if span.end is None else span.end / tick,
            first_tick(span.begin - priming, tick),
            AffineMap(tick * scale, (clock.offset - span.begin) * scale),
            AffineMap(tick * scale),
            int(2 * OVERRUN / tick),
        )
