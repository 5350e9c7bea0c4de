"""Compare what an encoded stream shows and sounds like with what its source did, where both begin.

Only what is beyond doubt is refused: the output looks as the source would if it were turned, cropped or composed in another
way, and not as it should; or it has the sound of channels in others. Fades, overlays, bars and mixes are not judged.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import isfinite, log2
from typing import Any

from av import AudioFrame, VideoFrame

from reelmill_server.media.input.sights import PictureSight, SoundSight, samples
from reelmill_server.media.libav.errors import LIBAV_ERRORS, check_memory
from reelmill_server.media.libav.timestamps import Extent, exact
from reelmill_server.media.result.orientation import Grid, altered, coarse, unlike
from reelmill_server.media.result.tolerances import MILLISECONDS
from reelmill_server.media.track.base import StreamStats
from reelmill_server.model.plan import StreamPlan
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.plan.stream.alpha import has_alpha

_SAME, _OTHER = 0.7, 1.5
"""Differences of what is surely the same channel, and of what surely is not: 1 is 6 dB, or half an octave."""
_DECIBELS, _OCTAVES, _CROSSING = 6.0, 2.0, 0.002
_QUIET = -50.0  # dB against the loudest channel: what lies below may be gone
_LENGTHS = 0.2  # share by which what was heard of both may differ in length


class Witness:
    """See the decoded frames of an output, and say what is wrong with them."""

    def see(self, frame: Any) -> None:
        """See a frame of the first ones."""

    def mistake(self) -> str:
        """Return what is wrong; empty: nothing that is beyond doubt."""
        return ""


class _PictureWitness(Witness):
    def __init__(self, planned: StreamPlan, sight: PictureSight, begin: Fraction, base: Any) -> None:
        """`begin`: the time in the file at which the span begins; `base`: its time base, which frames at the end lack."""
        self._planned, self._sight, self._base = planned, sight, exact(base)
        self._time = begin + sight.time / planned.speed - MILLISECONDS
        self._until = self._time + Fraction(planned.slack_us, MICROSECONDS) + MILLISECONDS
        self._shown: tuple[Fraction, Grid] | None = None

    def see(self, frame: VideoFrame) -> None:
        if frame.pts is None:
            return
        time = frame.pts * self._base
        if self._time <= time < self._until and (self._shown is None or time < self._shown[0]):
            try:
                self._shown = time, coarse(samples(frame, "gray"))
            except (*LIBAV_ERRORS, ValueError) as error:
                check_memory(error)

    def mistake(self) -> str:
        if self._shown is None:
            return ""
        video = self._planned.video
        assert video
        keeps = has_alpha(video.pixel_format)
        return "" if video.rotation is None else unlike(self._sight, self._shown[1], video.rotation, keeps)


class _SoundWitness(Witness):
    def __init__(self, sight: SoundSight) -> None:
        self._given, self._heard, self._more = sight, SoundSight(), True

    def see(self, frame: AudioFrame) -> None:
        self._more = self._more and self._heard.add(frame)

    def mistake(self) -> str:
        given, heard = self._given.channels(), self._heard.channels()
        if len(given) != len(heard) or abs(self._given.seconds - self._heard.seconds) > _LENGTHS * self._given.seconds:
            return ""
        if not all(isfinite(level) for level, _ in (*given, *heard)):  # samples of floating point need not be numbers
            return ""
        moved = list(_moved(given, heard))
        sources = [source for source, _ in moved]
        if not moved or sorted(sources) != sorted(place for _, place in moved):
            return ""
        return f"it has the sound of channel {moved[0][0] + 1} in channel {moved[0][1] + 1} of {self._heard.layout}"


_Channel = tuple[float, float]


def _moved(given: Sequence[_Channel], heard: Sequence[_Channel]) -> Iterator[tuple[int, int]]:
    """Yield which channels of the source are heard in which others; none if one of the output is unlike all."""
    moved = []
    for place, sound in enumerate(heard):
        if _difference(given[place], sound) <= _SAME:
            continue
        nearest = min(range(len(given)), key=lambda source: _difference(given[source], sound))
        if _difference(given[place], sound) < _OTHER or _difference(given[nearest], sound) > _SAME:
            return
        moved.append((nearest, place))
    yield from moved


def _difference(one: _Channel, other: _Channel) -> float:
    (level, crossings), (its_level, its_crossings) = one, other
    if max(level, its_level) < _QUIET:
        return 0.0
    pitch = abs(log2((crossings + _CROSSING) / (its_crossings + _CROSSING))) if min(level, its_level) > _QUIET else 0.0
    return abs(max(level, _QUIET) - max(its_level, _QUIET)) / _DECIBELS + pitch * _OCTAVES


def witness_of(planned: StreamPlan, written: StreamStats, read: Extent, base: Any) -> Witness:
    """Return who compares an encoded stream, `written` and `read` back in ticks of `base`, with what was seen of its source."""
    sight, begin, sent = written.sight, read.first, written.extent.first
    if isinstance(sight, PictureSight) and begin is not None and sent is not None and planned.video and not altered(planned):
        return _PictureWitness(planned, sight, begin - sent, base)
    mixed = any(part.line for part in planned.parts)
    if isinstance(sight, SoundSight) and planned.audio and not mixed and _plain(sight.layout) == _plain(planned.audio.layout):
        return _SoundWitness(sight)
    return Witness()


def _plain(layout: str) -> str:
    """Return a layout without what codecs say in different words."""
    return {"2 channels": "stereo"}.get(layout, layout.replace("(side)", "").replace("(back)", ""))
