"""Read an output back and compare it with what was planned and what was written.

The file (of a segmented output: its playlist, or init segment and segments joined) is opened anew, every packet is counted,
and the first and the last GOP of each video stream, and the first and the last packets of each audio stream, are decoded.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer

from reelmill_server.errors import OutputInvalid
from reelmill_server.media.input.decoders import usual_decoders
from reelmill_server.media.libav.errors import meaning
from reelmill_server.media.libav.log import error_text
from reelmill_server.media.libav.probing import PROBING
from reelmill_server.media.libav.timestamps import Extent
from reelmill_server.media.output.base import MediaFile
from reelmill_server.media.package.codec_strings import codec_string
from reelmill_server.media.package.playlists import MediaPlaylist
from reelmill_server.media.package.segments import Cuts, Joined, listed
from reelmill_server.media.result.balance import check_balance
from reelmill_server.media.result.claims import check_source_claims, overstated
from reelmill_server.media.result.comparison import compare, planned_streams
from reelmill_server.media.result.description import describe_stream, seconds_of
from reelmill_server.media.result.listing import begin_of, checked_playlist, cuts_of, end_of, mislisted
from reelmill_server.media.result.readback import described, lost_alpha, lost_captions, misread, moved_apart
from reelmill_server.media.result.reading import StreamReading, decode_ends, halves, read_streams
from reelmill_server.media.result.witness import witness_of
from reelmill_server.model.plan import StreamType, TargetPlan
from reelmill_server.model.request import SegmentFormat
from reelmill_server.model.task import ArtifactStream
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.plan.codec.containers import CONTAINERS

_SUBTITLE_FILES = frozenset({"srt", "webvtt", "ass"})
_HEADER_BYTES = 4096  # of a subtitle file without a cue: ASS has its styles there
# libav decodes seven frames of H.264 in Matroska and MPEG-TS to guess in which order frames are shown.
_KEYFRAMES = {"skip_frame": "nokey"}
_ZERO = Fraction(0)  # manifests have one clock for all streams


@dataclass(frozen=True)
class Verified:
    """An output that was read back: its streams, their codec strings (RFC 6381), the playlists of its segments, and the extents
    in time of its streams.
    """

    produced: MediaFile
    streams: tuple[ArtifactStream, ...]
    duration_seconds: float
    codecs: tuple[str, ...]
    playlists: tuple[MediaPlaylist, ...] = ()
    extents: tuple[Extent, ...] = ()


def verify(produced: MediaFile, moved: Callable[[], None] = lambda: None) -> Verified:
    """Read an output back and return what is in it; `moved` is called repeatedly while a long one is read.

    Raises OutputInvalid when it is not what was planned and written, InvalidMedia when the source gave less than its
    container claimed.
    """
    where = f"{produced.plan.field}"
    produced = _without_empty_data(produced)
    check_source_claims(produced, where)
    read = _read_as_written(_with_silence(produced), moved, where)
    check_balance(produced, where)
    return read


def _with_silence(produced: MediaFile) -> MediaFile:
    """Return a file whose streams were written with the silence that its container needs."""
    if not any(map(any, (written.silence for written in produced.written))):
        return produced
    streams = (replace(written, extent=written.extent.widened(*written.silence)) for written in produced.written)
    return replace(produced, written=tuple(streams))


def _read_as_written(produced: MediaFile, moved: Callable[[], None], where: str) -> Verified:
    """Read an output back by what lists it: a playlist, a manifest, or nothing."""
    if produced.plan.muxer in _SUBTITLE_FILES:
        if not produced.written[0].packets:
            return _without_lines(produced)
        return _read_back(produced, produced.path, moved, format=produced.plan.muxer)
    if produced.plan.package is None:
        return _read_back(produced, produced.path, moved)
    playlists = listed(produced.plan, produced.path)
    if produced.plan.package.format != SegmentFormat.DASH:
        cuts = cuts_of(produced.plan, playlists[0])
        read = _read_back(produced, produced.path, moved, cuts, **_LISTED)
        written = produced.written[cuts.stream]
        playlist = checked_playlist(playlists[0], cuts, written, where, begin_of(produced), end_of(produced))
        _check_listed(playlist.seconds, read)
        return replace(read, playlists=(playlist,))
    return _read_streams(produced, playlists, moved, where)


def _check_listed(seconds: Fraction, read: Verified, zero: Fraction | None = None) -> None:
    """Check how long a playlist or manifest says its segments are, counted from `zero` on. Raises OutputInvalid."""
    plan = read.produced.plan
    for text in mislisted(seconds, plan.streams, read.extents, read.produced.written, zero):
        raise OutputInvalid(f"{plan.field}: {text}")


def _without_empty_data(produced: MediaFile) -> MediaFile:
    """Drop the data streams that have no packet in the span: MP4 has no track for them."""
    given = produced.given or (None,) * len(produced.written)
    entries = list(zip(produced.plan.streams, produced.written, given, strict=False))
    with_packets = [entry for entry in entries if entry[0].type != StreamType.DATA or entry[1].packets]
    if len(with_packets) == len(entries):
        return produced
    streams, written, given = zip(*with_packets, strict=True) if with_packets else ((), (), ())
    return replace(produced, plan=replace(produced.plan, streams=streams), written=written, given=given)


# The playlist is our own, and names files beside it.
_LISTED: Mapping[str, Any] = {"format": "hls", "options": {"allowed_extensions": "ALL"}}


def _read_streams(produced: MediaFile, playlists: Sequence[MediaPlaylist], moved: Callable[[], None], where: str) -> Verified:
    """Read each stream of a manifest by itself, init segment and segments joined."""
    parts, checked = [], []
    folder = Path(produced.path).parent
    assert produced.plan.package
    begin = -Fraction(produced.plan.package.clock_us, MICROSECONDS)
    for number, playlist in enumerate(playlists):
        alone = replace(produced.plan, streams=(produced.plan.streams[number],))
        cuts = cuts_of(alone, playlist)
        paths = [folder / name for name in (playlist.head, *(segment.name for segment in playlist.segments))]
        try:
            joined = Joined(paths)
        except OSError as error:
            raise OutputInvalid(f"{where}: {error_text(error)}") from error
        with closing(joined):
            alone_file = replace(produced, plan=alone, written=(produced.written[number],), given=produced.given[number:][:1])
            parts.append(_read_back(alone_file, joined, moved, cuts, format="mp4"))
        checked.append(checked_playlist(playlist, cuts, produced.written[number], where, begin))
        _check_listed(checked[-1].seconds, parts[-1], _ZERO)
    extents = tuple(extent for part in parts for extent in part.extents)
    whole = Verified(
        produced,
        # libav writes the language into the manifest only.
        tuple(
            replace(stream, language=playlist.language)
            for part, playlist in zip(parts, playlists, strict=True)
            for stream in part.streams
        ),
        max(part.duration_seconds for part in parts),
        tuple(codec for part in parts for codec in part.codecs),
        tuple(checked),
        extents,
    )
    _check_listed(max(playlist.seconds for playlist in checked), whole, _ZERO)
    return whole


def _read_back(produced: MediaFile, file: Any, moved: Callable[[], None], cuts: Cuts | None = None, **opening: Any) -> Verified:
    plan, where = produced.plan, f"{produced.plan.field}"
    try:
        with _opened(file, plan, **opening) as container:
            media = planned_streams(container, plan)
            unordered = plan.container in CONTAINERS and bool(CONTAINERS[plan.container].unordered)
            readings = read_streams(container, media, unordered, moved, cuts, halves(produced, unordered))
            compare(media, plan, produced.written, readings, where)
            for stream, planned, sight, written in zip(media, plan.streams, readings, produced.written, strict=True):
                witness = witness_of(planned, written, sight.extent, stream.time_base)
                decode_ends(stream, planned, sight, where, written.given, witness)
            given = produced.given or (None,) * len(media)
            streams = tuple(map(describe_stream, media, plan.streams, produced.written, given, readings))
            codecs = tuple(
                codec_string(planned.codec, stream.codec_context) for stream, planned in zip(media, plan.streams, strict=True)
            )
            _check_description(container, produced, media, readings)
            duration = seconds_of(container, readings)
    except av.error.FFmpegError as error:
        raise meaning(error, OutputInvalid(f"{where}: the file cannot be read back: {error_text(error)}")) from error
    return Verified(produced, streams, duration, codecs, extents=tuple(sight.extent for sight in readings))


def _opened(file: Any, plan: TargetPlan, **opening: Any) -> InputContainer:
    """Open an output. To learn what copied video is, its keyframes are enough, unless they do not tell: that it can be decoded
    is looked at later. Raises FFmpegError.
    """
    options = {**PROBING, **usual_decoders(), **opening.pop("options", {})}
    if any(stream.copies_video for stream in plan.streams):
        container: InputContainer = av.open(file, "r", options={**options, **_KEYFRAMES}, **opening)
        if all(stream.codec_context is None or stream.codec_context.pix_fmt for stream in container.streams.video):
            return container
        container.close()
        if not isinstance(file, str):
            file.seek(0)
    opened: InputContainer = av.open(file, "r", options=options, **opening)
    return opened


def _without_lines(produced: MediaFile) -> Verified:
    """Return what is in a subtitle file without a cue in the span, which libav does not read back. Raises OutputInvalid."""
    plan, size = produced.plan, Path(produced.path).stat().st_size
    if size > _HEADER_BYTES:
        raise OutputInvalid(f"{plan.field}: no subtitles went in, {size} bytes came out")
    (planned,) = plan.streams
    stream = ArtifactStream(planned.type, planned.codec, planned.encoder, planned.reason, 0, 0.0)
    return Verified(produced, (stream,), 0.0, ("",))


def _check_description(
    container: InputContainer, produced: MediaFile, media: Sequence[Any], readings: Sequence[StreamReading]
) -> None:
    """Check what the file says of itself. Raises OutputInvalid."""
    plan = produced.plan
    extents = [sight.extent for sight in readings]
    texts = [*moved_apart(plan, produced.written, extents)]
    texts += overstated(container, media, plan.streams, produced.written, extents)
    texts += [text for stream, planned in zip(media, plan.streams, strict=True) for text in described(stream, planned)]
    for stream, planned, went_in, sight in zip(media, plan.streams, produced.written, readings, strict=True):
        ends = (*sight.head, *sight.tail)
        texts += [*misread(planned, went_in, ends), *lost_captions(stream, planned, went_in, ends)]
    entries = zip(media, plan.streams, readings, strict=True)
    texts += [text for stream, planned, sight in entries for text in lost_alpha(stream, planned, sight.head)]
    for text in texts:
        raise OutputInvalid(f"{plan.field}: {text}")
