from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AlignMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ALIGN_MODE_UNSPECIFIED: _ClassVar[AlignMode]
    ALIGN_MODE_FALSE: _ClassVar[AlignMode]
    ALIGN_MODE_LOOP: _ClassVar[AlignMode]
    ALIGN_MODE_PAD: _ClassVar[AlignMode]
ALIGN_MODE_UNSPECIFIED: AlignMode
ALIGN_MODE_FALSE: AlignMode
ALIGN_MODE_LOOP: AlignMode
ALIGN_MODE_PAD: AlignMode

class Source(_message.Message):
    __slots__ = ("uri", "start_time", "duration", "subtitles", "attached", "align_mode", "disable_video", "disable_audio")
    URI_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    SUBTITLES_FIELD_NUMBER: _ClassVar[int]
    ATTACHED_FIELD_NUMBER: _ClassVar[int]
    ALIGN_MODE_FIELD_NUMBER: _ClassVar[int]
    DISABLE_VIDEO_FIELD_NUMBER: _ClassVar[int]
    DISABLE_AUDIO_FIELD_NUMBER: _ClassVar[int]
    uri: str
    start_time: float
    duration: float
    subtitles: _containers.RepeatedCompositeFieldContainer[SourceSubtitle]
    attached: bool
    align_mode: AlignMode
    disable_video: bool
    disable_audio: bool
    def __init__(self, uri: _Optional[str] = ..., start_time: _Optional[float] = ..., duration: _Optional[float] = ..., subtitles: _Optional[_Iterable[_Union[SourceSubtitle, _Mapping]]] = ..., attached: _Optional[bool] = ..., align_mode: _Optional[_Union[AlignMode, str]] = ..., disable_video: _Optional[bool] = ..., disable_audio: _Optional[bool] = ...) -> None: ...

class SourceSubtitle(_message.Message):
    __slots__ = ("uri", "time_offset", "language")
    URI_FIELD_NUMBER: _ClassVar[int]
    TIME_OFFSET_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    uri: str
    time_offset: float
    language: str
    def __init__(self, uri: _Optional[str] = ..., time_offset: _Optional[float] = ..., language: _Optional[str] = ...) -> None: ...
