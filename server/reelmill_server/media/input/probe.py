"""Probe media and subtitle files."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import av
from av.container import InputContainer

from reelmill_server.errors import InvalidMedia, MediaLimitExceeded, UnsupportedFormat
from reelmill_server.media.input.color_profile import color_profile
from reelmill_server.media.input.first_frames import FirstFrames, first_frames
from reelmill_server.media.input.followers import FOLLOWED_FORMATS, follower_bytes
from reelmill_server.media.input.headers import in_seconds, is_cover, media_info_of
from reelmill_server.media.input.kept import KeptSource
from reelmill_server.media.input.missing_bytes import COUNTING_FORMATS, missing_bytes
from reelmill_server.media.input.movie_tracks import with_tracks
from reelmill_server.media.input.ordered_chapters import MATROSKA, is_played_in_parts
from reelmill_server.media.input.pieces import further_pages, is_item
from reelmill_server.media.input.restarts import begins_again, transport_tables
from reelmill_server.media.input.scanning import is_surely_progressive
from reelmill_server.media.input.seek import read
from reelmill_server.media.input.source import (
    TEXT_FORMATS,
    Location,
    check_length,
    claimed_by_subtitles,
    open_bytes,
    open_source,
)
from reelmill_server.media.input.subtitle_file import open_subtitles, text_of
from reelmill_server.media.input.timeline import continuous
from reelmill_server.media.input.transport import Tables
from reelmill_server.media.libav.codec_names import codec_name
from reelmill_server.media.libav.demuxing import packets_of
from reelmill_server.media.libav.errors import check_memory
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.model.capability import Limits
from reelmill_server.model.colour import Matrix
from reelmill_server.model.media_info import (
    MediaInfo,
    StreamInfo,
    VideoStreamInfo,
)
from reelmill_server.plan.clock import DECODING_FORMATS, TELLING_B_FRAMES, UNSURE_FORMATS, untold_length

_TIFF_FORMATS = ("tiff_pipe", "png_pipe")  # where libav misreads a TIFF, it is given a PNG
_FOLLOWING_FORMATS = ("gif",)  # of which libav reads on behind the first file, unless that is a still image
_IMAGE_FORMATS = ("gif", "apng", "webp_anim")  # besides those that libav calls pipes
# The version of the bit stream is in the first five bits of the sixth byte (ETSI TS 102 366, annex E).
_AC3_HEADER, _LAST_AC3 = 6, 10
# AVFieldOrder
_FIELD_ORDERS = {1: "progressive", 2: "tt", 3: "bb", 4: "tb", 5: "bt"}


def probe_file(
    location: Location,
    limits: Limits,
    measure_bitrates: bool = False,
    measure_length: bool = False,
    copied: bool = False,
) -> MediaInfo:
    """Probe the media file at `location`: its headers, and the first frames of each video stream.

    `measure_bitrates` and `measure_length` read the whole file if need be, for what the headers do not state. `copied`: its
    video is only copied, so that a later frame which is interlaced, where the first is not, need not be seen; it is left open
    at a KeptSource. Raises as `open_source` does.
    """
    with ExitStack() as opened:
        container = opened.enter_context(open_source(location, limits))
        info = with_tracks(media_info_of(container), container)
        begun = list[AnyPacket]() if copied and isinstance(location, KeptSource) else None
        first = first_frames(container, _told_by_one(container, copied), begun)
        orders = {index: _field_order(container.streams[index], frames) for index, frames in first.items()}
        unordered = {index for index, frames in first.items() if _decoding_times(container.streams[index], frames)}
        hidden = {
            index: in_seconds(frames.hidden, container.streams[index].time_base) or 0.0 for index, frames in first.items()
        }
        images = {stream.index for stream in container.streams.video if _is_image(stream)}
        misnamed = {stream.index for stream in container.streams.audio if _is_extended_ac3(stream)}
        restarts = begins_again(container)
        overlong = info.duration_seconds > limits.max_duration_seconds and claimed_by_subtitles(container, limits)
        if tables := transport_tables(container):
            info = _with_changes(info, container, tables)
        if isinstance(location, KeptSource) and begun is not None and not restarts:
            location.keep(opened, container, begun)
    if info.format in TEXT_FORMATS:
        return replace(info, text=text_of(location, limits))
    still = any(first[index].count == 1 for index in images)
    info = _with_unread_bytes(info, location, still)
    profile = _profile(location) if still else ""
    if restarts or overlong or (measure_length and untold_length(info) and not still):
        with open_source(location, limits) as container:
            info = _with_measured_length(info, container)
        check_length(info.duration_seconds, limits)
    info = replace(
        info,
        video=tuple(
            replace(
                _with_frames(stream, first[stream.index], orders[stream.index]),
                header_fields=not first[stream.index].interlaced and orders[stream.index] not in ("", "progressive"),
                decoding_times=stream.index in unordered,
                hidden_seconds=hidden[stream.index],
                still=stream.index in images and first[stream.index].count == 1,
                color_profile=profile,
            )
            if stream.index in first
            else stream
            for stream in info.video
        ),
        audio=tuple(replace(stream, codec="eac3") if stream.index in misnamed else stream for stream in info.audio),
    )
    return _with_measured_bitrates(info, location, limits) if measure_bitrates else info


def _with_unread_bytes(info: MediaInfo, location: Location, still: bool) -> MediaInfo:
    """Return `info` with what the file lacks, and with what is in it that libav does not read."""
    if info.format in COUNTING_FORMATS:
        with open_bytes(location) as file:
            info = replace(info, missing_bytes=missing_bytes(file, info.format))
    if info.format in FOLLOWED_FORMATS and (still or info.format not in _FOLLOWING_FORMATS):
        with open_bytes(location) as file:
            info = replace(info, follower_bytes=follower_bytes(file, info.format))
    if info.format == MATROSKA:
        with open_bytes(location) as file:
            info = replace(info, in_parts=is_played_in_parts(file, info.duration_seconds))
    if info.format in _TIFF_FORMATS:
        with open_bytes(location) as file:
            info = replace(info, further_pages=further_pages(file))
    return info


def _profile(location: Location) -> str:
    with open_bytes(location) as file:
        return color_profile(file)


def _with_changes(info: MediaInfo, container: InputContainer, tables: Tables) -> MediaInfo:
    """Return `info` with what MPEG-TS says of streams: that they become others midway, are encrypted, or named by its tables
    alone.
    """
    changes, moves = tables.changes(), tables.moves()
    pids = {stream.index: stream.id for stream in container.streams}

    def facts(stream: StreamInfo) -> dict[str, Any]:
        pid = pids[stream.index]
        found: dict[str, Any] = {"encrypted": pid in tables.scrambled - tables.clear}
        if change := changes.get(pid):
            found |= {"becomes": change.codec, "becomes_between": (change.last, change.first)}
        return found

    return replace(
        info,
        video=tuple(replace(stream, **facts(stream)) for stream in info.video),
        audio=tuple(
            replace(stream, **facts(stream), empty=not stream.sample_rate and pids[stream.index] not in tables.spans)
            for stream in info.audio
        ),
        moved_bytes=info.size_bytes - min(moves.values()) if moves else 0,
    )


def _with_measured_bitrates(info: MediaInfo, location: Location, limits: Limits) -> MediaInfo:
    """Return the info with the bit rates that headers do not state, for which the whole file is read."""
    unknown = [stream.index for stream in (*info.pictures, *info.audio) if not stream.bitrate]
    if not unknown:
        return info
    with open_source(location, limits) as container:
        measured = _measured_bitrates(container, unknown)
    return replace(
        info,
        video=tuple(replace(stream, bitrate=measured.get(stream.index, stream.bitrate)) for stream in info.video),
        audio=tuple(replace(stream, bitrate=measured.get(stream.index, stream.bitrate)) for stream in info.audio),
    )


def _is_extended_ac3(stream: Any) -> bool:
    """Return whether a stream that NUT calls AC-3 is E-AC-3: NUT has one code for both."""
    if stream.container.format.name != "nut" or codec_name(stream.codec_context) != "ac3":
        return False
    packet, _ = read(packets_of(stream.container, [stream]))
    return packet is not None and packet.size > _AC3_HEADER and bytes(packet)[_AC3_HEADER - 1] >> 3 > _LAST_AC3


def _with_measured_length(info: MediaInfo, container: InputContainer) -> MediaInfo:
    """Return `info` with the length of all that its file holds; packets without times follow each other."""
    end, lengths = Fraction(0), dict[int, Fraction]()
    streams = [stream for stream in container.streams if stream.type in ("video", "audio")]
    try:
        for packet in continuous(container, streams):
            ticks, base = packet.pts if packet.pts is not None else packet.dts, packet.time_base
            if not base or not packet.size:
                continue
            index, length = packet.stream_index, (packet.duration or 0) * base
            lengths[index] = lengths.get(index, Fraction(0)) + length
            begin = lengths[index] - length + Fraction(info.start_seconds) if ticks is None else ticks * base
            end = max(end, begin + length)
    except av.error.FFmpegError as error:
        check_memory(error)  # else it lasts as long as it can be read
    seconds = float(end) - info.start_seconds
    return replace(info, duration_seconds=seconds, measured=True) if seconds > 0 else info


def probe_beside(location: Location, uri: str, limits: Limits) -> MediaInfo:
    """Probe a file that belongs to the sources, such as a watermark; errors name its `uri`."""
    with _naming(uri):
        return probe_file(location, limits)


@contextmanager
def _naming(uri: str) -> Iterator[None]:
    try:
        yield
    except (InvalidMedia, UnsupportedFormat, MediaLimitExceeded) as error:
        raise type(error)(f"{uri}: {error.message}") from error


def _measured_bitrates(container: InputContainer, wanted: Sequence[int]) -> dict[int, int]:
    """Return bit/s of the streams `wanted`, from the sizes and times of their packets; 0 for a stream of no duration."""
    bits = dict.fromkeys(wanted, 0)
    begin: dict[int, Fraction] = {}
    end: dict[int, Fraction] = {}
    try:
        for packet in packets_of(container, [container.streams[index] for index in wanted]):
            index, ticks = packet.stream.index, packet.pts if packet.pts is not None else packet.dts
            bits[index] += packet.size * 8
            if ticks is None or not packet.time_base:
                continue
            time = ticks * packet.time_base
            begin[index] = min(begin.get(index, time), time)
            end[index] = max(end.get(index, time), time + (packet.duration or 0) * packet.time_base)
    except av.error.FFmpegError as error:
        check_memory(error)  # else measure what could be read
    return {index: round(bits[index] / (end[index] - begin[index])) for index in begin if end[index] > begin[index]}


def probe_subtitles(location: Location, uri: str, limits: Limits, language: str = "") -> MediaInfo:
    """Probe the subtitle file at `location`, which is said to be in `language` (ISO 639).

    Raises InvalidMedia, UnsupportedFormat or MediaLimitExceeded, naming `uri`, for a file that has no subtitles.
    """
    with _naming(uri):
        text = text_of(location, limits, language)
        with open_subtitles(location, text.charset, limits) as container:
            info = media_info_of(container)
    if not info.subtitles:
        raise InvalidMedia(f"{uri}: has no subtitles")
    return replace(info, text=text)


def _is_image(stream: Any) -> bool:
    """Return whether a video stream that has one frame only says nothing of its duration."""
    name = stream.container.format.name
    return (name in _IMAGE_FORMATS or name.endswith("_pipe") or is_item(stream)) and not is_cover(stream)


def _told_by_one(container: InputContainer, copied: bool) -> set[int]:
    """Return the video streams of which one frame tells all: not whether it is the only one, nor in which order frames are
    shown, nor, unless they are only `copied`, whether later ones are interlaced.
    """
    if container.format.name in (*DECODING_FORMATS, *UNSURE_FORMATS):
        return set()
    streams = [stream for stream in container.streams.video if not _is_image(stream)]
    return {stream.index for stream in streams if copied or is_surely_progressive(stream)}


def _decoding_times(stream: Any, frames: FirstFrames) -> bool:
    """Return whether nothing but decoding tells when the packets of a stream are shown."""
    name = stream.container.format.name
    if name not in (*DECODING_FORMATS, *UNSURE_FORMATS) or not frames.count:
        return False
    delayed = (
        name in DECODING_FORMATS
        and codec_name(stream.codec_context) not in TELLING_B_FRAMES
        and frames.dts not in (None, frames.begin)
    )
    return delayed or any(later <= earlier for earlier, later in pairwise(frames.times))


def _field_order(stream: Any, frames: FirstFrames) -> str:
    """Return how frames are scanned, as the decoded ones say, since headers are often wrong. A header that announces fields is
    believed, since they may come later.
    """
    if not frames.count:
        return ""
    announced = _FIELD_ORDERS.get(stream.codec_context.field_order, "")
    if frames.interlaced:
        return announced if announced not in ("", "progressive") else "interlaced"
    return announced or "progressive"


def _with_frames(stream: VideoStreamInfo, frames: FirstFrames, field_order: str) -> VideoStreamInfo:
    if not frames.count:
        return stream
    facts = dict(frames.facts)
    rgb, matrix, span = facts.pop("rgb"), facts["color_space"], facts["color_range"]
    colors = {
        name: _from_frame(facts[name], getattr(stream, name)) for name in ("color_space", "color_transfer", "color_primaries")
    }
    if colors["color_space"] == Matrix.GBR and not rgb:
        colors["color_space"] = Matrix.UNSPECIFIED  # a header that is wrong
    colors["color_range"] = span or stream.color_range
    return replace(
        stream,
        **facts | colors,
        transparent=frames.transparent,
        layer=frames.layer,
        header_colors=(colors["color_space"], colors["color_range"]) != (matrix, span),
        field_order=field_order,
    )


def _from_frame(of_picture: int, of_header: int) -> int:
    """Return what the frame says, or else the header."""
    return of_header if int(of_picture) == Matrix.UNSPECIFIED else int(of_picture)
