from buf.validate import validate_pb2 as _validate_pb2
from reelmill.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FrameMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FRAME_MODE_UNSPECIFIED: _ClassVar[FrameMode]
    FRAME_MODE_INTERVAL: _ClassVar[FrameMode]
    FRAME_MODE_KEYFRAME: _ClassVar[FrameMode]
    FRAME_MODE_AVERAGE: _ClassVar[FrameMode]
    FRAME_MODE_DHASH: _ClassVar[FrameMode]

class ImageFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    IMAGE_FORMAT_UNSPECIFIED: _ClassVar[ImageFormat]
    IMAGE_FORMAT_JPG: _ClassVar[ImageFormat]
    IMAGE_FORMAT_PNG: _ClassVar[ImageFormat]
    IMAGE_FORMAT_WEBP: _ClassVar[ImageFormat]
    IMAGE_FORMAT_AVIF: _ClassVar[ImageFormat]

class AnimationFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ANIMATION_FORMAT_UNSPECIFIED: _ClassVar[AnimationFormat]
    ANIMATION_FORMAT_GIF: _ClassVar[AnimationFormat]
    ANIMATION_FORMAT_WEBP: _ClassVar[AnimationFormat]
    ANIMATION_FORMAT_APNG: _ClassVar[AnimationFormat]
    ANIMATION_FORMAT_AVIF: _ClassVar[AnimationFormat]
FRAME_MODE_UNSPECIFIED: FrameMode
FRAME_MODE_INTERVAL: FrameMode
FRAME_MODE_KEYFRAME: FrameMode
FRAME_MODE_AVERAGE: FrameMode
FRAME_MODE_DHASH: FrameMode
IMAGE_FORMAT_UNSPECIFIED: ImageFormat
IMAGE_FORMAT_JPG: ImageFormat
IMAGE_FORMAT_PNG: ImageFormat
IMAGE_FORMAT_WEBP: ImageFormat
IMAGE_FORMAT_AVIF: ImageFormat
ANIMATION_FORMAT_UNSPECIFIED: AnimationFormat
ANIMATION_FORMAT_GIF: AnimationFormat
ANIMATION_FORMAT_WEBP: AnimationFormat
ANIMATION_FORMAT_APNG: AnimationFormat
ANIMATION_FORMAT_AVIF: AnimationFormat

class TargetImage(_message.Message):
    __slots__ = ("snapshots", "sprites", "animations")
    SNAPSHOTS_FIELD_NUMBER: _ClassVar[int]
    SPRITES_FIELD_NUMBER: _ClassVar[int]
    ANIMATIONS_FIELD_NUMBER: _ClassVar[int]
    snapshots: _containers.RepeatedCompositeFieldContainer[Snapshot]
    sprites: _containers.RepeatedCompositeFieldContainer[Sprite]
    animations: _containers.RepeatedCompositeFieldContainer[Animation]
    def __init__(self, snapshots: _Optional[_Iterable[_Union[Snapshot, _Mapping]]] = ..., sprites: _Optional[_Iterable[_Union[Sprite, _Mapping]]] = ..., animations: _Optional[_Iterable[_Union[Animation, _Mapping]]] = ...) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ("uri", "format", "start_time", "interval", "number", "mode", "threshold", "width", "height", "scale_type", "skip_blank")
    URI_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    SCALE_TYPE_FIELD_NUMBER: _ClassVar[int]
    SKIP_BLANK_FIELD_NUMBER: _ClassVar[int]
    uri: str
    format: ImageFormat
    start_time: float
    interval: float
    number: int
    mode: FrameMode
    threshold: int
    width: float
    height: float
    scale_type: _common_pb2.ScaleType
    skip_blank: bool
    def __init__(self, uri: _Optional[str] = ..., format: _Optional[_Union[ImageFormat, str]] = ..., start_time: _Optional[float] = ..., interval: _Optional[float] = ..., number: _Optional[int] = ..., mode: _Optional[_Union[FrameMode, str]] = ..., threshold: _Optional[int] = ..., width: _Optional[float] = ..., height: _Optional[float] = ..., scale_type: _Optional[_Union[_common_pb2.ScaleType, str]] = ..., skip_blank: _Optional[bool] = ...) -> None: ...

class Sprite(_message.Message):
    __slots__ = ("uri", "format", "start_time", "interval", "number", "mode", "threshold", "scale_width", "scale_height", "scale_type", "tile_width", "tile_height", "pad", "margin", "skip_blank", "web_vtt_uri", "image_playlist_uri")
    URI_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    SCALE_WIDTH_FIELD_NUMBER: _ClassVar[int]
    SCALE_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    SCALE_TYPE_FIELD_NUMBER: _ClassVar[int]
    TILE_WIDTH_FIELD_NUMBER: _ClassVar[int]
    TILE_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    PAD_FIELD_NUMBER: _ClassVar[int]
    MARGIN_FIELD_NUMBER: _ClassVar[int]
    SKIP_BLANK_FIELD_NUMBER: _ClassVar[int]
    WEB_VTT_URI_FIELD_NUMBER: _ClassVar[int]
    IMAGE_PLAYLIST_URI_FIELD_NUMBER: _ClassVar[int]
    uri: str
    format: ImageFormat
    start_time: float
    interval: float
    number: int
    mode: FrameMode
    threshold: int
    scale_width: float
    scale_height: float
    scale_type: _common_pb2.ScaleType
    tile_width: int
    tile_height: int
    pad: int
    margin: int
    skip_blank: bool
    web_vtt_uri: str
    image_playlist_uri: str
    def __init__(self, uri: _Optional[str] = ..., format: _Optional[_Union[ImageFormat, str]] = ..., start_time: _Optional[float] = ..., interval: _Optional[float] = ..., number: _Optional[int] = ..., mode: _Optional[_Union[FrameMode, str]] = ..., threshold: _Optional[int] = ..., scale_width: _Optional[float] = ..., scale_height: _Optional[float] = ..., scale_type: _Optional[_Union[_common_pb2.ScaleType, str]] = ..., tile_width: _Optional[int] = ..., tile_height: _Optional[int] = ..., pad: _Optional[int] = ..., margin: _Optional[int] = ..., skip_blank: _Optional[bool] = ..., web_vtt_uri: _Optional[str] = ..., image_playlist_uri: _Optional[str] = ...) -> None: ...

class Animation(_message.Message):
    __slots__ = ("uri", "format", "start_time", "interval", "number", "width", "height", "scale_type", "frame_rate")
    URI_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    SCALE_TYPE_FIELD_NUMBER: _ClassVar[int]
    FRAME_RATE_FIELD_NUMBER: _ClassVar[int]
    uri: str
    format: AnimationFormat
    start_time: float
    interval: float
    number: int
    width: float
    height: float
    scale_type: _common_pb2.ScaleType
    frame_rate: float
    def __init__(self, uri: _Optional[str] = ..., format: _Optional[_Union[AnimationFormat, str]] = ..., start_time: _Optional[float] = ..., interval: _Optional[float] = ..., number: _Optional[int] = ..., width: _Optional[float] = ..., height: _Optional[float] = ..., scale_type: _Optional[_Union[_common_pb2.ScaleType, str]] = ..., frame_rate: _Optional[float] = ...) -> None: ...
