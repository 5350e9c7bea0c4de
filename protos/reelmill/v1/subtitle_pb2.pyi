from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SubtitleFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SUBTITLE_FORMAT_UNSPECIFIED: _ClassVar[SubtitleFormat]
    SUBTITLE_FORMAT_ASS: _ClassVar[SubtitleFormat]
    SUBTITLE_FORMAT_SRT: _ClassVar[SubtitleFormat]
    SUBTITLE_FORMAT_WEBVTT: _ClassVar[SubtitleFormat]
    SUBTITLE_FORMAT_VTT: _ClassVar[SubtitleFormat]
SUBTITLE_FORMAT_UNSPECIFIED: SubtitleFormat
SUBTITLE_FORMAT_ASS: SubtitleFormat
SUBTITLE_FORMAT_SRT: SubtitleFormat
SUBTITLE_FORMAT_WEBVTT: SubtitleFormat
SUBTITLE_FORMAT_VTT: SubtitleFormat

class TargetSubtitle(_message.Message):
    __slots__ = ("disable_subtitle", "stream", "extract_subtitle")
    DISABLE_SUBTITLE_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    EXTRACT_SUBTITLE_FIELD_NUMBER: _ClassVar[int]
    disable_subtitle: bool
    stream: _containers.RepeatedScalarFieldContainer[int]
    extract_subtitle: ExtractSubtitle
    def __init__(self, disable_subtitle: _Optional[bool] = ..., stream: _Optional[_Iterable[int]] = ..., extract_subtitle: _Optional[_Union[ExtractSubtitle, _Mapping]] = ...) -> None: ...

class ExtractSubtitle(_message.Message):
    __slots__ = ("format", "uri")
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    format: SubtitleFormat
    uri: str
    def __init__(self, format: _Optional[_Union[SubtitleFormat, str]] = ..., uri: _Optional[str] = ...) -> None: ...
