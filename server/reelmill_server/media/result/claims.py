"""Compare how long containers claim to be with what is in them: of the source what was read, of the output what players see."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from av.container import InputContainer

from reelmill_server.errors import InvalidMedia
from reelmill_server.media.input.movie_lengths import MovieLengths, movie_lengths
from reelmill_server.media.libav.timestamps import Extent
from reelmill_server.media.libav.trial_header import codec_delay
from reelmill_server.media.output.base import MediaFile
from reelmill_server.media.result.tolerances import MILLISECONDS
from reelmill_server.media.track.base import StreamStats
from reelmill_server.model.plan import StreamPlan, StreamType
from reelmill_server.model.time import MICROSECONDS

_LASTING = (StreamType.VIDEO, StreamType.AUDIO)
_SKIPPING = "matroska,webm"
_MOVIES = "mov,mp4,m4a,3gp,3g2,mj2"
# Formats whose headers say how long the whole file is, and how many frames this may be off: that of MP3 leaves out the delay
# of encoder and decoder. Of others libav guesses the length from the last timestamps or from a bit rate.
_CLAIMING: Mapping[str, int] = {
    _SKIPPING: 1,
    "flv": 1,
    "asf": 1,
    "avi": 1,
    "mxf": 1,
    "wav": 1,
    "flac": 1,
    "mp3": 3,
}


# Of ASF, libav takes the length of the file for that of each stream, from where the stream begins; of AVI that of a stream for
# when it ends.
_LATE_TIMES: Mapping[str, int] = {"asf": -1, "avi": 1}


def check_source_claims(produced: MediaFile, where: str) -> None:
    """Compare what was written with the duration that the source claims: a truncated source is not converted."""
    for planned, written in zip(produced.plan.streams, produced.written, strict=True):
        nothing = not written.size_bytes if planned.type in _LASTING else not written.packets
        if nothing and planned.type != StreamType.SUBTITLE:
            raise InvalidMedia(f"{where}: the source's {planned.type} stream gave nothing in the span")
        if written.in_gap:
            continue
        got_us = written.extent.last * MICROSECONDS
        # A copy begins at a keyframe and may reach further: only less is wrong.
        if planned.expected_us and got_us + planned.slack_us + MILLISECONDS * MICROSECONDS < planned.expected_us:
            raise InvalidMedia(
                f"{where}: the source claims {planned.expected_us / MICROSECONDS:.3f} s of {planned.type} in the span, "
                f"but only {float(got_us) / MICROSECONDS:.3f} s could be read: it is truncated or broken"
            )


def overstated(
    container: InputContainer,
    media: Sequence[Any],
    plans: Sequence[StreamPlan],
    written: Sequence[StreamStats],
    extents: Sequence[Extent],
) -> Iterator[str]:
    """Yield what is wrong with the lengths that a file claims. `media` are its streams, as planned in `plans`, `written` and
    `seen` as they were read back.
    """
    streams = {
        stream.index: _StreamEnd(*entry) for stream, entry in zip(media, zip(plans, written, extents, strict=True), strict=True)
    }
    ends = [end for end in streams.values() if end.any]
    if not ends:
        return
    if container.format.name == _MOVIES and isinstance(container.name, str):
        with open(container.name, "rb") as file:
            lengths = movie_lengths(file)
        yield from _movie(lengths, streams)
    frames = _CLAIMING.get(container.format.name)
    if frames and container.duration:
        claimed = Fraction(container.duration, MICROSECONDS)
        begin = min(end.first for end in ends)
        last = max(ends, key=lambda end: end.seen)
        # Some count from 0, some from the first frame.
        late = max(end.first for end in ends) * _LATE_TIMES.get(container.format.name, 0)
        times = claimed, claimed + begin, claimed + late
        honest = any(end.near(time, frames) and last.within(time, frames) for end in ends for time in times)
        # libav's Matroska counts audio with that which decoders skip, so that it may end behind the video.
        audio = [stream for stream in media if stream.type == "audio"] if container.format.name == _SKIPPING else []
        skipping = (streams[stream.index].near(claimed - codec_delay(stream), frames) for stream in audio)
        if not honest and not (any(skipping) and last.within(claimed, frames)):
            yield f"the file claims {float(claimed):.3f} s, in it are {float(last.seen - begin):.3f} s"


class _StreamEnd:
    """The end of a stream as it was read back, and as it was written: some containers do not say how long the last frame
    lasts.
    """

    def __init__(self, planned: StreamPlan, written: StreamStats, extent: Extent) -> None:
        self.any = extent.first is not None
        self.first = extent.first if extent.first is not None else Fraction(0)
        self.lasts = planned.type in _LASTING
        self.seen = extent.last
        self._written = written.extent.last + self.first - (written.extent.first or Fraction(0))
        mean = (extent.last_start - self.first) / (written.packets - 1) if written.packets > 1 else Fraction(0)
        self._frame = max(Fraction(planned.slack_us, MICROSECONDS), mean)
        self.tolerance = self._frame + MILLISECONDS
        self.hidden = max(self._written - self.seen, Fraction(0)) if written.ahead else Fraction(0)

    def near(self, time: Fraction, frames: int = 1) -> bool:
        """Return whether the stream ends at `time`, within so many frames."""
        return any(abs(time - end) <= frames * self._frame + MILLISECONDS for end in (self.seen, self._written))

    def within(self, time: Fraction, frames: int) -> bool:
        """Return whether the stream ends before `time`, or within so many frames of it."""
        return self.seen <= time + frames * self._frame + MILLISECONDS


def _movie(lengths: MovieLengths, streams: Mapping[int, _StreamEnd]) -> Iterator[str]:
    """Yield what is wrong with the headers of an MP4 file; those of a fragmented one claim nothing."""
    if not lengths.seconds:
        return
    longest = max((track.shown for track in lengths.tracks), default=Fraction(0))
    if abs(lengths.seconds - longest) > MILLISECONDS:
        yield f"the movie claims {float(lengths.seconds):.3f} s, its longest track {float(longest):.3f} s"
    for number, track in enumerate(lengths.tracks):
        end = streams.get(number)
        if end is None or not (end.lasts and end.any):
            continue
        if track.edits is not None and abs(track.edits - track.shown) > MILLISECONDS:
            yield f"track {number} claims {float(track.shown):.3f} s, its edits {float(track.edits):.3f} s"
        if not end.near(track.shown):
            yield f"track {number} claims to be shown until {float(track.shown):.3f} s, but ends at {float(end.seen):.3f} s"
        # What an edit skips may be media that are hidden, or only the delay of frames that are decoded in another order.
        shown = track.shown - track.delay
        if not shown - end.tolerance <= track.media <= shown + track.skipped + end.hidden + end.tolerance:
            yield f"the media of track {number} claim {float(track.media):.3f} s, of which {float(shown):.3f} s are shown"
