"""The range of a source that is converted, on the source's own clock."""

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil

from reelmill_server.errors import InvalidArgument, Violation
from reelmill_server.model.media_info import MediaInfo, StreamInfo
from reelmill_server.model.request import SourceSpec
from reelmill_server.model.time import MICROSECONDS

# Durations in these count from 0 (written by libav) or from the first timestamp (by others).
_FROM_ZERO_FORMATS = ("matroska,webm",)
_EXACT_FORMATS = ("mov,mp4,m4a,3gp,3g2,mj2",)
UNTIMED_FORMATS = ("h264", "hevc")
"""Video without a container has no timestamps: frames follow each other at the rate of the stream."""
UNINDEXED_FORMATS = (*UNTIMED_FORMATS, "m4v", "mpegvideo")
"""Video without a container, in which it is impossible to seek."""
DECODING_FORMATS = ("avi", "asf", "asf_o")
"""Formats that tell when frames are decoded, not when they are shown."""
UNSURE_FORMATS = ("mxf",)
"""Formats that tell both, or the former alone as if it were the latter: libav writes H.264 with B-frames so."""
COUNTING_FORMATS = ("avi",)
"""Those of them that count from the first packet: audio beside it is not moved by the delay of reordering."""
TELLING_B_FRAMES = ("mpeg1video", "mpeg2video", "mpeg4")
"""Codecs of which libav knows when frames are shown also where the format does not tell."""
_ESTIMATED_FORMATS = ("mp3", "aac", "ac3", "eac3", "amr", "h264", "hevc", "m4v", "flv", "mpegvideo")
_DURATION_TAG = re.compile(r"(\d{1,6}):(\d\d):(\d\d(?:\.\d+)?)$")  # of Matroska

OVERRUN = Fraction(1, 2)
"""Seconds by which audio may outlast its video and is then cut; if it is longer, the last frame is held instead."""

LATE = Fraction(2, 1000)
"""Seconds by which a frame may be late and still be the requested one: some containers (Matroska, FLV) count milliseconds."""

UNSEEN = Fraction(1, 10)
"""Seconds. A shorter gap at a span's start shows the rest of a frame that began before it, and gets no frame of its own."""

_FINE = Fraction(1, 1000)
_COARSE = Fraction(1, 100)
_MOST_TICKS = 2**31 - 1  # of libav's rational numbers


def finer(tick: Fraction) -> Fraction:
    """Return ticks in which a cut can be told, where those of a source are as long as its frames (AVI, AVIF): parts of them.

    Ticks of which libav's rational numbers cannot hold such parts are returned as they are: no clock has their times.
    """
    parts = tick / ceil(tick / _FINE) if tick > _COARSE else tick
    return parts if parts.denominator <= _MOST_TICKS else tick


@dataclass(frozen=True)
class Clock:
    """A range [start, end) of a source in microseconds from its beginning; `end_us` 0: to the end.

    `origin_us` is the timestamp at which the source begins. `duration_us`: duration of the range according to the container,
    0 if it does not say. `exact`: the container also knows the duration of each stream.
    """

    start_us: int
    end_us: int
    origin_us: int
    duration_us: int
    exact: bool

    @property
    def cuts(self) -> bool:
        """Return whether the range may begin or end between two ticks of the source."""
        return self.start_us > 0 or self.end_us > 0

    @classmethod
    def of(cls, source: SourceSpec, info: MediaInfo, field: str = "sources[0]") -> "Clock":
        """Return the range that `source`, at path `field` of the request, selects.

        Raises InvalidArgument if it begins after the end of the media.
        """
        if info.still:
            start = cls(0, 0, round(info.start_seconds * MICROSECONDS), 0, False)
            return start.held(source.duration_us) if source.duration_us else start
        seconds = _media_seconds(info)
        total_us = 0 if untold_length(info) else round(seconds * MICROSECONDS)
        if total_us and source.start_us >= total_us:
            expected = f"must be before the end of the source at {seconds:.3f} s"
            raise InvalidArgument(violations=[Violation(f"{field}.start_time", expected)])
        end_us = source.start_us + source.duration_us if source.duration_us else 0
        if info.format in _FROM_ZERO_FORMATS:
            total_us -= max(round(info.start_seconds * MICROSECONDS), 0)
            total_us = total_us if total_us > source.start_us else 0
        last_us = min(end_us, total_us) if end_us and total_us else end_us or total_us
        return cls(
            start_us=source.start_us,
            end_us=end_us,
            origin_us=round(info.start_seconds * MICROSECONDS),
            duration_us=last_us - source.start_us if total_us else 0,
            exact=info.format in _EXACT_FORMATS,
        )

    def reach_us(self, stream: StreamInfo) -> int:
        """Return how far into the range `stream` reaches, in microseconds; that of the range where it does not say less."""
        end = _end_seconds(stream)
        reach_us = round((end or 0) * MICROSECONDS) - self.origin_us - self.start_us
        return min(reach_us, self.duration_us) if end and reach_us > 0 else self.duration_us

    def held(self, length_us: int) -> "Clock":
        """Return the range of a still image that is shown for `length_us`."""
        return replace(self, end_us=self.start_us + length_us, duration_us=length_us, exact=False)

    def expected_us(self, stream: StreamInfo) -> int:
        """Return where in the range `stream` ends, in microseconds from the range's beginning; 0 if the container does not
        say.
        """
        if not self.exact or stream.duration_seconds is None:
            return 0
        begin_us = round((stream.start_seconds or 0.0) * MICROSECONDS) - self.origin_us
        finish_us = begin_us + round(stream.duration_seconds * MICROSECONDS)
        until_us = min(finish_us, self.end_us) if self.end_us else finish_us
        return max(0, until_us - self.start_us)

    def misses(self, stream: StreamInfo) -> bool:
        """Return whether `stream` ends before the range begins, or begins after it, as far as the container says."""
        begin_us = round((stream.start_seconds or 0.0) * MICROSECONDS) - self.origin_us
        if self.end_us and begin_us >= self.end_us:
            return True
        if self.start_us == 0:
            return False
        if self.exact:
            return bool(stream.duration_seconds) and not self.expected_us(stream)
        tagged = _tagged_seconds(stream)
        return bool(tagged) and round(tagged * MICROSECONDS) - self.origin_us <= self.start_us


def untold_length(info: MediaInfo) -> bool:
    """Return whether nothing tells reliably how long a file lasts."""
    return not info.measured and (info.format in _ESTIMATED_FORMATS or not info.duration_seconds)


def _media_seconds(info: MediaInfo) -> float:
    """Return the duration of what is seen and heard, where every such stream says its own; else that of the whole.

    Subtitles and data may last longer.
    """
    ends = [_end_seconds(stream) for stream in (*info.pictures, *info.audio)] if info.subtitles or info.data else []
    known = [end for end in ends if end is not None]
    return min(info.duration_seconds, max(known)) if known and len(known) == len(ends) else info.duration_seconds


def _end_seconds(stream: StreamInfo) -> float | None:
    tagged = _tagged_seconds(stream) or None
    if not stream.duration_seconds:
        return tagged
    # Of short Matroska files, libav says of each stream that it lasts as long as the file.
    end = (stream.start_seconds or 0.0) + stream.duration_seconds
    return min(end, tagged or end)


def _tagged_seconds(stream: StreamInfo) -> float:
    """Return when a stream of Matroska ends by its tags; 0 if they do not say."""
    match = _DURATION_TAG.match(stream.metadata.get("DURATION", ""))
    hours, minutes, seconds = match.groups() if match else (0, 0, 0)
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
