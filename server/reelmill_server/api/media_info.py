"""Media infos as messages, which mirror ffprobe."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from reelmill.v1 import media_info_pb2
from reelmill_server.api.responses import timestamp
from reelmill_server.model.colour import MATRIX_NAMES, PRIMARIES_NAMES, RANGE_NAMES, TRANSFER_NAMES
from reelmill_server.model.media_info import (
    AudioStreamInfo,
    MasteringDisplay,
    MediaInfo,
    StreamInfo,
    SubtitleStreamInfo,
    VideoStreamInfo,
)
from reelmill_server.model.tags import coordinates, moment, place, tag
from reelmill_server.model.time import rational_text


def media_info(info: MediaInfo) -> media_info_pb2.MediaInfo:
    """Return a media info as a message."""
    tags = info.metadata
    first = next(iter(info.pictures), None)
    return media_info_pb2.MediaInfo(
        format_name=info.format,
        format_long_name=info.format_long,
        stream_count=info.stream_count,
        size=info.size_bytes,
        bitrate=info.bitrate,
        start_time=info.start_seconds,
        duration=info.duration_seconds,
        title=tag(tags, "title"),
        album=tag(tags, "album"),
        album_artist=tag(tags, "album_artist"),
        artist=tag(tags, "artist"),
        composer=tag(tags, "composer"),
        performer=tag(tags, "performer"),
        language=next((stream.language for stream in (*info.audio, *info.video) if stream.language), ""),
        produce_time=timestamp(moment(tags)),
        lat_long=_lat_long(tags),
        video_width=first.width if first else 0,
        video_height=first.height if first else 0,
        video_streams=[_video(stream) for stream in info.video],
        audio_streams=[_audio(stream) for stream in info.audio],
        subtitles=[_subtitle(stream) for stream in info.subtitles],
    )


def _lat_long(tags: Mapping[str, str]) -> str:
    """Return the place as `27.5916,86.564`."""
    degrees_pair = coordinates(place(tags))
    return ",".join(f"{degrees:.10g}" for degrees in degrees_pair) if degrees_pair else ""


def _common(stream: StreamInfo) -> dict[str, Any]:
    return {
        "index": stream.index,
        "language": stream.language,
        "codec_name": stream.codec,
        "codec_long_name": stream.codec_long,
        "codec_tag_string": stream.codec_tag,
        "start_time": stream.start_seconds or 0.0,
        "duration": stream.duration_seconds or 0.0,
        "bitrate": stream.bitrate,
    }


def _display_aspect(stream: VideoStreamInfo) -> str:
    if not stream.height:
        return ""
    aspect = Fraction(stream.width, stream.height) * (stream.sample_aspect_ratio or 1)
    return f"{aspect.numerator}:{aspect.denominator}"


def _video(stream: VideoStreamInfo) -> media_info_pb2.VideoStream:
    content_light = stream.content_light
    return media_info_pb2.VideoStream(
        **_common(stream),
        time_base=rational_text(stream.time_base),
        frame_count=stream.frame_count,
        profile=stream.profile,
        width=stream.width,
        height=stream.height,
        has_b_frames=stream.has_b_frames,
        sample_aspect_ratio=rational_text(stream.sample_aspect_ratio).replace("/", ":"),
        display_aspect_ratio=_display_aspect(stream),
        pixel_format=stream.pixel_format,
        level=stream.level,
        frame_rate=rational_text(stream.frame_rate),
        average_frame_rate=rational_text(stream.average_rate),
        rotate=str(stream.rotation),
        mirrored=stream.mirrored,
        bit_depth=stream.bit_depth,
        color_space=MATRIX_NAMES.get(stream.color_space, ""),
        color_range=RANGE_NAMES.get(stream.color_range, ""),
        color_transfer=TRANSFER_NAMES.get(stream.color_transfer, ""),
        color_primaries=PRIMARIES_NAMES.get(stream.color_primaries, ""),
        attached_picture=stream.attached_picture,
        field_order=stream.field_order,
        mastering_display=_mastering_display(stream.mastering_display),
        content_light=f"{content_light.max_content},{content_light.max_average}" if content_light else "",
    )


def _mastering_display(display: MasteringDisplay | None) -> str:
    if display is None:
        return ""
    points = {"R": display.red, "G": display.green, "B": display.blue, "WP": display.white}
    coordinates = "".join(f"{name}({x / 50_000:g},{y / 50_000:g})" for name, (x, y) in points.items())
    return f"{coordinates}L({display.max_luminance / 10_000:g},{display.min_luminance / 10_000:g})"


def _audio(stream: AudioStreamInfo) -> media_info_pb2.AudioStream:
    return media_info_pb2.AudioStream(
        **_common(stream),
        time_base=rational_text(stream.time_base),
        frame_count=stream.frame_count,
        lyric=next((text for key, text in stream.metadata.items() if key.lower().startswith("lyrics")), ""),
        sample_format=stream.sample_format,
        sample_rate=stream.sample_rate,
        channels=stream.channels,
        channel_layout=stream.layout,
    )


def _subtitle(stream: SubtitleStreamInfo) -> media_info_pb2.SubtitleStream:
    return media_info_pb2.SubtitleStream(**_common(stream), width=stream.width, height=stream.height)
