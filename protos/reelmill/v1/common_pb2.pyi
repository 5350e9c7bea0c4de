from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class AdaptOption(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ADAPT_OPTION_UNSPECIFIED: _ClassVar[AdaptOption]
    ADAPT_OPTION_FIXED: _ClassVar[AdaptOption]
    ADAPT_OPTION_ADAPTIVE: _ClassVar[AdaptOption]
    ADAPT_OPTION_FALL: _ClassVar[AdaptOption]

class ScaleType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SCALE_TYPE_UNSPECIFIED: _ClassVar[ScaleType]
    SCALE_TYPE_STRETCH: _ClassVar[ScaleType]
    SCALE_TYPE_CROP: _ClassVar[ScaleType]
    SCALE_TYPE_FILL: _ClassVar[ScaleType]
    SCALE_TYPE_FIT: _ClassVar[ScaleType]
ADAPT_OPTION_UNSPECIFIED: AdaptOption
ADAPT_OPTION_FIXED: AdaptOption
ADAPT_OPTION_ADAPTIVE: AdaptOption
ADAPT_OPTION_FALL: AdaptOption
SCALE_TYPE_UNSPECIFIED: ScaleType
SCALE_TYPE_STRETCH: ScaleType
SCALE_TYPE_CROP: ScaleType
SCALE_TYPE_FILL: ScaleType
SCALE_TYPE_FIT: ScaleType
