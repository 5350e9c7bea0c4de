from buf.validate import validate_pb2 as _validate_pb2
from reelmill.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SmartCut(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SMART_CUT_UNSPECIFIED: _ClassVar[SmartCut]
    SMART_CUT_PREFERRED: _ClassVar[SmartCut]
    SMART_CUT_REQUIRED: _ClassVar[SmartCut]

class QualityMetric(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    QUALITY_METRIC_UNSPECIFIED: _ClassVar[QualityMetric]
    QUALITY_METRIC_VMAF: _ClassVar[QualityMetric]
    QUALITY_METRIC_XPSNR: _ClassVar[QualityMetric]

class VideoCodec(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VIDEO_CODEC_UNSPECIFIED: _ClassVar[VideoCodec]
    VIDEO_CODEC_COPY: _ClassVar[VideoCodec]
    VIDEO_CODEC_H264: _ClassVar[VideoCodec]
    VIDEO_CODEC_H265: _ClassVar[VideoCodec]
    VIDEO_CODEC_VP9: _ClassVar[VideoCodec]
    VIDEO_CODEC_AV1: _ClassVar[VideoCodec]

class PixelFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PIXEL_FORMAT_UNSPECIFIED: _ClassVar[PixelFormat]
    PIXEL_FORMAT_YUV420P: _ClassVar[PixelFormat]
    PIXEL_FORMAT_YUV422P: _ClassVar[PixelFormat]
    PIXEL_FORMAT_YUV444P: _ClassVar[PixelFormat]
    PIXEL_FORMAT_YUV420P10LE: _ClassVar[PixelFormat]
    PIXEL_FORMAT_YUV422P10LE: _ClassVar[PixelFormat]
    PIXEL_FORMAT_YUV444P10LE: _ClassVar[PixelFormat]
    PIXEL_FORMAT_YUVA420P: _ClassVar[PixelFormat]

class HardwarePolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HARDWARE_POLICY_UNSPECIFIED: _ClassVar[HardwarePolicy]
    HARDWARE_POLICY_PREFERRED: _ClassVar[HardwarePolicy]
    HARDWARE_POLICY_REQUIRED: _ClassVar[HardwarePolicy]
    HARDWARE_POLICY_NEVER: _ClassVar[HardwarePolicy]

class EncoderPreset(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENCODER_PRESET_UNSPECIFIED: _ClassVar[EncoderPreset]
    ENCODER_PRESET_ULTRAFAST: _ClassVar[EncoderPreset]
    ENCODER_PRESET_SUPERFAST: _ClassVar[EncoderPreset]
    ENCODER_PRESET_VERYFAST: _ClassVar[EncoderPreset]
    ENCODER_PRESET_FASTER: _ClassVar[EncoderPreset]
    ENCODER_PRESET_FAST: _ClassVar[EncoderPreset]
    ENCODER_PRESET_MEDIUM: _ClassVar[EncoderPreset]
    ENCODER_PRESET_SLOW: _ClassVar[EncoderPreset]
    ENCODER_PRESET_SLOWER: _ClassVar[EncoderPreset]
    ENCODER_PRESET_VERYSLOW: _ClassVar[EncoderPreset]

class WatermarkType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WATERMARK_TYPE_UNSPECIFIED: _ClassVar[WatermarkType]
    WATERMARK_TYPE_TEXT: _ClassVar[WatermarkType]
    WATERMARK_TYPE_FILE: _ClassVar[WatermarkType]

class ReferPos(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REFER_POS_UNSPECIFIED: _ClassVar[ReferPos]
    REFER_POS_TOPLEFT: _ClassVar[ReferPos]
    REFER_POS_TOPRIGHT: _ClassVar[ReferPos]
    REFER_POS_BOTTOMRIGHT: _ClassVar[ReferPos]
    REFER_POS_BOTTOMLEFT: _ClassVar[ReferPos]
SMART_CUT_UNSPECIFIED: SmartCut
SMART_CUT_PREFERRED: SmartCut
SMART_CUT_REQUIRED: SmartCut
QUALITY_METRIC_UNSPECIFIED: QualityMetric
QUALITY_METRIC_VMAF: QualityMetric
QUALITY_METRIC_XPSNR: QualityMetric
VIDEO_CODEC_UNSPECIFIED: VideoCodec
VIDEO_CODEC_COPY: VideoCodec
VIDEO_CODEC_H264: VideoCodec
VIDEO_CODEC_H265: VideoCodec
VIDEO_CODEC_VP9: VideoCodec
VIDEO_CODEC_AV1: VideoCodec
PIXEL_FORMAT_UNSPECIFIED: PixelFormat
PIXEL_FORMAT_YUV420P: PixelFormat
PIXEL_FORMAT_YUV422P: PixelFormat
PIXEL_FORMAT_YUV444P: PixelFormat
PIXEL_FORMAT_YUV420P10LE: PixelFormat
PIXEL_FORMAT_YUV422P10LE: PixelFormat
PIXEL_FORMAT_YUV444P10LE: PixelFormat
PIXEL_FORMAT_YUVA420P: PixelFormat
HARDWARE_POLICY_UNSPECIFIED: HardwarePolicy
HARDWARE_POLICY_PREFERRED: HardwarePolicy
HARDWARE_POLICY_REQUIRED: HardwarePolicy
HARDWARE_POLICY_NEVER: HardwarePolicy
ENCODER_PRESET_UNSPECIFIED: EncoderPreset
ENCODER_PRESET_ULTRAFAST: EncoderPreset
ENCODER_PRESET_SUPERFAST: EncoderPreset
ENCODER_PRESET_VERYFAST: EncoderPreset
ENCODER_PRESET_FASTER: EncoderPreset
ENCODER_PRESET_FAST: EncoderPreset
ENCODER_PRESET_MEDIUM: EncoderPreset
ENCODER_PRESET_SLOW: EncoderPreset
ENCODER_PRESET_SLOWER: EncoderPreset
ENCODER_PRESET_VERYSLOW: EncoderPreset
WATERMARK_TYPE_UNSPECIFIED: WatermarkType
WATERMARK_TYPE_TEXT: WatermarkType
WATERMARK_TYPE_FILE: WatermarkType
REFER_POS_UNSPECIFIED: ReferPos
REFER_POS_TOPLEFT: ReferPos
REFER_POS_TOPRIGHT: ReferPos
REFER_POS_BOTTOMRIGHT: ReferPos
REFER_POS_BOTTOMLEFT: ReferPos

class TargetVideo(_message.Message):
    __slots__ = ("disable_video", "stream", "transcode_video", "filter_video")
    DISABLE_VIDEO_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    TRANSCODE_VIDEO_FIELD_NUMBER: _ClassVar[int]
    FILTER_VIDEO_FIELD_NUMBER: _ClassVar[int]
    disable_video: bool
    stream: _containers.RepeatedScalarFieldContainer[int]
    transcode_video: TranscodeVideo
    filter_video: FilterVideo
    def __init__(self, disable_video: _Optional[bool] = ..., stream: _Optional[_Iterable[int]] = ..., transcode_video: _Optional[_Union[TranscodeVideo, _Mapping]] = ..., filter_video: _Optional[_Union[FilterVideo, _Mapping]] = ...) -> None: ...

class TranscodeVideo(_message.Message):
    __slots__ = ("codec", "pixel_format", "frame_rate", "frame_rate_option", "resolution", "resolution_option", "adaptive_resolution_direction", "scale_type", "rotation", "bitrate", "bitrate_option", "crf", "max_bitrate", "buffer_size", "gop_size", "b_frames", "refs", "video_slim", "hardware", "preset", "passes", "quality_target", "smart_cut")
    CODEC_FIELD_NUMBER: _ClassVar[int]
    PIXEL_FORMAT_FIELD_NUMBER: _ClassVar[int]
    FRAME_RATE_FIELD_NUMBER: _ClassVar[int]
    FRAME_RATE_OPTION_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_OPTION_FIELD_NUMBER: _ClassVar[int]
    ADAPTIVE_RESOLUTION_DIRECTION_FIELD_NUMBER: _ClassVar[int]
    SCALE_TYPE_FIELD_NUMBER: _ClassVar[int]
    ROTATION_FIELD_NUMBER: _ClassVar[int]
    BITRATE_FIELD_NUMBER: _ClassVar[int]
    BITRATE_OPTION_FIELD_NUMBER: _ClassVar[int]
    CRF_FIELD_NUMBER: _ClassVar[int]
    MAX_BITRATE_FIELD_NUMBER: _ClassVar[int]
    BUFFER_SIZE_FIELD_NUMBER: _ClassVar[int]
    GOP_SIZE_FIELD_NUMBER: _ClassVar[int]
    B_FRAMES_FIELD_NUMBER: _ClassVar[int]
    REFS_FIELD_NUMBER: _ClassVar[int]
    VIDEO_SLIM_FIELD_NUMBER: _ClassVar[int]
    HARDWARE_FIELD_NUMBER: _ClassVar[int]
    PRESET_FIELD_NUMBER: _ClassVar[int]
    PASSES_FIELD_NUMBER: _ClassVar[int]
    QUALITY_TARGET_FIELD_NUMBER: _ClassVar[int]
    SMART_CUT_FIELD_NUMBER: _ClassVar[int]
    codec: VideoCodec
    pixel_format: PixelFormat
    frame_rate: float
    frame_rate_option: _common_pb2.AdaptOption
    resolution: str
    resolution_option: _common_pb2.AdaptOption
    adaptive_resolution_direction: bool
    scale_type: _common_pb2.ScaleType
    rotation: int
    bitrate: int
    bitrate_option: _common_pb2.AdaptOption
    crf: float
    max_bitrate: int
    buffer_size: int
    gop_size: int
    b_frames: int
    refs: int
    video_slim: int
    hardware: HardwarePolicy
    preset: EncoderPreset
    passes: int
    quality_target: QualityTarget
    smart_cut: SmartCut
    def __init__(self, codec: _Optional[_Union[VideoCodec, str]] = ..., pixel_format: _Optional[_Union[PixelFormat, str]] = ..., frame_rate: _Optional[float] = ..., frame_rate_option: _Optional[_Union[_common_pb2.AdaptOption, str]] = ..., resolution: _Optional[str] = ..., resolution_option: _Optional[_Union[_common_pb2.AdaptOption, str]] = ..., adaptive_resolution_direction: _Optional[bool] = ..., scale_type: _Optional[_Union[_common_pb2.ScaleType, str]] = ..., rotation: _Optional[int] = ..., bitrate: _Optional[int] = ..., bitrate_option: _Optional[_Union[_common_pb2.AdaptOption, str]] = ..., crf: _Optional[float] = ..., max_bitrate: _Optional[int] = ..., buffer_size: _Optional[int] = ..., gop_size: _Optional[int] = ..., b_frames: _Optional[int] = ..., refs: _Optional[int] = ..., video_slim: _Optional[int] = ..., hardware: _Optional[_Union[HardwarePolicy, str]] = ..., preset: _Optional[_Union[EncoderPreset, str]] = ..., passes: _Optional[int] = ..., quality_target: _Optional[_Union[QualityTarget, _Mapping]] = ..., smart_cut: _Optional[_Union[SmartCut, str]] = ...) -> None: ...

class QualityTarget(_message.Message):
    __slots__ = ("metric", "value", "min_crf", "max_crf", "max_bitrate")
    METRIC_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    MIN_CRF_FIELD_NUMBER: _ClassVar[int]
    MAX_CRF_FIELD_NUMBER: _ClassVar[int]
    MAX_BITRATE_FIELD_NUMBER: _ClassVar[int]
    metric: QualityMetric
    value: float
    min_crf: float
    max_crf: float
    max_bitrate: int
    def __init__(self, metric: _Optional[_Union[QualityMetric, str]] = ..., value: _Optional[float] = ..., min_crf: _Optional[float] = ..., max_crf: _Optional[float] = ..., max_bitrate: _Optional[int] = ...) -> None: ...

class FilterVideo(_message.Message):
    __slots__ = ("speed", "watermarks", "delogos", "desensitization")
    SPEED_FIELD_NUMBER: _ClassVar[int]
    WATERMARKS_FIELD_NUMBER: _ClassVar[int]
    DELOGOS_FIELD_NUMBER: _ClassVar[int]
    DESENSITIZATION_FIELD_NUMBER: _ClassVar[int]
    speed: float
    watermarks: _containers.RepeatedCompositeFieldContainer[Watermark]
    delogos: _containers.RepeatedCompositeFieldContainer[Delogo]
    desensitization: Desensitization
    def __init__(self, speed: _Optional[float] = ..., watermarks: _Optional[_Iterable[_Union[Watermark, _Mapping]]] = ..., delogos: _Optional[_Iterable[_Union[Delogo, _Mapping]]] = ..., desensitization: _Optional[_Union[Desensitization, _Mapping]] = ...) -> None: ...

class Watermark(_message.Message):
    __slots__ = ("type", "refer_pos", "dx", "dy", "start_time", "duration", "content", "font_name", "font_size", "font_color", "font_apha", "border_width", "border_color", "uri", "width", "height")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    REFER_POS_FIELD_NUMBER: _ClassVar[int]
    DX_FIELD_NUMBER: _ClassVar[int]
    DY_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    FONT_NAME_FIELD_NUMBER: _ClassVar[int]
    FONT_SIZE_FIELD_NUMBER: _ClassVar[int]
    FONT_COLOR_FIELD_NUMBER: _ClassVar[int]
    FONT_APHA_FIELD_NUMBER: _ClassVar[int]
    BORDER_WIDTH_FIELD_NUMBER: _ClassVar[int]
    BORDER_COLOR_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    type: WatermarkType
    refer_pos: ReferPos
    dx: float
    dy: float
    start_time: float
    duration: float
    content: str
    font_name: str
    font_size: int
    font_color: str
    font_apha: float
    border_width: int
    border_color: str
    uri: str
    width: float
    height: float
    def __init__(self, type: _Optional[_Union[WatermarkType, str]] = ..., refer_pos: _Optional[_Union[ReferPos, str]] = ..., dx: _Optional[float] = ..., dy: _Optional[float] = ..., start_time: _Optional[float] = ..., duration: _Optional[float] = ..., content: _Optional[str] = ..., font_name: _Optional[str] = ..., font_size: _Optional[int] = ..., font_color: _Optional[str] = ..., font_apha: _Optional[float] = ..., border_width: _Optional[int] = ..., border_color: _Optional[str] = ..., uri: _Optional[str] = ..., width: _Optional[float] = ..., height: _Optional[float] = ...) -> None: ...

class Delogo(_message.Message):
    __slots__ = ("start_time", "duration", "dx", "dy", "width", "height", "refer_pos")
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    DX_FIELD_NUMBER: _ClassVar[int]
    DY_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    REFER_POS_FIELD_NUMBER: _ClassVar[int]
    start_time: float
    duration: float
    dx: float
    dy: float
    width: float
    height: float
    refer_pos: ReferPos
    def __init__(self, start_time: _Optional[float] = ..., duration: _Optional[float] = ..., dx: _Optional[float] = ..., dy: _Optional[float] = ..., width: _Optional[float] = ..., height: _Optional[float] = ..., refer_pos: _Optional[_Union[ReferPos, str]] = ...) -> None: ...

class Desensitization(_message.Message):
    __slots__ = ("face", "license_plate")
    FACE_FIELD_NUMBER: _ClassVar[int]
    LICENSE_PLATE_FIELD_NUMBER: _ClassVar[int]
    face: DesensitizationRule
    license_plate: DesensitizationRule
    def __init__(self, face: _Optional[_Union[DesensitizationRule, _Mapping]] = ..., license_plate: _Optional[_Union[DesensitizationRule, _Mapping]] = ...) -> None: ...

class DesensitizationRule(_message.Message):
    __slots__ = ("confidence", "min_size", "blur_radius", "scale_ratio", "transparency")
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    MIN_SIZE_FIELD_NUMBER: _ClassVar[int]
    BLUR_RADIUS_FIELD_NUMBER: _ClassVar[int]
    SCALE_RATIO_FIELD_NUMBER: _ClassVar[int]
    TRANSPARENCY_FIELD_NUMBER: _ClassVar[int]
    confidence: float
    min_size: int
    blur_radius: int
    scale_ratio: float
    transparency: float
    def __init__(self, confidence: _Optional[float] = ..., min_size: _Optional[int] = ..., blur_radius: _Optional[int] = ..., scale_ratio: _Optional[float] = ..., transparency: _Optional[float] = ...) -> None: ...
