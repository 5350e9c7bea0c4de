"""Conversion requests as plain data: the API's form of a request, which workers receive.

Times are whole microseconds, so that they survive JSON unchanged and compare exactly.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Literal

from reelmill_server.model.ducking import DuckingSpec
from reelmill_server.model.image_request import ImageSpec
from reelmill_server.model.ladder import LadderSpec
from reelmill_server.model.loudness import LoudnessSpec
from reelmill_server.model.overlay_request import DelogoSpec, DesensitizationSpec, WatermarkSpec
from reelmill_server.model.quality import QualityTarget
from reelmill_server.model.sizes import ScaleType
from reelmill_server.model.smart_cut import SmartCut
from reelmill_server.model.task import TagValue
from reelmill_server.model.time import Rational, Speed

COPY = "copy"


class Hardware(StrEnum):
    """Whether a hardware encoder may or must be used."""

    PREFERRED = "preferred"
    REQUIRED = "required"
    NEVER = "never"


class Adapt(StrEnum):
    """Action if the source's value is lower than requested: use the requested one, keep the source's, or fail."""

    FIXED = "fixed"
    ADAPTIVE = "adaptive"
    FALL = "fall"


class AlignMode(StrEnum):
    """Action if an attached source is shorter than the others: nothing, repeat it, or pad it."""

    NONE = "false"
    LOOP = "loop"
    PAD = "pad"


@dataclass(frozen=True)
class SubtitleFileSpec:
    """An external subtitle file; `offset_us` is added to its timestamps; `language` in ISO 639-2, empty: unknown."""

    uri: str
    offset_us: int = 0
    language: str = ""


@dataclass(frozen=True)
class SourceSpec:
    """A file to read; `duration_us` 0 means to the end. `attached`: parallel to the others instead of concatenated."""

    uri: str
    start_us: int = 0
    duration_us: int = 0
    disable_video: bool = False
    disable_audio: bool = False
    subtitles: tuple[SubtitleFileSpec, ...] = ()
    attached: bool = False
    align_mode: AlignMode = AlignMode.NONE


@dataclass(frozen=True)
class VideoSpec:
    """Settings of video. With codec `copy` every other field but `smart_cut` is ignored.

    `width`/`height` in pixels, 0: the source's. With `adaptive_direction` they are the long and the short side.
    `frame_rate` 0: the source's. `rotation` in degrees clockwise. Bit rates in bit/s, `buffer_size` in bits. None: the
    contract's default. `speed`: playback speed. `passes`: 2 to encode the whole video twice for its bit rate.
    `in_software`: why only software may encode, where the request does not say so: the planner's own words.
    """

    codec: str = COPY
    pixel_format: str = ""
    frame_rate: Rational = Fraction(0)
    width: int = 0
    height: int = 0
    adaptive_direction: bool = False
    scale_type: ScaleType = ScaleType.STRETCH
    rotation: int = 0
    bitrate: int | None = None
    crf: float | None = None
    max_bitrate: int | None = None
    buffer_size: int | None = None
    gop_size: int = 150
    b_frames: int | None = None
    refs: int | None = None
    frame_rate_option: Adapt = Adapt.FIXED
    resolution_option: Adapt = Adapt.FIXED
    bitrate_option: Adapt = Adapt.FIXED
    video_slim: bool = False
    speed: Speed = Fraction(1)
    delogos: tuple[DelogoSpec, ...] = ()
    watermarks: tuple[WatermarkSpec, ...] = ()
    desensitization: DesensitizationSpec | None = None
    hardware: Hardware = Hardware.PREFERRED
    preset: str = "medium"
    passes: int = 1
    quality: QualityTarget | None = None
    smart_cut: SmartCut = SmartCut.NONE
    in_software: str = ""


@dataclass(frozen=True)
class AudioSpec:
    """Settings of audio; with codec `copy` every other field is ignored. bit/s, Hz; None: the source's or the codec's default.

    `quality` 0..100, larger is better. `mixing`: all selected streams are mixed into one.
    `loudness`: it is measured, or brought to a level; `ducking`: in a mix, attached audio lowers the rest. With codec `copy`
    both are refused.
    """

    codec: str = COPY
    bitrate: int | None = None
    sample_rate: int | None = None
    channels: int | None = None
    sample_rate_option: Adapt = Adapt.FIXED
    bitrate_option: Adapt = Adapt.FIXED
    quality: int | None = None
    bits_per_sample: int | None = None
    mixing: bool = False
    loudness: LoudnessSpec | None = None
    ducking: DuckingSpec | None = None


class SegmentFormat(StrEnum):
    """Format of a segmented output."""

    HLS = "hls"
    DASH = "dash"


@dataclass(frozen=True)
class SegmentSpec:
    """Segmented output with segments of `duration_us`; `start_number` is the number of HLS's first segment."""

    format: SegmentFormat
    duration_us: int = 10_000_000
    start_number: int = 0


@dataclass(frozen=True)
class ExtractSpec:
    """Subtitles in separate files: `format` is ass, srt or vtt, which is also their extension; `uri` is a prefix."""

    format: str
    uri: str


@dataclass(frozen=True)
class TargetSpec:
    """One output. `video`/`audio` None: none in the output. `*_asked`: the request sets it, so it is not the default.
    `subtitle` says which subtitle streams are used.

    `*_streams` select streams of a kind, counted from 0 within it; empty: the kind's default. A value above 100 means all for
    video, audio and subtitles, -1 for data and cover art. `speed`: playback speed. `measure_vmaf`: measure the VMAF of each
    encoded video stream. `min_vmaf`, `max_size_ratio` (bytes as a share of the sources'): conditions of
    publishing, 0: none. `group`/`member`: index of its group and within it, -1 outside groups; `index` counts both kinds.
    `ladder`: it stands for all rungs of a ladder that is made for the sources; `rung`: the number of one of them, from 1.
    """

    index: int
    uri: str
    container: str
    video: VideoSpec | None = VideoSpec()
    audio: AudioSpec | None = AudioSpec()
    subtitle: Literal["first", "all", "none"] = "first"
    video_asked: bool = False
    audio_asked: bool = False
    strip_metadata: bool = False
    video_streams: tuple[int, ...] = ()
    audio_streams: tuple[int, ...] = ()
    subtitle_streams: tuple[int, ...] = ()
    data_streams: tuple[int, ...] = ()
    picture_streams: tuple[int, ...] = ()
    extract: ExtractSpec | None = None
    segment: SegmentSpec | None = None
    images: tuple[ImageSpec, ...] = ()
    speed: Speed = Fraction(1)
    measure_vmaf: bool = False
    min_vmaf: float = 0.0
    max_size_ratio: float = 0.0
    group: int = -1
    member: int = -1
    ladder: LadderSpec | None = None
    rung: int = 0

    @property
    def field(self) -> str:
        """Path of the target in the request."""
        return f"targets[{self.index}]" if self.group < 0 else f"target_groups[{self.group}].targets[{self.member}]"


@dataclass(frozen=True)
class Role:
    """A role; `account` is the account it belongs to, if the name does not contain it."""

    name: str
    account: str = ""


@dataclass(frozen=True)
class Credentials:
    """Credentials for storage: roles to assume in this order; none: the worker's own identity.

    The last role accesses the data; `policy`, JSON, narrows it. Nothing here is a secret.
    """

    roles: tuple[Role, ...] = ()
    policy: str = ""


@dataclass(frozen=True)
class ConvertRequest:
    """The work of one task. `created_us` is the creation time in microseconds since the epoch, for URI templates.

    `targets` holds the members of groups after the other targets; `group_uris` the master playlists of the groups.
    `parallelism`: number of chunks of the encode; 0: split when it pays off. `retry_of`: the task that this one retries, whose
    kept results it may use.
    """

    task_id: str
    project_name: str
    sources: tuple[SourceSpec, ...]
    targets: tuple[TargetSpec, ...]
    alignment_index: int = 0
    tags: Mapping[str, TagValue] = field(default_factory=dict)
    created_us: int = 0
    group_uris: tuple[str, ...] = ()
    credentials: Credentials = Credentials()
    parallelism: int = 0
    retry_of: str = ""

    @property
    def copies_video(self) -> bool:
        """Whether no frame of the sources is encoded or made into an image, whatever they are."""
        specs = [target.video for target in self.targets if target.video]
        copied = all(spec.codec == COPY and spec.smart_cut is SmartCut.NONE for spec in specs)
        return copied and not any(target.images or target.ladder for target in self.targets)

    @property
    def watermark_uris(self) -> tuple[str, ...]:
        """URIs of the files of all watermarks, without duplicates."""
        specs = (target.video for target in self.targets if target.video)
        return tuple(dict.fromkeys(mark.uri for spec in specs for mark in spec.watermarks if mark.uri))
