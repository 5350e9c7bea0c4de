"""Looks at what is in a media file."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from typing import Any

import av
from av import VideoFrame
from av.container import InputContainer
from av.stream import Disposition, Stream

from reelmill_server.errors import InvalidMedia, MediaLimitExceeded, UnsupportedFormat
from reelmill_server.media.source import open_source
from reelmill_server.media.subtitle_files import charset_of, open_subtitles
from reelmill_server.model.capability import Limits
from reelmill_server.model.media_info import (
    AudioStreamInfo,
    MediaInfo,
    SubtitleFileInfo,
    SubtitleStreamInfo,
    VideoStreamInfo,
)

_PACKETS_TO_FIRST_PICTURE = 2000


def probe_file(path: str, limits: Limits) -> MediaInfo:
    """What is in the media file at `path`: its headers, and the first picture of each video stream.

    Raises as `open_source` does.
    """
    with open_source(path, limits) as container:
        info = _from_headers(container)
        first = _first_pictures(container)
    return replace(info, video=tuple(_with_picture(stream, first.get(stream.index)) for stream in info.video))


def probe_subtitles(path: str, uri: str, limits: Limits) -> SubtitleFileInfo:
    """What is in the subtitle file at `path`.

    Raises InvalidMedia, UnsupportedFormat or MediaLimitExceeded, naming `uri`, for a file that gives no subtitles.
    """
    try:
        charset = charset_of(path)
        with open_subtitles(path, charset, limits) as container:
            info = _from_headers(container)
    except (InvalidMedia, UnsupportedFormat, MediaLimitExceeded) as error:
        raise type(error)(f"{uri}: {error.message}") from error
    if not info.subtitles:
        raise InvalidMedia(f"{uri}: has no subtitles")
    return SubtitleFileInfo(info, charset)


def _first_pictures(container: InputContainer) -> dict[int, VideoFrame]:
    """The first picture that each video stream decodes to; streams that yield none soon are left out.

    Rotation is told by decoded pictures only, and headers may lie about the format.
    """
    wanted = {stream.index for stream in container.streams.video if stream.codec_context}
    found: dict[int, VideoFrame] = {}
    packets = container.demux(container.streams.video) if wanted else iter(())
    try:
        for packet in islice(packets, _PACKETS_TO_FIRST_PICTURE):
            if packet.stream.index not in found and packet.stream.index in wanted:
                try:
                    for frame in packet.decode()[:1]:
                        found[packet.stream.index] = frame
                except (av.error.FFmpegError, ValueError):
                    continue  # a broken start: the pictures after it may be whole
            if found.keys() >= wanted:
                break
    except av.error.FFmpegError:
        pass  # what the headers say stays
    return found


def _with_picture(stream: VideoStreamInfo, frame: VideoFrame | None) -> VideoStreamInfo:
    if frame is None:
        return stream
    return replace(
        stream,
        rotation=round(-frame.rotation / 90) * 90 % 360,
        pixel_format=frame.format.name,
        color_space=int(frame.colorspace),
        color_range=int(frame.color_range),
    )


def _from_headers(container: InputContainer) -> MediaInfo:
    return MediaInfo(
        format=container.format.name,
        format_long=container.format.long_name,
        size_bytes=max(container.size, 0),
        bitrate=container.bit_rate or 0,
        start_seconds=_seconds(container.start_time, Fraction(1, av.time_base)) or 0.0,
        duration_seconds=_seconds(container.duration, Fraction(1, av.time_base)) or 0.0,
        stream_count=len(container.streams),
        metadata=dict(container.metadata),
        video=tuple(_video(stream) for stream in container.streams.video),
        audio=tuple(_audio(stream) for stream in container.streams.audio),
        subtitles=tuple(_subtitle(stream) for stream in container.streams.subtitles),
    )


def _seconds(ticks: int | None, time_base: Fraction | None) -> float | None:
    return float(ticks * time_base) if ticks is not None and time_base else None


def _text(value: Fraction | None) -> str:
    return f"{value.numerator}/{value.denominator}" if value else ""


def _common(stream: Stream) -> Mapping[str, Any]:
    context = stream.codec_context
    return {
        "index": stream.index,
        "codec": context.codec.canonical_name if context else "",
        "codec_long": context.codec.long_name if context else "",
        "codec_tag": context.codec_tag if context else "",
        "language": stream.language or "",
        "time_base": _text(stream.time_base),
        "start_seconds": _seconds(stream.start_time, stream.time_base),
        "duration_seconds": _seconds(stream.duration, stream.time_base),
        "bitrate": (context.bit_rate or 0) if context else 0,
        "frame_count": stream.frames,
        "metadata": dict(stream.metadata),
        "decodable": context is not None,
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
        sample_aspect_ratio=_text(stream.sample_aspect_ratio or context.sample_aspect_ratio),
        frame_rate=_text(stream.base_rate or stream.guessed_rate),
        average_rate=_text(stream.average_rate),
        color_space=int(context.colorspace),
        color_range=int(context.color_range),
        color_transfer=int(context.color_trc),
        color_primaries=int(context.color_primaries),
        attached_picture=bool(stream.disposition & Disposition.attached_pic),
    )


def _audio(stream: Any) -> AudioStreamInfo:
    context = stream.codec_context
    if context is None:
        return AudioStreamInfo(**_common(stream))
    return AudioStreamInfo(
        **_common(stream),
        sample_format=context.format.name if context.format else "",
        sample_rate=context.sample_rate or 0,
        channels=context.channels or 0,
        layout=context.layout.name if context.layout else "",
    )


def _subtitle(stream: Any) -> SubtitleStreamInfo:
    context = stream.codec_context
    size: dict[str, Any] = (
        {"width": getattr(context, "width", 0) or 0, "height": getattr(context, "height", 0) or 0} if context else {}
    )
    return SubtitleStreamInfo(**_common(stream), **size)
