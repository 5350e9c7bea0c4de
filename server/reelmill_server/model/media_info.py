"""What is in a media file, as plain data. Times are seconds (floats) at this edge; a rate or time base of 0 is not known."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from reelmill_server.model.colour import Matrix, Primaries, Range, Transfer
from reelmill_server.model.time import Rational


@dataclass(frozen=True)
class StreamInfo:
    """What all kinds of streams have. `index` counts from 0 over the whole file; times in seconds, None: not said.

    `configuration` is a digest of what a decoder must be told before the first packet.
    """

    index: int
    codec: str
    codec_long: str = ""
    codec_tag: str = ""
    language: str = ""
    time_base: Rational = Fraction(0)
    start_seconds: float | None = None
    duration_seconds: float | None = None
    bitrate: int = 0
    frame_count: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict)
    decodable: bool = True
    configuration: str = ""


@dataclass(frozen=True)
class MasteringDisplay:
    """The display a film was graded on (SMPTE ST 2086), in the units of HEVC's SEI message: chromaticities in 1/50000,
    luminances in 1/10000 cd/m²."""

    red: tuple[int, int]
    green: tuple[int, int]
    blue: tuple[int, int]
    white: tuple[int, int]
    min_luminance: int
    max_luminance: int


@dataclass(frozen=True)
class ContentLight:
    """The brightest pixel and the brightest mean of a picture (CTA-861.3), cd/m²."""

    max_content: int
    max_average: int


@dataclass(frozen=True)
class VideoStreamInfo(StreamInfo):
    """One video stream. `rotation`: degrees clockwise that turn the picture for display. Colour fields are libav's numbers.

    `field_order`: progressive, or for interlaced pictures tt, bb, tb, bt (the field coded first, then the one shown first: top
    or bottom) or interlaced (order not said); empty: not known. `key_seconds`: the mean distance of key frames by the
    container's index, 0 when it has none.
    """

    width: int = 0
    height: int = 0
    pixel_format: str = ""
    bit_depth: int = 8
    profile: str = ""
    level: int = 0
    has_b_frames: int = 0
    sample_aspect_ratio: Rational = Fraction(0)
    frame_rate: Rational = Fraction(0)
    average_rate: Rational = Fraction(0)
    rotation: int = 0
    color_space: int = Matrix.UNSPECIFIED
    color_range: int = Range.UNSPECIFIED
    color_transfer: int = Transfer.UNSPECIFIED
    color_primaries: int = Primaries.UNSPECIFIED
    attached_picture: bool = False
    field_order: str = ""
    mastering_display: MasteringDisplay | None = None
    content_light: ContentLight | None = None
    key_seconds: float = 0.0

    @property
    def interlaced(self) -> bool:
        """Whether pictures may consist of two fields of different moments."""
        return self.field_order not in ("", "progressive")


@dataclass(frozen=True)
class AudioStreamInfo(StreamInfo):
    """One audio stream; `sample_rate` in Hz."""

    sample_format: str = ""
    sample_rate: int = 0
    channels: int = 0
    layout: str = ""


@dataclass(frozen=True)
class SubtitleStreamInfo(StreamInfo):
    """One subtitle stream; `default` and `forced` are the source's marks."""

    width: int = 0
    height: int = 0
    default: bool = False
    forced: bool = False


@dataclass(frozen=True)
class DataStreamInfo(StreamInfo):
    """One stream that is neither seen nor heard, such as telemetry. `fits_mp4`: MP4 takes it as it is."""

    fits_mp4: bool = False


@dataclass(frozen=True)
class MediaInfo:
    """One media file. `format` is libav's name of the demuxer, `start_seconds` the earliest timestamp."""

    format: str
    format_long: str = ""
    size_bytes: int = 0
    bitrate: int = 0
    start_seconds: float = 0.0
    duration_seconds: float = 0.0
    stream_count: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict)
    video: tuple[VideoStreamInfo, ...] = ()
    audio: tuple[AudioStreamInfo, ...] = ()
    subtitles: tuple[SubtitleStreamInfo, ...] = ()
    data: tuple[DataStreamInfo, ...] = ()

    @property
    def pictures(self) -> tuple[VideoStreamInfo, ...]:
        """The video streams that are no cover pictures."""
        return tuple(stream for stream in self.video if not stream.attached_picture)

    @property
    def covers(self) -> tuple[VideoStreamInfo, ...]:
        """The cover pictures."""
        return tuple(stream for stream in self.video if stream.attached_picture)


@dataclass(frozen=True)
class SubtitleFileInfo:
    """A subtitle file: what is in it, and Python's name of its text's encoding (empty for what is no text)."""

    media: MediaInfo
    charset: str = ""
