"""Compare what was written with what reading gave: what is missing must have been left out on purpose.

Both sides are counted apart from each other: `media.input.account` counts at the reading end, the tracks count what they write
and book what they leave out under a reason.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction

from reelmill_server.errors import InvalidMedia, OutputInvalid
from reelmill_server.media.input.account import HIDDEN
from reelmill_server.media.input.decoding import BROKEN_SHARE
from reelmill_server.media.input.part import own_parts
from reelmill_server.media.input.tally import StreamTotals
from reelmill_server.media.output.base import MediaFile
from reelmill_server.media.result.tolerances import (
    MILLISECONDS,
    PRIMING,
    RESAMPLING,
    audio_frame,
    half_frame,
    overlap,
    rate_step,
)
from reelmill_server.media.track.base import StreamStats
from reelmill_server.model.plan import COPY, StreamPlan, StreamType
from reelmill_server.model.time import MICROSECONDS

_COMPARED = (StreamType.VIDEO, StreamType.AUDIO)
_NAMES = {True: "packets", False: "frames"}
_YEAR_SECONDS = 366 * 86_400
_REORDERED = 16  # frames: no codec shows one later that it decodes before others
_MERGING = "mov_text"  # of which one cue is shown at a time
_CUES = Fraction(1, 10)  # seconds by which cues may be off: ASS counts hundredths, and other formats milliseconds
_Entry = tuple[StreamPlan, StreamStats, StreamTotals]


def check_balance(produced: MediaFile, where: str) -> None:
    """Raise OutputInvalid when what was written does not account for what was read.

    Raises InvalidMedia when much of what was read lies over the rest of it, or far from where the source says that it begins.
    """
    entries = list(zip(produced.plan.streams, produced.written, produced.given or [None] * len(produced.written), strict=False))
    compared = [
        (planned, written, given) for planned, written, given in entries if given is not None and planned.type in _COMPARED
    ]
    for entry in compared:
        for text in (*_overlapping(*entry), *_early_start(*entry), *_far_start(*entry)):
            raise InvalidMedia(f"{where}: {text}")
        for text in (text for rule in (_items_lost, _paced, _shifted, _sampled, _silenced) for text in rule(*entry)):
            raise OutputInvalid(f"{where}: {text}")
    cues = [(planned, written, given) for planned, written, given in entries if given and planned.type == StreamType.SUBTITLE]
    for text in (*_stretched(compared), *_drifted(produced), *(text for entry in cues for text in _cues_moved(*entry))):
        raise OutputInvalid(f"{where}: {text}")


def _cues_moved(planned: StreamPlan, written: StreamStats, given: StreamTotals) -> Iterator[str]:
    """Yield what is wrong with when the first and the last subtitle cue begin. Some may have been left out, and those that
    begin before the span are shown from its beginning; where several are shown at once, a new cue begins where one ends.
    """
    if len(planned.parts) > 1 or planned.parts[0].file is not None or not written.packets or written.extent.first is None:
        return
    merged = planned.codec == _MERGING and planned.encoder != COPY
    first, begins, ends = (time / planned.speed for time in (given.first, given.last_start, given.last))
    early, late = first - written.extent.first, written.extent.last_start - (max(begins, ends) if merged else begins)
    if early > _CUES and written.extent.first > _CUES:
        yield f"the first subtitle cue begins {float(early):.3f} s earlier than in the source"
    if late > _CUES:
        yield f"the last subtitle cue begins {float(late):.3f} s later than in the source"
    if -late > _CUES and abs(early) < _CUES and written.packets == given.items and not merged:
        yield f"the last subtitle cue begins {float(-late):.3f} s earlier than in the source"


def _items_lost(planned: StreamPlan, written: StreamStats, given: StreamTotals) -> Iterator[str]:
    """Yield what is wrong with how many frames or packets there are."""
    copied, video = planned.encoder == COPY, planned.type == StreamType.VIDEO
    one_by_one = copied or (video and not rate_step(planned))
    count = written.packets if one_by_one else written.taken
    expected = given.items + written.held + written.ahead - written.dropped.total()
    gave = f"the source gave {given.items} {_NAMES[copied]} of {planned.type} in the span"
    if count < expected:
        yield f"{gave}, of which {expected - count} were lost on the way"
    # Frames of audio that lie before the span are taken, too: a filter cuts to the sample.
    if count > expected and (copied or video):
        yield f"{gave}, but {count} were written"


def _paced(planned: StreamPlan, written: StreamStats, given: StreamTotals) -> Iterator[str]:
    """Yield what is wrong with how many frames there are at a constant rate."""
    step, seconds = rate_step(planned), written.extent.last - (written.extent.first or 0)
    if step and abs(written.packets * step - seconds) > step:
        yield f"{written.packets} frames of video last {float(seconds):.3f} s, at a rate of {float(1 / step):.3f}"


def _overlapping(planned: StreamPlan, written: StreamStats, given: StreamTotals) -> Iterator[str]:
    """Yield what is wrong with audio of which much goes back in time, and is left out: where recordings follow each other, the
    times of the second were not followed.
    """
    total = given.covered + given.overlap
    if planned.audio and overlap(given) > total * BROKEN_SHARE + audio_frame(planned, written, given):
        yield f"{float(given.overlap):.3f} of {float(total):.3f} s of audio that the source gave lie over each other"


def _early_start(planned: StreamPlan, written: StreamStats, given: StreamTotals) -> Iterator[str]:
    """Yield what is wrong with encoded video that begins where its container says, without frames that lie before that."""
    if planned.type != StreamType.VIDEO or planned.encoder == COPY or planned.counted or len(planned.parts) > 1:
        return
    before = -given.first / planned.speed
    if before > half_frame(planned) + rate_step(planned) / 2 and (written.extent.first or 0) >= 0:
        yield f"video of the source begins {float(before):.3f} s before its container says that it does"


def _far_start(planned: StreamPlan, written: StreamStats, given: StreamTotals) -> Iterator[str]:
    """Yield what is wrong with a stream that begins years after its container says: no clock of a recording does."""
    if given.first > _YEAR_SECONDS:
        yield f"{planned.type} of the source begins {float(given.first):.0f} s after its container says that it does"


def _sampled(planned: StreamPlan, written: StreamStats, given: StreamTotals) -> Iterator[str]:
    """Yield what is wrong with how many samples there are of audio that keeps the times of its source."""
    if planned.audio is None or planned.counted or not written.samples or len(planned.parts) > 1:
        return
    filled = Fraction(written.silent, planned.audio.sample_rate)  # where the span begins in a gap
    expected = (given.last - max(given.first, Fraction(0))) / planned.speed + filled
    off = Fraction(written.samples, planned.audio.sample_rate) - expected
    if abs(off) > audio_frame(planned, written, given) + RESAMPLING:
        yield f"the source gave {float(expected):.3f} s of audio in the span, and {float(expected + off):.3f} s were encoded"


def _silenced(planned: StreamPlan, written: StreamStats, given: StreamTotals) -> Iterator[str]:
    """Yield what is wrong with how much of the audio of joined sources is silence that fills gaps."""
    if planned.audio is None or not planned.counted or not written.samples or _mixed(planned):
        return
    remaining = Fraction(written.samples - written.silent + written.cut.total(), planned.audio.sample_rate) * planned.speed
    slack = len(planned.parts) * (audio_frame(planned, written, given) * planned.speed + RESAMPLING)
    if remaining < given.covered - slack:
        yield f"the source gave {float(given.covered):.3f} s of audio in the span, of which {float(remaining):.3f} s are left"


def _shifted(planned: StreamPlan, written: StreamStats, given: StreamTotals) -> Iterator[str]:
    """Yield what is wrong with the times of a stream that keeps those of its source."""
    if planned.counted or len(planned.parts) > 1:
        return
    rules = _video_bounds if planned.type == StreamType.VIDEO else _audio_bounds
    for what, value, least, most in rules(planned, written, given):
        if not least <= value <= most:
            off = float(value - (most if value > most else least))
            yield f"the {planned.type} {what} {abs(off):.3f} s {'later' if off > 0 else 'earlier'} than in the source"


_Bounds = Iterator[tuple[str, Fraction, Fraction, Fraction]]


def _video_bounds(planned: StreamPlan, written: StreamStats, given: StreamTotals) -> _Bounds:
    """Yield where the stream begins and ends, and between which times it should, seconds of the output."""
    extent, speed, step = written.extent, planned.speed, rate_step(planned)
    frame = Fraction(planned.slack_us, MICROSECONDS)
    front = Fraction(0) if planned.segment_us else given.first / speed  # segments count from 0: so does the first frame
    latest = max(front, Fraction(0)) if written.dropped[HIDDEN] else front
    if written.held:
        front = min(front, Fraction(0))  # the frame on screen when the span begins
    begin, tolerance = extent.first or Fraction(0), half_frame(planned)
    # Frames at a constant rate are counted from 0: the first one fills what lies before it.
    yield "begins", begin, (min(front, Fraction(0)) if step else front) - tolerance - step / 2, latest + tolerance + step / 2
    last = max(given.last_start, Fraction(0)) / speed
    if step:  # a rate repeats the last frame for as long as it is shown
        shown = max(given.last / speed, last + frame)
        yield "ends", extent.last, last - step - tolerance, shown + step + tolerance
    else:
        most = max(given.last / speed, last + frame) + frame
        yield "ends", extent.last, extent.last_start, most + (_REORDERED * frame if written.ahead else 0)
        # What was left out may have been the last frame; what lies ahead was shown later.
        least = (front if given.items == 1 else last) - tolerance - written.dropped.total() * frame
        # What lies ahead is shown behind the end, until which the last frame before it is held.
        most = max(given.last / speed, last) + _REORDERED * frame if written.ahead else last
        yield "ends", extent.last_start, least, most + tolerance


def _audio_bounds(planned: StreamPlan, written: StreamStats, given: StreamTotals) -> _Bounds:
    """Yield where the stream begins and ends, and between which times it should, seconds of the output."""
    extent, frame = written.extent, audio_frame(planned, written, given)
    front, end = (max(time, Fraction(0)) / planned.speed for time in (given.first, given.last))
    hidden = min(given.first, Fraction(0)) / planned.speed  # by an edit list: Matroska has players skip it
    if planned.audio:
        front -= Fraction(written.silent, planned.audio.sample_rate)
    yield "begins", extent.first or Fraction(0), min(front - PRIMING - 2 * frame, hidden - MILLISECONDS), front + RESAMPLING
    # A copy ends with a whole packet, and those of Vorbis are of unequal length.
    most = max(frame, given.longest / planned.speed) if planned.encoder == COPY else frame
    yield "ends", extent.last, end - frame - MILLISECONDS, end + most + MILLISECONDS


def _mixed(planned: StreamPlan) -> bool:
    return any(part.line for part in planned.parts)


def _stretched(entries: Sequence[_Entry]) -> Iterator[str]:
    """Yield what is wrong with the lengths of joined sources: each stream is as long as all that was read of them. Audio of a
    single source, which counts for its speed, ends where it does there.
    """
    joined = [entry for entry in entries if entry[0].counted and len(own_parts(entry[0])) == len(entry[0].parts)]
    for planned, written, given in (entry for entry in joined if not _mixed(entry[0])):
        # Where a part ends within a frame, the next one begins up to a frame apart.
        frame = max(Fraction(other.slack_us, MICROSECONDS) for other, _, _ in joined) * planned.speed
        slack = len(planned.parts) * (frame + MILLISECONDS) + given.doubt + audio_frame(planned, written, given)
        seconds = _seconds(planned, written) * planned.speed
        length = given.last or given.length if len(planned.parts) == 1 else given.length
        if abs(seconds - length) > slack:
            yield f"the joined {planned.type} lasts {float(seconds):.3f} s, its sources {float(length):.3f} s"


def _seconds(planned: StreamPlan, written: StreamStats) -> Fraction:
    """Return where a joined stream ends, without what an encoder adds to fill its last frame."""
    if planned.audio and written.samples:
        return Fraction(written.samples, planned.audio.sample_rate)
    return written.extent.last


def _drifted(produced: MediaFile) -> Iterator[str]:
    """Yield what is wrong with where video and audio on one clock end: together, if they have not drifted apart."""
    together: dict[frozenset[int], list[tuple[Fraction, Fraction]]] = {}
    for planned, written in zip(produced.plan.streams, produced.written, strict=True):
        if planned.counted and planned.type in _COMPARED:
            # Video ends with a whole frame, copied audio with a whole packet; a part is rounded to either.
            unit = max(rate_step(planned) / 2, audio_frame(planned, written))
            ends = together.setdefault(frozenset(part.input for part in planned.parts), [])
            ends.append((written.extent.last, unit))
    for ends in together.values():
        (first, least), (last, most) = min(ends), max(ends)
        if last - first > least + most + MILLISECONDS:
            yield f"video and audio of joined sources end {float(last - first):.3f} s apart"
