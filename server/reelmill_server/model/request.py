"""Conversion requests as plain data: the API's form of a request, which workers receive.

Times are whole microseconds, so that they survive JSON unchanged and compare exactly.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import PlainSerializer, PlainValidator

from reelmill_server.model.task import TagValue
from reelmill_server.model.time import Rational, Speed, rational

COPY = "copy"


class Hardware(StrEnum):
    """Whether a hardware encoder may or must be used."""

    PREFERRED = "preferred"
    REQUIRED = "required"
    NEVER = "never"


class ScaleType(StrEnum):
    """How frames are resized."""

    STRETCH = "stretch"
    CROP = "crop"
    FILL = "fill"
    FIT = "fit"


class Adapt(StrEnum):
    """What to do if the source's value is lower than requested: use the requested one, keep the source's, or fail."""

    FIXED = "fixed"
    ADAPTIVE = "adaptive"
    FALL = "fall"


class AlignMode(StrEnum):
    """What to do if an attached source is shorter than the others: nothing, repeat it, or pad it."""

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


class Corner(StrEnum):
    """A corner of the frame."""

    TOP_LEFT = "topleft"
    TOP_RIGHT = "topright"
    BOTTOM_RIGHT = "bottomright"
    BOTTOM_LEFT = "bottomleft"


def _length(value: int | Fraction | str | None) -> int | Fraction | None:
    if not isinstance(value, str):
        return value
    if not value:
        return None
    return rational(value) if "/" in value else int(value)


def _length_text(value: int | Fraction | None) -> str:
    if value is None:
        return ""
    return f"{value.numerator}/{value.denominator}" if isinstance(value, Fraction) else str(value)


_LENGTH = (PlainValidator(_length), PlainSerializer(_length_text, return_type=str))
Length = Annotated[int | Fraction, *_LENGTH]
"""Whole pixels, or a ratio of the output's width or height; `n` or `n/d` in JSON."""
OptionalLength = Annotated[int | Fraction | None, *_LENGTH]
"""A length, or None if not set."""


def in_pixels(length: int | Fraction, side: int) -> int:
    """Convert a length, which may be a ratio of `side`, to pixels."""
    return round(length * side) if isinstance(length, Fraction) else length


AT_RIGHT = (Corner.TOP_RIGHT, Corner.BOTTOM_RIGHT)
AT_BOTTOM = (Corner.BOTTOM_RIGHT, Corner.BOTTOM_LEFT)


@dataclass(frozen=True)
class PlaceSpec:
    """Position and time of an overlay: `dx`/`dy` inward from a corner, from `start_us` of the output for `duration_us` (0: to
    the end).
    """

    corner: Corner = Corner.TOP_LEFT
    dx: Length = 0
    dy: Length = 0
    start_us: int = 0
    duration_us: int = 0


@dataclass(frozen=True)
class TextSpec:
    """A text to draw: `size` and `border_width` in pixels, colors as `#rrggbb`, `opacity` in (0, 1]."""

    content: str
    font: str = "SourceHanSans-Regular"
    size: int = 16
    color: str = "#000000"
    opacity: float = 1.0
    border_width: int = 0
    border_color: str = "#000000"


@dataclass(frozen=True)
class WatermarkSpec:
    """A text over the video, or the image or video in the file at `uri`; without `width` and `height` in its own size."""

    place: PlaceSpec = PlaceSpec()
    text: TextSpec | None = None
    uri: str = ""
    width: OptionalLength = None
    height: OptionalLength = None


@dataclass(frozen=True)
class DelogoSpec:
    """A rectangle to fill from its surroundings; without `width` or `height` it spans the whole side."""

    place: PlaceSpec = PlaceSpec()
    width: OptionalLength = None
    height: OptionalLength = None


@dataclass(frozen=True)
class DesensitizationRule:
    """How one kind of object is detected and blurred.

    `confidence` in [0, 1]: the lowest confidence of a detection; `min_size`: smallest width and height in pixels; `blur_radius`
    in pixels, None: derived from the size of the object; `scale_ratio`: size of the blurred box relative to the object;
    `transparency` from 0 (full blur) to 1 (none).
    """

    confidence: float = 0.0
    min_size: int = 0
    blur_radius: int | None = None
    scale_ratio: float = 1.0
    transparency: float = 0.0


@dataclass(frozen=True)
class DesensitizationSpec:
    """Kinds of objects to detect and blur; None: not this kind."""

    face: DesensitizationRule | None = None
    license_plate: DesensitizationRule | None = None


@dataclass(frozen=True)
class VideoSpec:
    """Settings of video. With codec `copy` every other field is ignored.

    `width`/`height` in pixels, 0: the source's. With `adaptive_direction` they are the long and the short side.
    `frame_rate` 0: the source's. `rotation` in degrees clockwise. Bit rates in bit/s, `buffer_size` in bits. None: the
    contract's default. `speed`: playback speed.
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


@dataclass(frozen=True)
class AudioSpec:
    """Settings of audio; with codec `copy` every other field is ignored. bit/s, Hz; None: the source's or the codec's default.

    `quality` 0..100, larger is better. `mixing`: all selected streams are mixed into one.
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


class FrameMode(StrEnum):
    """How frames are selected: at an interval, keyframes, a number evenly spaced, or those that differ from the last one."""

    INTERVAL = "interval"
    KEYFRAME = "keyframe"
    AVERAGE = "average"
    DHASH = "dhash"


@dataclass(frozen=True)
class FramesSpec:
    """Frames to select from the concatenated sources.

    `interval_us` 0: every frame. `number` 0: to the end. `threshold` 0..100 applies to dhash. `skip_blank`: blank frames at the
    beginning are skipped.
    """

    mode: FrameMode = FrameMode.INTERVAL
    start_us: int = 0
    interval_us: int = 0
    number: int = 0
    threshold: int = 0
    skip_blank: bool = False


@dataclass(frozen=True)
class SheetSpec:
    """Layout of sprite sheets: thumbnails per row and column, pixels between and around them; URIs of the WebVTT file and the
    playlist, empty: none."""

    columns: int = 6
    rows: int = 6
    pad: int = 2
    margin: int = 2
    web_vtt_uri: str = ""
    playlist_uri: str = ""


class ImageKind(StrEnum):
    """Kind of an image entry."""

    SNAPSHOT = "snapshot"
    SPRITE = "sprite"
    ANIMATION = "animation"


@dataclass(frozen=True)
class ImageSpec:
    """An image entry of a target, at index `number` of its kind. `format` is its extension.

    `width`/`height`: None or a ratio refers to the source's. `frame_rate` is that of an animation, 0: real-time playback.
    `sheet` is set for sprites.
    """

    kind: ImageKind
    number: int
    uri: str
    format: str
    frames: FramesSpec = FramesSpec()
    width: OptionalLength = None
    height: OptionalLength = None
    scale_type: ScaleType = ScaleType.STRETCH
    frame_rate: Rational = Fraction(0)
    sheet: SheetSpec | None = None

    @property
    def field(self) -> str:
        """Path of the entry within its target."""
        return f"image.{self.kind}s[{self.number}]"


@dataclass(frozen=True)
class TargetSpec:
    """One output. `video`/`audio` None: none in the output. `*_asked`: the request sets it, so it is not the default.
    `subtitle` says which subtitle streams are used.

    `*_streams` select streams of a kind, counted from 0 within it; empty: the kind's default. A value above 100 means all for
    video, audio and subtitles, -1 for data and cover art. `speed`: playback speed. `measure_vmaf`: measure the VMAF of each
    encoded video stream. `group`/`member`: index of its group and within it, -1 outside groups; `index` counts both kinds.
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
    group: int = -1
    member: int = -1

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
    `parallelism`: number of chunks of the encode; 0: split when it pays off.
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

    @property
    def watermark_uris(self) -> tuple[str, ...]:
        """URIs of the files of all watermarks, without duplicates."""
        specs = (target.video for target in self.targets if target.video)
        return tuple(dict.fromkeys(mark.uri for spec in specs for mark in spec.watermarks if mark.uri))
