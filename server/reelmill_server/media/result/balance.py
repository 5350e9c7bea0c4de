"""Compare what was written with what reading gave: what is missing must have been left out on purpose.

Both sides are counted apart from each other: `media.input.account` counts at the reading end, the tracks count what they write
and book what they leave out under a reason.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction

from reelmill_server.errors import InvalidMedia, OutputInvalid
from reelmill_server.media.input.account import Given
from reelmill_server.media.input.part import own_parts
from reelmill_server.media.output.base import MediaFile
from reelmill_server.media.track.base import StreamStats
from reelmill_server.model.plan import COPY, StreamPlan, StreamType
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.plan.clock import OVERRUN

_COMPARED = (StreamType.VIDEO, StreamType.AUDIO)
_NAMES = {True: "packets", False: "frames"}
_HELD = 2  # frames that a cut may repeat at its ends, for each part
# Tolerated between the ends of counted video and audio besides two frames: imperceptible.
_DRIFT_SECONDS = Fraction(1, 4)
# Timestamps of some containers are in milliseconds.
_MILLISECONDS = Fraction(2, 1000)
# Besides a frame: timestamps of some containers are in milliseconds, and resamplers shift audio by less than this.
_ROUNDING = Fraction(2, 100)


def check_balance(produced: MediaFile, where: str) -> None:
    """Raise OutputInvalid when what was written does not account for what was read."""
    entries = list(zip(produced.plan.streams, produced.written, produced.given or [None] * len(produced.written), strict=False))
    compared = [
        (planned, written, given) for planned, written, given in entries if given is not None and planned.type in _COMPARED
    ]
    for planned, written, given in compared:
        for text in (text for rule in (_lost, _shifted, _silenced) for text in rule(planned, written, given)):
            raise OutputInvalid(f"{where}: {text}")
    for text in _stretched(compared):
        raise OutputInvalid(f"{where}: {text}")


def fixed_rate(planned: StreamPlan) -> bool:
    """Return whether frames are dropped and repeated so that they have a constant rate."""
    return planned.counted or planned.steady


def _lost(planned: StreamPlan, written: StreamStats, given: Given) -> Iterator[str]:
    """Yield what is wrong with how many frames or packets there are."""
    copied = planned.encoder == COPY
    one_by_one = copied or (planned.type == StreamType.VIDEO and not fixed_rate(planned))
    kept = written.packets if one_by_one else written.taken
    lost = given.items - kept - written.dropped.total()
    name = f"{_NAMES[copied]} of {planned.type}"
    if lost > 0:
        yield f"the source gave {given.items} {name} in the span, of which {lost} were lost on the way"
    if one_by_one and not copied and kept > given.items + _HELD * len(planned.parts):
        yield f"the source gave {given.items} {name} in the span, but {kept} were written"


def _silenced(planned: StreamPlan, written: StreamStats, given: Given) -> Iterator[str]:
    """Yield what is wrong with how much of the audio of joined sources is silence that fills gaps."""
    if planned.audio is None or not planned.counted or not written.samples or any(part.line for part in planned.parts):
        return
    rate = planned.audio.sample_rate
    kept = Fraction(written.samples - written.silent + written.cut.total(), rate) * planned.speed
    slack = len(planned.parts) * (_frame(planned, written) * planned.speed + _ROUNDING)
    if kept < given.covered - slack:
        yield f"the source gave {float(given.covered):.3f} s of audio in the span, of which {float(kept):.3f} s are left"


def _frame(planned: StreamPlan, written: StreamStats) -> Fraction:
    """Return how long a frame of the output is, about, seconds."""
    mean = (written.extent.last - (written.extent.first or 0)) / max(written.packets, 1)
    if planned.video and fixed_rate(planned):
        return max(1 / planned.video.frame_rate, Fraction(planned.slack_us, MICROSECONDS))
    return max(mean if planned.type == StreamType.AUDIO else Fraction(0), Fraction(planned.slack_us, MICROSECONDS))


def _shifted(planned: StreamPlan, written: StreamStats, given: Given) -> Iterator[str]:
    """Yield what is wrong with the times of a stream that keeps those of its source."""
    if planned.counted or len(planned.parts) > 1:
        return
    tolerance = 2 * _frame(planned, written) + _ROUNDING
    if planned.type == StreamType.VIDEO:
        expected, found = max(given.last_start, Fraction(0)), written.extent.last_start
    else:
        expected, found = max(given.last, Fraction(0)), written.extent.last
    off = float(found - expected / planned.speed)
    if abs(off) > tolerance:
        yield f"the {planned.type} ends {abs(off):.3f} s {'later' if off > 0 else 'earlier'} than in the source"
    front = max(given.first, Fraction(0)) if planned.type == StreamType.AUDIO else given.first
    if planned.segment_us:
        front = Fraction(0)  # segments count from 0, so the first frame is shown from 0
    if written.held:
        front = min(front, Fraction(0))  # the frame on screen when the span begins
    begin = float((written.extent.first or Fraction(0)) - front / planned.speed)
    if abs(begin) > tolerance + (Fraction(1, 10) if planned.type == StreamType.AUDIO else 0):
        yield f"the {planned.type} begins {abs(begin):.3f} s {'later' if begin > 0 else 'earlier'} than in the source"


def _one_behind_the_other(planned: StreamPlan) -> bool:
    """Return whether all parts were read, and none is mixed with another."""
    return len(own_parts(planned)) == len(planned.parts) and not any(part.line for part in planned.parts)


def _stretched(entries: Sequence[tuple[StreamPlan, StreamStats, Given]]) -> Iterator[str]:
    """Yield what is wrong with the lengths of joined sources: no stream outlasts what was read of all of them."""
    joined = [entry for entry in entries if entry[0].counted and _one_behind_the_other(entry[0])]
    if not joined:
        return
    shortest, longest = min(given.length for _, _, given in joined), max(given.length for _, _, given in joined)
    for planned, written, _ in joined:
        slack = len(planned.parts) * (_frame(planned, written) * planned.speed + _ROUNDING)
        seconds = written.extent.last * planned.speed
        if not shortest - slack - len(planned.parts) * OVERRUN <= seconds <= longest + slack:
            yield f"the joined {planned.type} lasts {float(seconds):.3f} s, its sources {float(longest):.3f} s"


def check_claims(produced: MediaFile, where: str) -> None:
    """Compare what was written with the duration that the source claims: a truncated source is not converted."""
    for planned, written in zip(produced.plan.streams, produced.written, strict=True):
        if written.packets == 0 and planned.type != StreamType.SUBTITLE:
            raise InvalidMedia(f"{where}: the source's {planned.type} stream gave nothing in the span")
        got_us = written.extent.last * MICROSECONDS
        # A copy begins at a keyframe and may reach further: only less is wrong.
        if planned.expected_us and got_us + planned.slack_us + _MILLISECONDS * MICROSECONDS < planned.expected_us:
            raise InvalidMedia(
                f"{where}: the source claims {planned.expected_us / MICROSECONDS:.3f} s of {planned.type} in the span, "
                f"but only {float(got_us) / MICROSECONDS:.3f} s could be read: it is truncated or broken"
            )


def check_ends(produced: MediaFile, where: str) -> None:
    """Check that video and audio on one clock end together: if not, they have drifted apart."""
    ends: dict[frozenset[int], list[Fraction]] = {}
    picture = Fraction(max(planned.slack_us for planned in produced.plan.streams), MICROSECONDS)
    for planned, written in zip(produced.plan.streams, produced.written, strict=True):
        if planned.counted:
            ends.setdefault(frozenset(part.input for part in planned.parts), []).append(written.extent.last)
    for together in ends.values():
        if max(together) - min(together) > _DRIFT_SECONDS + 2 * picture:
            apart = float(max(together) - min(together))
            raise OutputInvalid(f"{where}: pictures and sound of joined sources end {apart:.3f} s apart")
