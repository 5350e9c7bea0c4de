"""What went into a stream, as a test wants it to be."""

from dataclasses import replace
from fractions import Fraction
from math import lcm

from reelmill_server.media.libav.timestamps import Extent
from reelmill_server.media.track.base import StreamStats


def reaching(written: StreamStats, last_start: Fraction, last: Fraction) -> StreamStats:
    """The same packets, but the last one begins and ends then."""
    first = written.extent.first
    assert first is not None
    base = Fraction(1, lcm(first.denominator, last_start.denominator, last.denominator))
    extent = Extent()
    extent.add(int(first / base), 0, base)
    extent.add(int(last_start / base), int((last - last_start) / base), base)
    assert (extent.first, extent.last_start, extent.last) == (first, last_start, last)
    return replace(written, extent=extent)
