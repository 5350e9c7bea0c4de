"""Probe media and subtitle files."""

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import av
from av.container import InputContainer
from av.stream import Disposition, Stream

from reelmill_server.errors import InvalidMedia, MediaLimitExceeded, UnsupportedFormat
from reelmill_server.media.input.cropping import cropped
from reelmill_server.media.input.decoders import may_decode
from reelmill_server.media.input.first_frames import FirstFrames, first_frames
from reelmill_server.media.input.pieces import is_item
from reelmill_server.media.input.restarts import begins_again
from reelmill_server.media.input.seek import read
from reelmill_server.media.input.source import TEXT_FORMATS, Location, average_rate, open_source
from reelmill_server.media.input.subtitle_file import open_subtitles, text_of
from reelmill_server.media.input.timeline import continuous
from reelmill_server.media.libav.demuxing import packets_of
from reelmill_server.media.libav.dolby_vision import dolby_vision_of
from reelmill_server.media.libav.errors import LIBAV_ERRORS, check_memory
from reelmill_server.media.libav.layouts import layout_of
from reelmill_server.media.libav.side_data import codec_tag
from reelmill_server.media.libav.timestamps import exact
from reelmill_server.model import tags
from reelmill_server.model.capability import Limits
from reelmill_server.model.colour import Matrix
from reelmill_server.model.media_info import (
    AttachmentInfo,
    AudioStreamInfo,
    DataStreamInfo,
    MediaInfo,
    SubtitleStreamInfo,
    VideoStreamInfo,
)
from reelmill_server.plan.clock import DECODING_FORMATS, TELLING_B_FRAMES, untold_length

_IMAGE_FORMATS = ("gif", "apng", "webp_anim")  # besides those that libav calls pipes
_TRIAL_BYTES = bytes(8)
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
    video is only copied, so that a later frame which is interlaced, where the first is not, need not be seen. Raises as
    `open_source` does.
    """
    with open_source(location, limits) as container:
        info = _from_headers(container)
        seen = first_frames(container, _told_by_one(container) if copied else ())
        orders = {index: _field_order(container.streams[index], frames) for index, frames in seen.items()}
        unordered = {index for index, frames in seen.items() if _decoding_times(container.streams[index], frames)}
        hidden = {index: _seconds(frames.hidden, container.streams[index].time_base) or 0.0 for index, frames in seen.items()}
        images = {stream.index for stream in container.streams.video if _is_image(stream)}
        misnamed = {stream.index for stream in container.streams.audio if _is_extended_ac3(stream)}
        restarts = begins_again(container)
    if info.format in TEXT_FORMATS:
        return replace(info, text=text_of(location))
    still = any(seen[index].count == 1 for index in images)
    if restarts or (measure_length and untold_length(info) and not still):
        with open_source(location, limits) as container:
            info = _with_measured_length(info, container)
    info = replace(
        info,
        video=tuple(
            replace(
                _with_frames(stream, seen[stream.index], orders[stream.index]),
                decoding_times=stream.index in unordered,
                hidden_seconds=hidden[stream.index],
                still=stream.index in images and seen[stream.index].count == 1,
            )
            if stream.index in seen
            else stream
            for stream in info.video
        ),
        audio=tuple(replace(stream, codec="eac3") if stream.index in misnamed else stream for stream in info.audio),
    )
    unknown = [stream.index for stream in (*info.pictures, *info.audio) if not stream.bitrate]
    if not measure_bitrates or not unknown:
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
    if stream.container.format.name != "nut" or not stream.codec_context or stream.codec_context.name != "ac3":
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
        text = text_of(location, language)
        with open_subtitles(location, text.charset, limits) as container:
            info = _from_headers(container)
    if not info.subtitles:
        raise InvalidMedia(f"{uri}: has no subtitles")
    return replace(info, text=text)


def _is_image(stream: Any) -> bool:
    """Return whether a video stream that has one frame only says nothing of its duration."""
    name = stream.container.format.name
    return (name in _IMAGE_FORMATS or name.endswith("_pipe") or is_item(stream)) and not _is_cover(stream)


def _told_by_one(container: InputContainer) -> set[int]:
    """Return the video streams of which one frame tells all that a copy must know: not whether it is the only one, nor in
    which order frames are shown.
    """
    timed = container.format.name not in DECODING_FORMATS
    return {stream.index for stream in container.streams.video if timed and not _is_image(stream)}


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def _decoding_times(stream: Any, frames: FirstFrames) -> bool:
    """Return whether nothing but decoding tells when the packets of a stream are shown."""
    if stream.container.format.name not in DECODING_FORMATS or not frames.count:
        return False
    delayed = stream.codec_context.name not in TELLING_B_FRAMES and frames.dts not in (None, frames.begin)
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
    said = dict(frames.said)
    rgb, matrix, span = said.pop("rgb"), said["color_space"], said["color_range"]
    told = {
        name: _from_frame(said[name], getattr(stream, name)) for name in ("color_space", "color_transfer", "color_primaries")
    }
    if told["color_space"] == Matrix.GBR and not rgb:
        told["color_space"] = Matrix.UNSPECIFIED  # a header that is wrong
    told["color_range"] = span or stream.color_range
    return replace(
        stream,
        **said | told,
        transparent=frames.transparent,
        header_colors=(told["color_space"], told["color_range"]) != (matrix, span),
        field_order=field_order,
    )


def _from_frame(of_picture: int, of_header: int) -> int:
    """Return what the frame says, or else the header."""
    return of_header if int(of_picture) == Matrix.UNSPECIFIED else int(of_picture)


def _from_headers(container: InputContainer) -> MediaInfo:
    return MediaInfo(
        format=container.format.name,
        format_long=container.format.long_name,
        size_bytes=max(container.size, 0),
        bitrate=container.bit_rate or 0,
        start_seconds=_seconds(container.start_time, Fraction(1, av.time_base)) or 0.0,
        duration_seconds=_seconds(container.duration, Fraction(1, av.time_base)) or 0.0,
        stream_count=len(container.streams),
        metadata=tags.bounded(container.metadata),
        tags_left_out=sum(len(item.metadata) - len(tags.bounded(item.metadata)) for item in (container, *container.streams)),
        video=tuple(cropped(_video(stream), stream) for stream in _shown(container)),
        audio=tuple(_audio(stream) for stream in container.streams.audio),
        subtitles=tuple(_subtitle(stream) for stream in container.streams.subtitles),
        data=tuple(_data(stream) for stream in container.streams.data),
        attachments=tuple(
            AttachmentInfo(stream.index, stream.name or "", stream.mimetype or "", len(stream.data))
            for stream in container.streams.attachments
        ),
    )


def _shown(container: InputContainer) -> Sequence[Any]:
    """Return the video streams of a file, without the still images that stand for the video of animated HEIF."""
    tracks = [stream for stream in container.streams.video if not is_item(stream)]
    return tracks if any(not _is_cover(stream) for stream in tracks) else container.streams.video


def _seconds(ticks: int | None, time_base: Fraction | None) -> float | None:
    return float(ticks * time_base) if ticks is not None and time_base else None


def _common(stream: Stream) -> Mapping[str, Any]:
    context = stream.codec_context
    return {
        "index": stream.index,
        "codec": context.codec.canonical_name if context else "",
        "codec_long": context.codec.long_name if context else "",
        "codec_tag": codec_tag(context),
        "language": tags.language(stream.metadata),
        "time_base": exact(stream.time_base or 0),
        "start_seconds": _seconds(stream.start_time, stream.time_base),
        "duration_seconds": _seconds(stream.duration, stream.time_base),
        "bitrate": (context.bit_rate or 0) if context else 0,
        "frame_count": stream.frames,
        "metadata": tags.bounded(stream.metadata),
        "decodable": may_decode(stream),
        "barred": context is not None and not may_decode(stream),
        "configuration": hashlib.sha256(context.extradata or b"").hexdigest()[:16] if context else "",
    }


def _video(stream: Any) -> VideoStreamInfo:
    context = stream.codec_context
    if context is None:
        return VideoStreamInfo(**_common(stream))
    return VideoStreamInfo(
        **_common(stream),
        width=context.width,
        height=context.height,
        pixel_format=context.pix_fmt or "",
        bit_depth=context.format.components[0].bits if context.format else 0,
        profile=context.profile or "",
        level=context.level,
        has_b_frames=int(context.has_b_frames),
        sample_aspect_ratio=exact(stream.sample_aspect_ratio or context.sample_aspect_ratio or 0),
        frame_rate=exact(stream.base_rate or stream.guessed_rate or 0),
        average_rate=exact(average_rate(stream) or 0),
        color_space=int(context.colorspace),
        color_range=int(context.color_range),
        color_transfer=int(context.color_trc),
        color_primaries=int(context.color_primaries),
        attached_picture=_is_cover(stream),
        key_seconds=_key_seconds(stream),
        header_aspect=(stream.sample_aspect_ratio or 0) not in (0, context.sample_aspect_ratio or 0),
        dolby_vision=dolby_vision_of(stream),
    )


def _key_seconds(stream: Any) -> float:
    """Return the mean distance of keyframes, as far as the container has an index of them."""
    keys = [entry.timestamp for entry in stream.index_entries if entry.is_keyframe]
    if not keys or not stream.time_base:
        return 0.0
    if stream.duration:
        return float(max(stream.duration, keys[-1] - keys[0]) * stream.time_base / len(keys))
    return float((keys[-1] - keys[0]) * stream.time_base / (len(keys) - 1)) if len(keys) > 1 else 0.0


def _audio(stream: Any) -> AudioStreamInfo:
    context = stream.codec_context
    if context is None:
        return AudioStreamInfo(**_common(stream))
    layout, channels = layout_of(context)
    return AudioStreamInfo(
        **_common(stream),
        sample_format=context.format.name if context.format else "",
        sample_rate=context.sample_rate or 0,
        channels=channels,
        layout=layout,
    )


def _subtitle(stream: Any) -> SubtitleStreamInfo:
    context = stream.codec_context
    size: dict[str, Any] = (
        {"width": getattr(context, "width", 0) or 0, "height": getattr(context, "height", 0) or 0} if context else {}
    )
    return SubtitleStreamInfo(
        **_common(stream),
        **size,
        default=bool(stream.disposition & Disposition.default),
        forced=bool(stream.disposition & Disposition.forced),
    )


def _data(stream: Any) -> DataStreamInfo:
    return DataStreamInfo(**{**_common(stream), "codec": stream.name or "", "fits_mp4": _fits_mp4(stream)})


def _fits_mp4(stream: Any) -> bool:
    """Return whether a data stream can be written to MP4 and read back. Only a trial tells: the muxer accepts some streams that
    no demuxer finds again.
    """
    file = io.BytesIO()
    try:
        with av.open(file, "w", format="mp4") as trial:
            packet = av.Packet(_TRIAL_BYTES)
            packet.stream = trial.add_stream_from_template(stream)
            packet.pts, packet.dts, packet.duration, packet.time_base = 0, 0, 1, Fraction(1, 1000)
            trial.mux(packet)
        file.seek(0)
        with av.open(file, "r", format="mp4") as written:
            return [found.name for found in written.streams.data] == [stream.name]
    except LIBAV_ERRORS as error:
        check_memory(error)
        return False
