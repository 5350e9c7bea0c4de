"""A conversion as plain data: what the API makes of a request and a worker is handed.

Times are whole microseconds, so that they survive JSON unchanged and compare exactly.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from reelmill_server.model.task import TagValue

COPY = "copy"


class Hardware(StrEnum):
    """Whether a hardware encoder may or must be used."""

    PREFERRED = "preferred"
    REQUIRED = "required"
    NEVER = "never"


class ScaleType(StrEnum):
    """How a picture is brought to a size."""

    STRETCH = "stretch"
    CROP = "crop"
    FILL = "fill"
    FIT = "fit"


class Adapt(StrEnum):
    """What to do when the source has less than was asked for: ask all the same, keep the source's value, or fail."""

    FIXED = "fixed"
    ADAPTIVE = "adaptive"
    FALL = "fall"


@dataclass(frozen=True)
class SourceSpec:
    """One file to read; `duration_us` 0 means until the end."""

    uri: str
    start_us: int = 0
    duration_us: int = 0
    disable_video: bool = False
    disable_audio: bool = False


@dataclass(frozen=True)
class VideoSpec:
    """How video is made. With codec `copy` every other field is ignored.

    `width`/`height` in pixels, 0: the source's. With `adaptive_direction` they are the long and the short side.
    `frame_rate` is `n/d`, empty: the source's.
    `rotation` in degrees clockwise. Bit rates in bit/s, `buffer_size` in bits. None: the contract's default.
    """

    codec: str = COPY
    pixel_format: str = ""
    frame_rate: str = ""
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
    hardware: Hardware = Hardware.PREFERRED
    preset: str = "medium"


@dataclass(frozen=True)
class AudioSpec:
    """How audio is made; with codec `copy` every other field is ignored. bit/s, Hz; None: the source's or the codec's usual."""

    codec: str = COPY
    bitrate: int | None = None
    sample_rate: int | None = None
    channels: int | None = None
    sample_rate_option: Adapt = Adapt.FIXED


@dataclass(frozen=True)
class TargetSpec:
    """One output. `video`/`audio` None: none in the output. `*_asked`: the request names it, rather than leaving the default.
    `subtitle` says which subtitle streams are copied."""

    index: int
    uri: str
    container: str
    video: VideoSpec | None = VideoSpec()
    audio: AudioSpec | None = AudioSpec()
    subtitle: Literal["first", "all", "none"] = "first"
    video_asked: bool = False
    audio_asked: bool = False
    strip_metadata: bool = False


@dataclass(frozen=True)
class ConvertRequest:
    """One task's work. `created_us` is the creation time in microseconds since the epoch, for URI templates."""

    task_id: str
    project_name: str
    sources: tuple[SourceSpec, ...]
    targets: tuple[TargetSpec, ...]
    alignment_index: int = 0
    tags: Mapping[str, TagValue] = field(default_factory=dict)
    created_us: int = 0
