"""Tell what was left out of a stream on purpose, and what was added to it: the rest of its source is in it."""

from fractions import Fraction

from reelmill_server.media.input.account import OVERLAP
from reelmill_server.media.input.tally import StreamTotals
from reelmill_server.media.result.tolerances import overlap
from reelmill_server.media.track.base import StreamStats
from reelmill_server.model.plan import COPY, StreamPlan, StreamType
from reelmill_server.model.task import StreamAdjustment

_SKIPPED, _REPEATED = "more than the frame rate", "repeated for the frame rate"
_AHEAD = "after the span, for frames in it that refer to them"
_REPLACED, _ENCODED = "at an edge of the cut, where the frame is encoded", "encoded at an edge of the cut"
_HELD, _BLACK, _SILENT = (
    "shown or heard when the span begins",
    "black where there is no video",
    "silence where there is no audio",
)


def adjustments(planned: StreamPlan, written: StreamStats, given: StreamTotals | None) -> tuple[StreamAdjustment, ...]:
    """Return all that was booked while a stream was written, as far as there is any."""
    items = "packets" if planned.encoder == COPY else "frames"
    skipped, repeated = _resampled(planned, written)
    cut = {OVERLAP: _overlapping(planned, given), **written.cut}
    booked = (
        *(StreamAdjustment(reason, count, items) for reason, count in written.dropped.items()),
        *(StreamAdjustment(reason, count, "samples") for reason, count in cut.items()),
        StreamAdjustment(_SKIPPED, skipped, items),
        StreamAdjustment(_REPEATED, repeated, items, added=True),
        StreamAdjustment(_HELD, written.held, items, added=True),
        StreamAdjustment(_REPLACED, written.encoded - written.held, items),
        StreamAdjustment(_ENCODED, written.encoded, "frames", added=True),
        StreamAdjustment(_AHEAD, written.ahead, items, added=True),
        StreamAdjustment(_BLACK, written.black, items, added=True),
        StreamAdjustment(_SILENT, _silent(planned, written, given), "samples", added=True),
    )
    return tuple(adjustment for adjustment in booked if adjustment.count > 0)


def _resampled(planned: StreamPlan, written: StreamStats) -> tuple[int, int]:
    """Return how many frames were left out and repeated for a constant rate; of a filter only the balance is known."""
    if not (planned.steady and written.taken):
        return written.skipped, written.repeated
    surplus = written.packets - written.taken
    return max(-surplus, 0), max(surplus, 0)


def _overlapping(planned: StreamPlan, given: StreamTotals | None) -> int:
    """Return how many samples are left out as they lie over others, where a filter does that."""
    if not planned.audio or planned.counted or given is None:
        return 0
    return round(overlap(given) / planned.speed * planned.audio.sample_rate)


def _silent(planned: StreamPlan, written: StreamStats, given: StreamTotals | None) -> int:
    """Return how many samples fill gaps: by the account where a filter fills them."""
    if planned.type != StreamType.AUDIO or not planned.audio or planned.counted or given is None or len(planned.parts) > 1:
        return written.silent
    gaps = given.last - max(given.first, Fraction(0)) - given.covered
    return written.silent + round(max(gaps, Fraction(0)) / planned.speed * planned.audio.sample_rate)
