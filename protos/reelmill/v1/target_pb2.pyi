from buf.validate import validate_pb2 as _validate_pb2
from reelmill.v1 import audio_pb2 as _audio_pb2
from reelmill.v1 import image_pb2 as _image_pb2
from reelmill.v1 import subtitle_pb2 as _subtitle_pb2
from reelmill.v1 import video_pb2 as _video_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Container(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONTAINER_UNSPECIFIED: _ClassVar[Container]
    CONTAINER_MP4: _ClassVar[Container]
    CONTAINER_MKV: _ClassVar[Container]
    CONTAINER_MOV: _ClassVar[Container]
    CONTAINER_ASF: _ClassVar[Container]
    CONTAINER_AVI: _ClassVar[Container]
    CONTAINER_MXF: _ClassVar[Container]
    CONTAINER_TS: _ClassVar[Container]
    CONTAINER_FLV: _ClassVar[Container]
    CONTAINER_MP3: _ClassVar[Container]
    CONTAINER_AAC: _ClassVar[Container]
    CONTAINER_FLAC: _ClassVar[Container]
    CONTAINER_OGA: _ClassVar[Container]
    CONTAINER_AC3: _ClassVar[Container]
    CONTAINER_OPUS: _ClassVar[Container]
    CONTAINER_WEBM: _ClassVar[Container]
    CONTAINER_WAV: _ClassVar[Container]
    CONTAINER_M4A: _ClassVar[Container]
    CONTAINER_AMR: _ClassVar[Container]

class SegmentFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEGMENT_FORMAT_UNSPECIFIED: _ClassVar[SegmentFormat]
    SEGMENT_FORMAT_HLS: _ClassVar[SegmentFormat]
    SEGMENT_FORMAT_DASH: _ClassVar[SegmentFormat]
CONTAINER_UNSPECIFIED: Container
CONTAINER_MP4: Container
CONTAINER_MKV: Container
CONTAINER_MOV: Container
CONTAINER_ASF: Container
CONTAINER_AVI: Container
CONTAINER_MXF: Container
CONTAINER_TS: Container
CONTAINER_FLV: Container
CONTAINER_MP3: Container
CONTAINER_AAC: Container
CONTAINER_FLAC: Container
CONTAINER_OGA: Container
CONTAINER_AC3: Container
CONTAINER_OPUS: Container
CONTAINER_WEBM: Container
CONTAINER_WAV: Container
CONTAINER_M4A: Container
CONTAINER_AMR: Container
SEGMENT_FORMAT_UNSPECIFIED: SegmentFormat
SEGMENT_FORMAT_HLS: SegmentFormat
SEGMENT_FORMAT_DASH: SegmentFormat

class Target(_message.Message):
    __slots__ = ("uri", "container", "segment", "video", "audio", "subtitle", "image", "speed", "strip_metadata", "data", "attached_picture", "measure_vmaf", "min_vmaf", "max_size_ratio")
    URI_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    VIDEO_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    SUBTITLE_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    SPEED_FIELD_NUMBER: _ClassVar[int]
    STRIP_METADATA_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    ATTACHED_PICTURE_FIELD_NUMBER: _ClassVar[int]
    MEASURE_VMAF_FIELD_NUMBER: _ClassVar[int]
    MIN_VMAF_FIELD_NUMBER: _ClassVar[int]
    MAX_SIZE_RATIO_FIELD_NUMBER: _ClassVar[int]
    uri: str
    container: Container
    segment: Segment
    video: _video_pb2.TargetVideo
    audio: _audio_pb2.TargetAudio
    subtitle: _subtitle_pb2.TargetSubtitle
    image: _image_pb2.TargetImage
    speed: float
    strip_metadata: bool
    data: TargetData
    attached_picture: TargetAttachedPicture
    measure_vmaf: bool
    min_vmaf: float
    max_size_ratio: float
    def __init__(self, uri: _Optional[str] = ..., container: _Optional[_Union[Container, str]] = ..., segment: _Optional[_Union[Segment, _Mapping]] = ..., video: _Optional[_Union[_video_pb2.TargetVideo, _Mapping]] = ..., audio: _Optional[_Union[_audio_pb2.TargetAudio, _Mapping]] = ..., subtitle: _Optional[_Union[_subtitle_pb2.TargetSubtitle, _Mapping]] = ..., image: _Optional[_Union[_image_pb2.TargetImage, _Mapping]] = ..., speed: _Optional[float] = ..., strip_metadata: _Optional[bool] = ..., data: _Optional[_Union[TargetData, _Mapping]] = ..., attached_picture: _Optional[_Union[TargetAttachedPicture, _Mapping]] = ..., measure_vmaf: _Optional[bool] = ..., min_vmaf: _Optional[float] = ..., max_size_ratio: _Optional[float] = ...) -> None: ...

class Segment(_message.Message):
    __slots__ = ("format", "duration", "start_number")
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    START_NUMBER_FIELD_NUMBER: _ClassVar[int]
    format: SegmentFormat
    duration: float
    start_number: int
    def __init__(self, format: _Optional[_Union[SegmentFormat, str]] = ..., duration: _Optional[float] = ..., start_number: _Optional[int] = ...) -> None: ...

class TargetData(_message.Message):
    __slots__ = ("stream",)
    STREAM_FIELD_NUMBER: _ClassVar[int]
    stream: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, stream: _Optional[_Iterable[int]] = ...) -> None: ...

class TargetAttachedPicture(_message.Message):
    __slots__ = ("stream",)
    STREAM_FIELD_NUMBER: _ClassVar[int]
    stream: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, stream: _Optional[_Iterable[int]] = ...) -> None: ...

class TargetGroup(_message.Message):
    __slots__ = ("uri", "targets", "auto_ladder")
    URI_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    AUTO_LADDER_FIELD_NUMBER: _ClassVar[int]
    uri: str
    targets: _containers.RepeatedCompositeFieldContainer[GroupTarget]
    auto_ladder: AutoLadder
    def __init__(self, uri: _Optional[str] = ..., targets: _Optional[_Iterable[_Union[GroupTarget, _Mapping]]] = ..., auto_ladder: _Optional[_Union[AutoLadder, _Mapping]] = ...) -> None: ...

class AutoLadder(_message.Message):
    __slots__ = ("max_renditions", "min_bitrate", "max_bitrate", "max_height", "min_vmaf_step")
    MAX_RENDITIONS_FIELD_NUMBER: _ClassVar[int]
    MIN_BITRATE_FIELD_NUMBER: _ClassVar[int]
    MAX_BITRATE_FIELD_NUMBER: _ClassVar[int]
    MAX_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    MIN_VMAF_STEP_FIELD_NUMBER: _ClassVar[int]
    max_renditions: int
    min_bitrate: int
    max_bitrate: int
    max_height: int
    min_vmaf_step: float
    def __init__(self, max_renditions: _Optional[int] = ..., min_bitrate: _Optional[int] = ..., max_bitrate: _Optional[int] = ..., max_height: _Optional[int] = ..., min_vmaf_step: _Optional[float] = ...) -> None: ...

class GroupTarget(_message.Message):
    __slots__ = ("uri", "container", "segment", "video", "audio", "subtitle", "speed", "strip_metadata", "measure_vmaf", "min_vmaf", "max_size_ratio")
    URI_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    VIDEO_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    SUBTITLE_FIELD_NUMBER: _ClassVar[int]
    SPEED_FIELD_NUMBER: _ClassVar[int]
    STRIP_METADATA_FIELD_NUMBER: _ClassVar[int]
    MEASURE_VMAF_FIELD_NUMBER: _ClassVar[int]
    MIN_VMAF_FIELD_NUMBER: _ClassVar[int]
    MAX_SIZE_RATIO_FIELD_NUMBER: _ClassVar[int]
    uri: str
    container: Container
    segment: Segment
    video: _video_pb2.TargetVideo
    audio: _audio_pb2.TargetAudio
    subtitle: _subtitle_pb2.TargetSubtitle
    speed: float
    strip_metadata: bool
    measure_vmaf: bool
    min_vmaf: float
    max_size_ratio: float
    def __init__(self, uri: _Optional[str] = ..., container: _Optional[_Union[Container, str]] = ..., segment: _Optional[_Union[Segment, _Mapping]] = ..., video: _Optional[_Union[_video_pb2.TargetVideo, _Mapping]] = ..., audio: _Optional[_Union[_audio_pb2.TargetAudio, _Mapping]] = ..., subtitle: _Optional[_Union[_subtitle_pb2.TargetSubtitle, _Mapping]] = ..., speed: _Optional[float] = ..., strip_metadata: _Optional[bool] = ..., measure_vmaf: _Optional[bool] = ..., min_vmaf: _Optional[float] = ..., max_size_ratio: _Optional[float] = ...) -> None: ...
