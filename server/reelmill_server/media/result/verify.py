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
from av.stream import Disposition, Stream

from reelmill_server.errors import InvalidMedia, OutputInvalid
from reelmill_server.media.libav.errors import meaning
from reelmill_server.media.libav.layouts import layout_of
from reelmill_server.media.libav.probing import PROBING
from reelmill_server.media.libav.timestamps import Extent
from reelmill_server.media.output.base import MediaFile
from reelmill_server.media.package.codec_strings import codec_string
from reelmill_server.media.package.playlists import MediaPlaylist
from reelmill_server.media.package.segments import Cuts, Joined, listed
from reelmill_server.media.result.balance import check_balance
from reelmill_server.media.result.readback import described, listed_short, moved_apart
from reelmill_server.media.result.reading import StreamReading, decode_ends, halves, read_streams
from reelmill_server.media.track.base import StreamStats
from reelmill_server.model.colour import Transfer
from reelmill_server.model.plan import StreamPlan, StreamType, TargetPlan
from reelmill_server.model.request import SegmentFormat
from reelmill_server.model.task import ArtifactStream
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.plan.codec.containers import CONTAINERS

_LASTING = (StreamType.VIDEO, StreamType.AUDIO)
_OUTLASTING = Fraction(1, 10)  # seconds of audio behind the video that its last frame does not explain
_GUESSED_FORMATS = ("aac", "ac3", "amr")  # without a header: libav estimates their duration from the size and a bit rate
# MP4 and MPEG-TS have one codec for all layers of MPEG audio, and libav one decoder.
_ALIASES = {"mp2": "mp3"}
# Tolerated between the ends of counted video and audio besides two frames: imperceptible.
_DRIFT_SECONDS = Fraction(1, 4)
# Names of the packets of a kind, where each one written must be read back.
_COUNTED = {"video": "pictures", "data": "packets of data", "picture": "cover pictures"}
_SUBTITLE_FILES = frozenset({"srt", "webvtt", "ass"})
_HEADER_BYTES = 4096  # of a subtitle file without a cue: ASS has its styles there
# By text codec: ASS counts in hundredths of a second.
_LINE_ROUNDING = {name: Fraction(2, 1000) for name in ("subrip", "webvtt", "mov_text", "text")} | {"ass": Fraction(1, 50)}
# Some muxers count in milliseconds (Matroska, FLV): times read back may be off by one.
_ROUNDING = Fraction(2, 1000)


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
    _compare_with_source(produced, where)
    _compare_ends(produced, where)
    read = _read_as_written(produced, moved, where)
    check_balance(produced, where)
    return read


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
        cuts = _cuts(produced.plan, playlists[0])
        read = _read_back(produced, produced.path, moved, cuts, **_LISTED)
        playlist = _checked(playlists[0], cuts, produced.written[cuts.stream], where, _end(produced))
        _check_listed(playlist, read)
        return replace(read, playlists=(playlist,))
    return _read_streams(produced, playlists, moved, where)


def _without_empty_data(produced: MediaFile) -> MediaFile:
    """Drop the data streams that have no packet in the span: MP4 has no track for them."""
    given = produced.given or (None,) * len(produced.written)
    entries = list(zip(produced.plan.streams, produced.written, given, strict=False))
    kept = [entry for entry in entries if entry[0].type != StreamType.DATA or entry[1].packets]
    if len(kept) == len(entries):
        return produced
    streams, written, given = zip(*kept, strict=True) if kept else ((), (), ())
    return replace(produced, plan=replace(produced.plan, streams=streams), written=written, given=given)


# The playlist is our own, and names files beside it.
_LISTED: Mapping[str, Any] = {"format": "hls", "options": {"allowed_extensions": "ALL"}}


def _cuts(plan: TargetPlan, playlist: MediaPlaylist) -> Cuts:
    kinds = [stream.type for stream in plan.streams]
    return Cuts(playlist, kinds.index(StreamType.VIDEO) if StreamType.VIDEO in kinds else 0)


def _end(produced: MediaFile) -> Fraction:
    """Return when the last frame of video or audio ends that was written, seconds."""
    pairs = zip(produced.plan.streams, produced.written, strict=True)
    return max((written.extent.last for planned, written in pairs if planned.type in _LASTING), default=Fraction(0))


def _checked(
    playlist: MediaPlaylist, cuts: Cuts, written: StreamStats, where: str, end: Fraction = Fraction(0)
) -> MediaPlaylist:
    """Check the segments; `written` are the statistics of the stream by which they are cut, `end` is that of all streams."""
    if not cuts.all_found:
        raise OutputInvalid(f"{where}: segment {cuts.found} does not begin with a key frame at its time")
    # libav's HLS muxer assumes that the first frame of the last segment lasts as long as the very first one.
    *before, last = playlist.segments
    rest = written.extent.last - (written.extent.first or Fraction(0)) - sum(segment.seconds for segment in before)
    last = replace(last, seconds=min(last.seconds, rest) if rest > 0 else last.seconds)
    # It knows nothing of audio that goes on behind the video: players would stop there.
    if end - written.extent.last > _OUTLASTING:
        last = replace(last, seconds=last.seconds + end - written.extent.last)
    # libav counts what an edit list hides; a player that seeks a segment where the playlist says would wait for its end.
    first, *others = (*before, last)
    shown = replace(first, seconds=max(first.seconds - cuts.hidden, Fraction(0)))
    return replace(playlist, segments=(shown, *others), independent=cuts.independent)


def _read_streams(produced: MediaFile, playlists: Sequence[MediaPlaylist], moved: Callable[[], None], where: str) -> Verified:
    """Read each stream of a manifest by itself, init segment and segments joined."""
    parts, checked = [], []
    folder = Path(produced.path).parent
    for number, playlist in enumerate(playlists):
        alone = replace(produced.plan, streams=(produced.plan.streams[number],))
        cuts = _cuts(alone, playlist)
        paths = [folder / name for name in (playlist.head, *(segment.name for segment in playlist.segments))]
        try:
            joined = Joined(paths)
        except OSError as error:
            raise OutputInvalid(f"{where}: {error}") from error
        with closing(joined):
            one = replace(produced, plan=alone, written=(produced.written[number],))
            parts.append(_read_back(one, joined, moved, cuts, format="mp4"))
        checked.append(_checked(playlist, cuts, produced.written[number], where))
        _check_listed(checked[-1], parts[-1])
    return Verified(
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
    )


def _read_back(produced: MediaFile, file: Any, moved: Callable[[], None], cuts: Cuts | None = None, **opening: Any) -> Verified:
    plan, where = produced.plan, f"{produced.plan.field}"
    try:
        with av.open(file, "r", **opening | {"options": {**PROBING, **opening.get("options", {})}}) as container:
            media = _media(container, plan)
            unordered = plan.container in CONTAINERS and bool(CONTAINERS[plan.container].unordered)
            seen = read_streams(container, media, unordered, moved, cuts, halves(produced, unordered))
            _compare(media, plan, produced.written, seen, where)
            for stream, planned, sight in zip(media, plan.streams, seen, strict=True):
                decode_ends(stream, planned, sight, where)
            streams = tuple(
                _describe(stream, planned, written, sight)
                for stream, planned, written, sight in zip(media, plan.streams, produced.written, seen, strict=True)
            )
            codecs = tuple(
                codec_string(planned.codec, stream.codec_context) for stream, planned in zip(media, plan.streams, strict=True)
            )
            _check_description(container, produced, media, seen)
            duration = _duration(container, seen)
    except av.error.FFmpegError as error:
        raise meaning(error, OutputInvalid(f"{where}: the file cannot be read back: {error}")) from error
    return Verified(produced, streams, duration, codecs, extents=tuple(sight.extent for sight in seen))


def _without_lines(produced: MediaFile) -> Verified:
    """Return what is in a subtitle file without a cue in the span, which libav does not read back. Raises OutputInvalid."""
    plan, size = produced.plan, Path(produced.path).stat().st_size
    if size > _HEADER_BYTES:
        raise OutputInvalid(f"{plan.field}: no subtitles went in, {size} bytes came out")
    (planned,) = plan.streams
    stream = ArtifactStream(planned.type, planned.codec, planned.encoder, planned.reason, 0, 0.0)
    return Verified(produced, (stream,), 0.0, ("",))


def _compare_with_source(produced: MediaFile, where: str) -> None:
    """Compare what was written with the duration that the source claims: a truncated source is not converted."""
    for planned, written in zip(produced.plan.streams, produced.written, strict=True):
        if written.packets == 0 and planned.type != StreamType.SUBTITLE:
            raise InvalidMedia(f"{where}: the source's {planned.type} stream gave nothing in the span")
        got_us = written.extent.last * MICROSECONDS
        # A copy begins at a keyframe and may reach further: only less is wrong.
        if planned.expected_us and got_us + planned.slack_us + _ROUNDING * MICROSECONDS < planned.expected_us:
            raise InvalidMedia(
                f"{where}: the source claims {planned.expected_us / MICROSECONDS:.3f} s of {planned.type} in the span, "
                f"but only {float(got_us) / MICROSECONDS:.3f} s could be read: it is truncated or broken"
            )


def _compare_ends(produced: MediaFile, where: str) -> None:
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


def _media(container: InputContainer, plan: TargetPlan) -> list[Stream]:
    """Return the streams that were planned, without the data streams that muxers add behind them for chapters and time codes.

    Raises OutputInvalid if the number of attached files is not the planned one.
    """
    if len(container.streams.attachments) != len(plan.attachments):
        count = len(container.streams.attachments)
        raise OutputInvalid(f"{plan.field}: has {count} attached files, not {len(plan.attachments)}")
    planned = sum(stream.type == StreamType.DATA for stream in plan.streams)
    kept = {stream.index for stream in container.streams.data[:planned]}
    rest = [stream for stream in container.streams if stream.type != "attachment"]
    return [stream for stream in rest if stream.type != "data" or stream.index in kept]


def _kind(stream: Any) -> str:
    """Return the kind of a stream as plans call it."""
    picture = stream.type == "video" and int(stream.disposition) & int(Disposition.attached_pic)
    return "picture" if picture else str(stream.type)


def _compare(
    media: Sequence[Any], plan: TargetPlan, written: Sequence[StreamStats], seen: Sequence[StreamReading], where: str
) -> None:
    kinds = [_kind(stream) for stream in media]
    if kinds != [stream.type for stream in plan.streams]:
        raise OutputInvalid(f"{where}: has the streams {kinds}, planned were {[stream.type for stream in plan.streams]}")
    for stream, planned, went_in, came_out in zip(media, plan.streams, written, seen, strict=True):
        name = stream.codec_context.codec.canonical_name if stream.codec_context else stream.name
        if _ALIASES.get(name, name) != _ALIASES.get(planned.codec, planned.codec):
            raise OutputInvalid(f"{where}: the {planned.type} is {name}, planned was {planned.codec}")
        _compare_counts(planned, went_in, came_out, where)
        if planned.video and (stream.codec_context.width, stream.codec_context.height) != (
            planned.video.width,
            planned.video.height,
        ):
            size = f"{stream.codec_context.width}x{stream.codec_context.height}"
            raise OutputInvalid(f"{where}: the video is {size}, planned was {planned.video.width}x{planned.video.height}")


def _compare_counts(planned: StreamPlan, went_in: StreamStats, came_out: StreamReading, where: str) -> None:
    if planned.type in _COUNTED and came_out.packets != went_in.packets:
        raise OutputInvalid(f"{where}: {went_in.packets} {_COUNTED[planned.type]} went in, {came_out.packets} came out")
    if planned.type == StreamType.PICTURE:
        size = sum(packet.size for packet in came_out.head)
        if size != went_in.size_bytes:
            raise OutputInvalid(f"{where}: a cover picture of {went_in.size_bytes} bytes went in, {size} came out")
        return
    if planned.type == StreamType.SUBTITLE:
        _compare_lines(planned, went_in, came_out, where)
        return
    sent, got = went_in.extent, came_out.extent
    if got.first is None or sent.first is None:
        return
    # Lengths, not positions: muxers may move a file whose first timestamp is below 0. The start of the last frame is
    # compared, since not every container keeps its duration.
    expected, length = sent.last_start - sent.first, got.last_start - got.first
    frame = max(got.last - got.last_start, Fraction(1, 1000))
    if abs(length - expected) > frame + _ROUNDING:
        raise OutputInvalid(f"{where}: {float(expected):.3f} s of {planned.type} went in, {float(length):.3f} s came out")


def _compare_lines(planned: StreamPlan, went_in: StreamStats, came_out: StreamReading, where: str) -> None:
    """Compare how many cues there are, and where the first and the last begin; bitmaps may come in pieces joined anew."""
    if planned.codec not in _LINE_ROUNDING:
        return
    if came_out.packets != went_in.packets:
        raise OutputInvalid(f"{where}: {went_in.packets} lines of subtitles went in, {came_out.packets} came out")
    sent, got = went_in.extent, came_out.extent
    off = abs((sent.last_start - (sent.first or 0)) - (got.last_start - (got.first or 0)))
    if off > _LINE_ROUNDING[planned.codec]:
        raise OutputInvalid(f"{where}: the last line of the subtitles lies {float(off):.3f} s off its place")


def _check_listed(playlist: MediaPlaylist, read: Verified) -> None:
    plan = read.produced.plan
    for text in listed_short(playlist, list(zip(plan.streams, read.extents, strict=True))):
        raise OutputInvalid(f"{plan.field}: {text}")


def _check_description(
    container: InputContainer, produced: MediaFile, media: Sequence[Any], seen: Sequence[StreamReading]
) -> None:
    """Check what the file says of itself. Raises OutputInvalid."""
    plan = produced.plan
    extents = [sight.extent for sight in seen]
    texts = [*moved_apart(plan, produced.written, extents)]
    texts += [text for stream, planned in zip(media, plan.streams, strict=True) for text in described(stream, planned)]
    for text in texts:
        raise OutputInvalid(f"{plan.field}: {text}")


def _duration(container: InputContainer, seen: Sequence[StreamReading]) -> float:
    """Return the seconds from the first frame to the end of the last one: headers may count decoding time, and less."""
    begin = max(min((sight.extent.first or Fraction(0) for sight in seen), default=Fraction(0)), Fraction(0))
    end = max((sight.extent.last for sight in seen), default=Fraction(0))
    claimed = Fraction(0 if container.format.name in _GUESSED_FORMATS else container.duration or 0, MICROSECONDS)
    if container.format.name == "flv":  # its duration is the time of its end, and with B-frames it begins late
        claimed -= begin
    return float(max(claimed, end - begin))


def _describe(stream: Any, planned: StreamPlan, written: StreamStats, sight: StreamReading) -> ArtifactStream:
    context = stream.codec_context
    video, audio = stream.type == "video", stream.type == "audio"
    first = sight.extent.first or 0
    seconds, between = sight.extent.last - first, sight.extent.last_start - first
    return ArtifactStream(
        type=planned.type,
        codec=planned.codec,
        encoder=planned.encoder,
        reason=planned.reason,
        packet_count=sight.packets,
        duration_seconds=float(seconds),
        width=context.width if video else 0,
        height=context.height if video else 0,
        sample_rate=context.sample_rate if audio else 0,
        channels=layout_of(context)[1] if audio else 0,
        bitrate=round(written.size_bytes * 8 / seconds) if seconds > 0 else 0,
        frame_rate=round(float((sight.packets - 1) / between), 3) if video and between > 0 else 0.0,
        language=stream.language or "",
        vmaf=written.vmaf,
        color_transfer=int(context.color_trc) if video else Transfer.UNSPECIFIED,
    )
