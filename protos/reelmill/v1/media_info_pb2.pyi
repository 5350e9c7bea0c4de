import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MediaInfo(_message.Message):
    __slots__ = ("format_name", "format_long_name", "stream_count", "program_count", "size", "bitrate", "start_time", "duration", "title", "album", "album_artist", "artist", "composer", "performer", "language", "produce_time", "lat_long", "addresses", "video_width", "video_height", "video_streams", "audio_streams", "subtitles")
    FORMAT_NAME_FIELD_NUMBER: _ClassVar[int]
    FORMAT_LONG_NAME_FIELD_NUMBER: _ClassVar[int]
    STREAM_COUNT_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_COUNT_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    BITRATE_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    ALBUM_FIELD_NUMBER: _ClassVar[int]
    ALBUM_ARTIST_FIELD_NUMBER: _ClassVar[int]
    ARTIST_FIELD_NUMBER: _ClassVar[int]
    COMPOSER_FIELD_NUMBER: _ClassVar[int]
    PERFORMER_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    PRODUCE_TIME_FIELD_NUMBER: _ClassVar[int]
    LAT_LONG_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    VIDEO_WIDTH_FIELD_NUMBER: _ClassVar[int]
    VIDEO_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    VIDEO_STREAMS_FIELD_NUMBER: _ClassVar[int]
    AUDIO_STREAMS_FIELD_NUMBER: _ClassVar[int]
    SUBTITLES_FIELD_NUMBER: _ClassVar[int]
    format_name: str
    format_long_name: str
    stream_count: int
    program_count: int
    size: int
    bitrate: int
    start_time: float
    duration: float
    title: str
    album: str
    album_artist: str
    artist: str
    composer: str
    performer: str
    language: str
    produce_time: _timestamp_pb2.Timestamp
    lat_long: str
    addresses: _containers.RepeatedScalarFieldContainer[str]
    video_width: int
    video_height: int
    video_streams: _containers.RepeatedCompositeFieldContainer[VideoStream]
    audio_streams: _containers.RepeatedCompositeFieldContainer[AudioStream]
    subtitles: _containers.RepeatedCompositeFieldContainer[SubtitleStream]
    def __init__(self, format_name: _Optional[str] = ..., format_long_name: _Optional[str] = ..., stream_count: _Optional[int] = ..., program_count: _Optional[int] = ..., size: _Optional[int] = ..., bitrate: _Optional[int] = ..., start_time: _Optional[float] = ..., duration: _Optional[float] = ..., title: _Optional[str] = ..., album: _Optional[str] = ..., album_artist: _Optional[str] = ..., artist: _Optional[str] = ..., composer: _Optional[str] = ..., performer: _Optional[str] = ..., language: _Optional[str] = ..., produce_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., lat_long: _Optional[str] = ..., addresses: _Optional[_Iterable[str]] = ..., video_width: _Optional[int] = ..., video_height: _Optional[int] = ..., video_streams: _Optional[_Iterable[_Union[VideoStream, _Mapping]]] = ..., audio_streams: _Optional[_Iterable[_Union[AudioStream, _Mapping]]] = ..., subtitles: _Optional[_Iterable[_Union[SubtitleStream, _Mapping]]] = ...) -> None: ...

class VideoStream(_message.Message):
    __slots__ = ("index", "language", "codec_name", "codec_long_name", "profile", "codec_time_base", "codec_tag", "codec_tag_string", "width", "height", "has_b_frames", "sample_aspect_ratio", "display_aspect_ratio", "pixel_format", "level", "frame_rate", "average_frame_rate", "time_base", "start_time", "duration", "bitrate", "frame_count", "rotate", "bit_depth", "color_space", "color_range", "color_transfer", "color_primaries", "attached_picture", "field_order", "mastering_display", "content_light", "mirrored")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    CODEC_NAME_FIELD_NUMBER: _ClassVar[int]
    CODEC_LONG_NAME_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    CODEC_TIME_BASE_FIELD_NUMBER: _ClassVar[int]
    CODEC_TAG_FIELD_NUMBER: _ClassVar[int]
    CODEC_TAG_STRING_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    HAS_B_FRAMES_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_ASPECT_RATIO_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_ASPECT_RATIO_FIELD_NUMBER: _ClassVar[int]
    PIXEL_FORMAT_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    FRAME_RATE_FIELD_NUMBER: _ClassVar[int]
    AVERAGE_FRAME_RATE_FIELD_NUMBER: _ClassVar[int]
    TIME_BASE_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    BITRATE_FIELD_NUMBER: _ClassVar[int]
    FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    ROTATE_FIELD_NUMBER: _ClassVar[int]
    BIT_DEPTH_FIELD_NUMBER: _ClassVar[int]
    COLOR_SPACE_FIELD_NUMBER: _ClassVar[int]
    COLOR_RANGE_FIELD_NUMBER: _ClassVar[int]
    COLOR_TRANSFER_FIELD_NUMBER: _ClassVar[int]
    COLOR_PRIMARIES_FIELD_NUMBER: _ClassVar[int]
    ATTACHED_PICTURE_FIELD_NUMBER: _ClassVar[int]
    FIELD_ORDER_FIELD_NUMBER: _ClassVar[int]
    MASTERING_DISPLAY_FIELD_NUMBER: _ClassVar[int]
    CONTENT_LIGHT_FIELD_NUMBER: _ClassVar[int]
    MIRRORED_FIELD_NUMBER: _ClassVar[int]
    index: int
    language: str
    codec_name: str
    codec_long_name: str
    profile: str
    codec_time_base: str
    codec_tag: str
    codec_tag_string: str
    width: int
    height: int
    has_b_frames: int
    sample_aspect_ratio: str
    display_aspect_ratio: str
    pixel_format: str
    level: int
    frame_rate: str
    average_frame_rate: str
    time_base: str
    start_time: float
    duration: float
    bitrate: int
    frame_count: int
    rotate: str
    bit_depth: int
    color_space: str
    color_range: str
    color_transfer: str
    color_primaries: str
    attached_picture: bool
    field_order: str
    mastering_display: str
    content_light: str
    mirrored: bool
    def __init__(self, index: _Optional[int] = ..., language: _Optional[str] = ..., codec_name: _Optional[str] = ..., codec_long_name: _Optional[str] = ..., profile: _Optional[str] = ..., codec_time_base: _Optional[str] = ..., codec_tag: _Optional[str] = ..., codec_tag_string: _Optional[str] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., has_b_frames: _Optional[int] = ..., sample_aspect_ratio: _Optional[str] = ..., display_aspect_ratio: _Optional[str] = ..., pixel_format: _Optional[str] = ..., level: _Optional[int] = ..., frame_rate: _Optional[str] = ..., average_frame_rate: _Optional[str] = ..., time_base: _Optional[str] = ..., start_time: _Optional[float] = ..., duration: _Optional[float] = ..., bitrate: _Optional[int] = ..., frame_count: _Optional[int] = ..., rotate: _Optional[str] = ..., bit_depth: _Optional[int] = ..., color_space: _Optional[str] = ..., color_range: _Optional[str] = ..., color_transfer: _Optional[str] = ..., color_primaries: _Optional[str] = ..., attached_picture: _Optional[bool] = ..., field_order: _Optional[str] = ..., mastering_display: _Optional[str] = ..., content_light: _Optional[str] = ..., mirrored: _Optional[bool] = ...) -> None: ...

class AudioStream(_message.Message):
    __slots__ = ("index", "language", "codec_name", "codec_long_name", "codec_time_base", "codec_tag", "codec_tag_string", "time_base", "start_time", "duration", "bitrate", "frame_count", "lyric", "sample_format", "sample_rate", "channels", "channel_layout")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    CODEC_NAME_FIELD_NUMBER: _ClassVar[int]
    CODEC_LONG_NAME_FIELD_NUMBER: _ClassVar[int]
    CODEC_TIME_BASE_FIELD_NUMBER: _ClassVar[int]
    CODEC_TAG_FIELD_NUMBER: _ClassVar[int]
    CODEC_TAG_STRING_FIELD_NUMBER: _ClassVar[int]
    TIME_BASE_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    BITRATE_FIELD_NUMBER: _ClassVar[int]
    FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    LYRIC_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FORMAT_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_LAYOUT_FIELD_NUMBER: _ClassVar[int]
    index: int
    language: str
    codec_name: str
    codec_long_name: str
    codec_time_base: str
    codec_tag: str
    codec_tag_string: str
    time_base: str
    start_time: float
    duration: float
    bitrate: int
    frame_count: int
    lyric: str
    sample_format: str
    sample_rate: int
    channels: int
    channel_layout: str
    def __init__(self, index: _Optional[int] = ..., language: _Optional[str] = ..., codec_name: _Optional[str] = ..., codec_long_name: _Optional[str] = ..., codec_time_base: _Optional[str] = ..., codec_tag: _Optional[str] = ..., codec_tag_string: _Optional[str] = ..., time_base: _Optional[str] = ..., start_time: _Optional[float] = ..., duration: _Optional[float] = ..., bitrate: _Optional[int] = ..., frame_count: _Optional[int] = ..., lyric: _Optional[str] = ..., sample_format: _Optional[str] = ..., sample_rate: _Optional[int] = ..., channels: _Optional[int] = ..., channel_layout: _Optional[str] = ...) -> None: ...

class SubtitleStream(_message.Message):
    __slots__ = ("index", "language", "codec_name", "codec_long_name", "codec_tag", "codec_tag_string", "start_time", "duration", "bitrate", "content", "width", "height")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    CODEC_NAME_FIELD_NUMBER: _ClassVar[int]
    CODEC_LONG_NAME_FIELD_NUMBER: _ClassVar[int]
    CODEC_TAG_FIELD_NUMBER: _ClassVar[int]
    CODEC_TAG_STRING_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    BITRATE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    index: int
    language: str
    codec_name: str
    codec_long_name: str
    codec_tag: str
    codec_tag_string: str
    start_time: float
    duration: float
    bitrate: int
    content: str
    width: int
    height: int
    def __init__(self, index: _Optional[int] = ..., language: _Optional[str] = ..., codec_name: _Optional[str] = ..., codec_long_name: _Optional[str] = ..., codec_tag: _Optional[str] = ..., codec_tag_string: _Optional[str] = ..., start_time: _Optional[float] = ..., duration: _Optional[float] = ..., bitrate: _Optional[int] = ..., content: _Optional[str] = ..., width: _Optional[int] = ..., height: _Optional[int] = ...) -> None: ...
