"""Compare what playlists and manifests say of segments with what is in them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

from reelmill_server.errors import OutputInvalid
from reelmill_server.media.libav.timestamps import Extent
from reelmill_server.media.output.base import MediaFile
from reelmill_server.media.package.playlists import MediaPlaylist
from reelmill_server.media.package.segments import Cuts
from reelmill_server.media.result.tolerances import PRIMING, audio_frame
from reelmill_server.media.track.base import StreamStats
from reelmill_server.model.plan import StreamPlan, StreamType, TargetPlan
from reelmill_server.model.time import MICROSECONDS

_LASTING = (StreamType.VIDEO, StreamType.AUDIO)
_OUTLASTING = Fraction(1, 10)  # seconds of audio behind the video that its last frame does not explain


def cuts_of(plan: TargetPlan, playlist: MediaPlaylist) -> Cuts:
    """Return what watches the stream by which the segments of `playlist` are cut: video, if there is any."""
    kinds = [stream.type for stream in plan.streams]
    stream = kinds.index(StreamType.VIDEO) if StreamType.VIDEO in kinds else 0
    return Cuts(playlist, stream, plan.streams[stream])


def end_of(produced: MediaFile) -> Fraction:
    """Return when the last frame of video or audio ends that was written, seconds."""
    pairs = zip(produced.plan.streams, produced.written, strict=True)
    return max((written.extent.last for planned, written in pairs if planned.type in _LASTING), default=Fraction(0))


def begin_of(produced: MediaFile) -> Fraction:
    """Return when the first frame of video or audio that was written begins, seconds; priming before 0 does not count."""
    pairs = zip(produced.plan.streams, produced.written, strict=True)
    begins = (written.extent.first for planned, written in pairs if planned.type in _LASTING)
    return max(min((begin for begin in begins if begin is not None), default=Fraction(0)), Fraction(0))


def checked_playlist(
    playlist: MediaPlaylist,
    cuts: Cuts,
    written: StreamStats,
    where: str,
    begin: Fraction = Fraction(0),
    end: Fraction = Fraction(0),
) -> MediaPlaylist:
    """Check the segments; `written` are the statistics of the stream by which they are cut, `begin` and `end` are those of all
    streams.
    """
    if not cuts.all_found:
        raise OutputInvalid(f"{where}: segment {cuts.count} does not begin with a key frame at its time")
    # libav counts what an edit list hides; a player that seeks a segment where the playlist says would wait for its end.
    *before, last = playlist.segments
    first = written.extent.first or Fraction(0)
    # Copied video may begin later than the audio beside it, which its first segment holds as well.
    early = first - begin if first - begin > _OUTLASTING else Fraction(0)
    if before:
        before[0] = replace(before[0], seconds=max(before[0].seconds - cuts.hidden, Fraction(0)) + early)
    # Its HLS muxer knows neither how long the first frame of the last segment lasts, nor when the one shown last ends.
    shown = written.extent.last - first - cuts.hidden + early
    rest = shown - sum(segment.seconds for segment in before)
    last = replace(last, seconds=rest if rest > 0 else last.seconds)
    # It knows nothing of audio that goes on behind the video: players would stop there.
    if end - written.extent.last > _OUTLASTING:
        last = replace(last, seconds=last.seconds + end - written.extent.last)
    return replace(
        playlist,
        segments=(*before, last),
        independent=cuts.independent,
        captions=cuts.captions,
        dolby_vision=cuts.dolby_vision,
    )


def from_zero(playlist: MediaPlaylist, begin: Fraction) -> MediaPlaylist:
    """Return the playlist of audio beside video, whose first segment lasts from 0 on although the audio begins at `begin`."""
    first, *others = playlist.segments
    longer = replace(first, seconds=first.seconds + begin)
    return replace(playlist, segments=(longer, *others)) if begin > _OUTLASTING else playlist


def held(playlist: MediaPlaylist, beside: Sequence[MediaPlaylist]) -> MediaPlaylist:
    """Return a playlist whose last segment lasts until those `beside` it end: its last frame stays."""
    longer = max(other.seconds for other in beside) - playlist.seconds
    *before, last = playlist.segments
    return (
        replace(playlist, segments=(*before, replace(last, seconds=last.seconds + longer)))
        if longer > _OUTLASTING
        else playlist
    )


def mislisted(
    seconds: Fraction,
    plans: Sequence[StreamPlan],
    read: Sequence[Extent],
    written: Sequence[StreamStats],
    zero: Fraction | None = None,
) -> Iterator[str]:
    """Yield what is wrong with how long the segments are together by their playlist or manifest: they hold all streams, not the
    video alone, and no more. `zero`: from when on they count, seconds; None: from the first frame.
    """
    timed = [entry for entry in zip(plans, read, written, strict=True) if entry[0].type in _LASTING]
    begins = [extent.first for _, extent, _ in timed if extent.first is not None]
    begin = min(begins if zero is None else [*begins, zero], default=Fraction(0))
    # Copies keep the packet of audio in which that begins which decoders need.
    early = PRIMING + max((audio_frame(planned, went_in) for planned, _, went_in in timed), default=Fraction(0))
    longest = Fraction(0)
    for planned, extent, went_in in timed:
        slack = Fraction(planned.slack_us, MICROSECONDS) + early
        # Where packets do not say how long they last, reading takes the last frame to be as long as the one before.
        lasting = went_in.extent.last - went_in.extent.last_start
        missing = min(extent.last, extent.last_start + lasting) - begin - seconds
        if missing > slack:
            yield f"the playlist ends {float(missing):.3f} s before the {planned.type} in its segments"
        # Not every container says how long the last frame lasts.
        shown = went_in.extent.last - (went_in.extent.first or 0 if zero is None else zero)
        longest = max(longest, extent.last - begin + slack, shown + slack)
    if timed and seconds > longest:
        yield f"the playlist ends {float(seconds - longest):.3f} s after its segments"
