from buf.validate import validate_pb2 as _validate_pb2
from reelmill.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AudioCodec(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AUDIO_CODEC_UNSPECIFIED: _ClassVar[AudioCodec]
    AUDIO_CODEC_COPY: _ClassVar[AudioCodec]
    AUDIO_CODEC_MP3: _ClassVar[AudioCodec]
    AUDIO_CODEC_VORBIS: _ClassVar[AudioCodec]
    AUDIO_CODEC_AAC: _ClassVar[AudioCodec]
    AUDIO_CODEC_FLAC: _ClassVar[AudioCodec]
    AUDIO_CODEC_AC3: _ClassVar[AudioCodec]
    AUDIO_CODEC_OPUS: _ClassVar[AudioCodec]
    AUDIO_CODEC_AMR: _ClassVar[AudioCodec]

class LoudnessMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOUDNESS_MODE_UNSPECIFIED: _ClassVar[LoudnessMode]
    LOUDNESS_MODE_MEASURE: _ClassVar[LoudnessMode]
    LOUDNESS_MODE_NORMALIZE: _ClassVar[LoudnessMode]

class LoudnessPreset(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOUDNESS_PRESET_UNSPECIFIED: _ClassVar[LoudnessPreset]
    LOUDNESS_PRESET_EBU: _ClassVar[LoudnessPreset]
    LOUDNESS_PRESET_PODCAST: _ClassVar[LoudnessPreset]
AUDIO_CODEC_UNSPECIFIED: AudioCodec
AUDIO_CODEC_COPY: AudioCodec
AUDIO_CODEC_MP3: AudioCodec
AUDIO_CODEC_VORBIS: AudioCodec
AUDIO_CODEC_AAC: AudioCodec
AUDIO_CODEC_FLAC: AudioCodec
AUDIO_CODEC_AC3: AudioCodec
AUDIO_CODEC_OPUS: AudioCodec
AUDIO_CODEC_AMR: AudioCodec
LOUDNESS_MODE_UNSPECIFIED: LoudnessMode
LOUDNESS_MODE_MEASURE: LoudnessMode
LOUDNESS_MODE_NORMALIZE: LoudnessMode
LOUDNESS_PRESET_UNSPECIFIED: LoudnessPreset
LOUDNESS_PRESET_EBU: LoudnessPreset
LOUDNESS_PRESET_PODCAST: LoudnessPreset

class TargetAudio(_message.Message):
    __slots__ = ("disable_audio", "stream", "transcode_audio", "filter_audio")
    DISABLE_AUDIO_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    TRANSCODE_AUDIO_FIELD_NUMBER: _ClassVar[int]
    FILTER_AUDIO_FIELD_NUMBER: _ClassVar[int]
    disable_audio: bool
    stream: _containers.RepeatedScalarFieldContainer[int]
    transcode_audio: TranscodeAudio
    filter_audio: FilterAudio
    def __init__(self, disable_audio: _Optional[bool] = ..., stream: _Optional[_Iterable[int]] = ..., transcode_audio: _Optional[_Union[TranscodeAudio, _Mapping]] = ..., filter_audio: _Optional[_Union[FilterAudio, _Mapping]] = ...) -> None: ...

class TranscodeAudio(_message.Message):
    __slots__ = ("codec", "bitrate", "bitrate_option", "quality", "sample_rate", "sample_rate_option", "channel", "bits_per_sample")
    CODEC_FIELD_NUMBER: _ClassVar[int]
    BITRATE_FIELD_NUMBER: _ClassVar[int]
    BITRATE_OPTION_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_OPTION_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    BITS_PER_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    codec: AudioCodec
    bitrate: int
    bitrate_option: _common_pb2.AdaptOption
    quality: int
    sample_rate: int
    sample_rate_option: _common_pb2.AdaptOption
    channel: int
    bits_per_sample: int
    def __init__(self, codec: _Optional[_Union[AudioCodec, str]] = ..., bitrate: _Optional[int] = ..., bitrate_option: _Optional[_Union[_common_pb2.AdaptOption, str]] = ..., quality: _Optional[int] = ..., sample_rate: _Optional[int] = ..., sample_rate_option: _Optional[_Union[_common_pb2.AdaptOption, str]] = ..., channel: _Optional[int] = ..., bits_per_sample: _Optional[int] = ...) -> None: ...

class FilterAudio(_message.Message):
    __slots__ = ("mixing", "loudness", "ducking")
    MIXING_FIELD_NUMBER: _ClassVar[int]
    LOUDNESS_FIELD_NUMBER: _ClassVar[int]
    DUCKING_FIELD_NUMBER: _ClassVar[int]
    mixing: bool
    loudness: Loudness
    ducking: Ducking
    def __init__(self, mixing: _Optional[bool] = ..., loudness: _Optional[_Union[Loudness, _Mapping]] = ..., ducking: _Optional[_Union[Ducking, _Mapping]] = ...) -> None: ...

class Ducking(_message.Message):
    __slots__ = ("threshold", "ratio", "attack", "release")
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    RATIO_FIELD_NUMBER: _ClassVar[int]
    ATTACK_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    threshold: float
    ratio: float
    attack: float
    release: float
    def __init__(self, threshold: _Optional[float] = ..., ratio: _Optional[float] = ..., attack: _Optional[float] = ..., release: _Optional[float] = ...) -> None: ...

class Loudness(_message.Message):
    __slots__ = ("mode", "preset", "integrated", "true_peak", "dual_mono")
    MODE_FIELD_NUMBER: _ClassVar[int]
    PRESET_FIELD_NUMBER: _ClassVar[int]
    INTEGRATED_FIELD_NUMBER: _ClassVar[int]
    TRUE_PEAK_FIELD_NUMBER: _ClassVar[int]
    DUAL_MONO_FIELD_NUMBER: _ClassVar[int]
    mode: LoudnessMode
    preset: LoudnessPreset
    integrated: float
    true_peak: float
    dual_mono: bool
    def __init__(self, mode: _Optional[_Union[LoudnessMode, str]] = ..., preset: _Optional[_Union[LoudnessPreset, str]] = ..., integrated: _Optional[float] = ..., true_peak: _Optional[float] = ..., dual_mono: _Optional[bool] = ...) -> None: ...
