"""Describe a media file and its streams by what their headers say."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer
from av.format import Flags
from av.stream import Disposition, Stream

from reelmill_server.media.input.claimed_end import claimed_end
from reelmill_server.media.input.cropping import cropped
from reelmill_server.media.input.decoders import may_decode
from reelmill_server.media.input.pieces import is_item
from reelmill_server.media.input.source import average_rate
from reelmill_server.media.libav.codec_names import canonical_name, long_name
from reelmill_server.media.libav.dolby_vision import dolby_vision_of
from reelmill_server.media.libav.errors import LIBAV_ERRORS, check_memory
from reelmill_server.media.libav.layouts import layout_of
from reelmill_server.media.libav.side_data import codec_tag
from reelmill_server.media.libav.timestamps import exact
from reelmill_server.model import tags
from reelmill_server.model.media_info import (
    AttachmentInfo,
    AudioStreamInfo,
    DataStreamInfo,
    MediaInfo,
    SubtitleStreamInfo,
    VideoStreamInfo,
)

_TRIAL_BYTES = bytes(8)
_ENDING_FORMATS = ("nut",)


def media_info_of(container: InputContainer) -> MediaInfo:
    """Return what the headers of an open file say."""
    return MediaInfo(
        format=container.format.name,
        format_long=container.format.long_name,
        size_bytes=max(container.size, 0),
        bitrate=container.bit_rate or 0,
        start_seconds=0.0 if guesses_times(container) else in_seconds(container.start_time, Fraction(1, av.time_base)) or 0.0,
        duration_seconds=_duration(container),
        stream_count=len(container.streams),
        metadata=tags.bounded(container.metadata),
        tags_left_out=sum(len(item.metadata) - len(tags.bounded(item.metadata)) for item in (container, *container.streams)),
        video=tuple(cropped(_video(stream), stream) for stream in _shown(container)),
        audio=tuple(_audio(stream) for stream in container.streams.audio),
        subtitles=tuple(_subtitle(stream) for stream in container.streams.subtitles),
        data=tuple(_data(stream) for stream in container.streams.data),
        attachments=tuple(
            AttachmentInfo(
                stream.index, tags.readable(stream.name or ""), tags.readable(stream.mimetype or ""), len(stream.data)
            )
            for stream in container.streams.attachments
        ),
    )


def _duration(container: InputContainer) -> float:
    """Return how long the file lasts by its header, seconds; 0 if it does not say. Of NUT, libav says when it ends instead."""
    before = max(container.start_time or 0, 0) if container.format.name in _ENDING_FORMATS else 0
    streams: list[Any] = [*container.streams.video, *container.streams.audio]
    known = [stream for stream in streams if stream.duration and stream.time_base]
    told = max(((stream.start_time or 0) + stream.duration) * exact(stream.time_base) for stream in known) if known else 0
    ends = max(claimed_end(stream) * exact(stream.time_base) for stream in known) if known else 0
    seconds = Fraction((container.duration or 0) - before, av.time_base) - (told - ends)
    return float(max(seconds, Fraction(0)))


def is_cover(stream: Any) -> bool:
    """Return whether a video stream is a cover picture."""
    return bool(stream.disposition & Disposition.attached_pic)


def _shown(container: InputContainer) -> Sequence[Any]:
    """Return the video streams of a file, without the still images that stand for the video of animated HEIF."""
    tracks = [stream for stream in container.streams.video if not is_item(stream)]
    return tracks if any(not is_cover(stream) for stream in tracks) else container.streams.video


def guesses_times(container: Any) -> bool:
    """Return whether a file has no times, as raw video: what libav says of when it begins need not be where it begins to
    count.
    """
    return bool(container.format.flags & Flags.no_timestamps.value)


def in_seconds(ticks: int | None, time_base: Fraction | None) -> float | None:
    """Return ticks in seconds; None if they or the time base are unknown."""
    return float(ticks * time_base) if ticks is not None and time_base else None


def _length(stream: Any) -> int | None:
    return claimed_end(stream) - (stream.start_time or 0) if stream.duration is not None else None


def _common(stream: Stream) -> Mapping[str, Any]:
    context = stream.codec_context
    return {
        "index": stream.index,
        "codec": canonical_name(context),
        "codec_long": long_name(context),
        "codec_tag": codec_tag(context),
        "language": tags.language(stream.metadata),
        "time_base": exact(stream.time_base or 0),
        "start_seconds": None if guesses_times(stream.container) else in_seconds(stream.start_time, stream.time_base),
        "duration_seconds": in_seconds(_length(stream), stream.time_base),
        "bitrate": (context.bit_rate or 0) if context else 0,
        "frame_count": stream.frames,
        "metadata": tags.bounded(stream.metadata),
        "decodable": may_decode(stream),
        "barred": context is not None and not may_decode(stream),
        "configuration": hashlib.sha256(context.extradata).hexdigest()[:16] if context and context.extradata else "",
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
        attached_picture=is_cover(stream),
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
            return [stream_read.name for stream_read in written.streams.data] == [stream.name]
    except LIBAV_ERRORS as error:
        check_memory(error)
        return False
