"""Contents of media files. Times are in seconds (floats); a rate or time base of 0 is unknown."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from reelmill_server.model.colour import Matrix, Primaries, Range, Transfer
from reelmill_server.model.time import Rational


@dataclass(frozen=True)
class StreamInfo:
    """Properties of all kinds of streams. `index` counts from 0 over the whole file; times in seconds, None: unknown.

    `decodable`: there is a decoder for it, and it is allowed; `barred`: there is one that is not. `configuration` is a digest
    of the data that a decoder needs before the first packet. `becomes`: the codec to which it changes midway (MPEG-TS),
    and `becomes_between` which places in the file, bytes. `empty`: the file names the stream, but has nothing of it.
    `descriptions`: how many parameters of its codec follow each other (MP4), and `described_until` when the second ones begin,
    None: unknown. `unfollowed`: what an edit list does with it
    that is not done here.
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
    barred: bool = False
    becomes: str = ""
    becomes_between: tuple[int, int] = (0, 0)
    encrypted: bool = False
    empty: bool = False
    descriptions: int = 1
    described_until: float | None = None
    unfollowed: str = ""


@dataclass(frozen=True)
class MasteringDisplay:
    """Mastering display (SMPTE ST 2086) in the units of HEVC's SEI message: chromaticities in 1/50000, luminances in
    1/10000 cd/m²."""

    red: tuple[int, int]
    green: tuple[int, int]
    blue: tuple[int, int]
    white: tuple[int, int]
    min_luminance: int
    max_luminance: int


@dataclass(frozen=True)
class ContentLight:
    """Brightest pixel and brightest frame average (CTA-861.3) in cd/m²."""

    max_content: int
    max_average: int


@dataclass(frozen=True)
class Crop:
    """The cropping that a container asks of players: they show the frame from pixel (`left`, `top`) on.

    `width` and `height` are those of the whole frame, before it is cropped.
    """

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class DolbyVision:
    """Configuration of Dolby Vision. `compatibility`: what its base layer is to other players (1 and 6: HDR10, 2: SDR, 4: HLG,
    0: nothing that they show in its colors).
    """

    profile: int
    level: int
    compatibility: int = 0


@dataclass(frozen=True)
class VideoStreamInfo(StreamInfo):
    """A video stream. `rotation`: degrees by which to rotate frames clockwise for display, after they are `mirrored`
    left to right; `tilt`: degrees that its header asks for besides, no multiple of 90. `transparent`: some of what the first
    frames show is. Color fields are H.273 numbers.

    `field_order`: progressive, or for interlaced video tt, bb, tb, bt (the field coded first, then the one displayed first: top
    or bottom) or interlaced (order unknown); empty: unknown. `key_seconds`: average distance of keyframes according to the
    container's index, 0 if there is none. `decoding_times`: packets do not say when reordered frames are shown.

    `hidden_seconds`: how long before the file's beginning an edit list hides frames that later ones need.

    `stereo`: how frames hold the views of both eyes, as Matroska names it; empty: they hold one.

    `layer`: what H.265 has beside the layer that is decoded: "alpha" or the "view" of the other eye.

    `still`: a single frame that nothing says a duration of, as in files of images; `color_profile`: the name of its color
    profile, empty: its colors are those of sRGB.

    Only the container says: `crop`, of which `width` and `height` are left; the colors, with `header_colors`; the sample aspect
    ratio, with `header_aspect`; the order of fields, with `header_fields`.
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
    tilt: int = 0
    color_space: int = Matrix.UNSPECIFIED
    color_range: int = Range.UNSPECIFIED
    color_transfer: int = Transfer.UNSPECIFIED
    color_primaries: int = Primaries.UNSPECIFIED
    attached_picture: bool = False
    field_order: str = ""
    mastering_display: MasteringDisplay | None = None
    content_light: ContentLight | None = None
    key_seconds: float = 0.0
    mirrored: bool = False
    transparent: bool = False
    dolby_vision: DolbyVision | None = None
    projection: str = ""
    layer: str = ""
    decoding_times: bool = False
    hidden_seconds: float = 0.0
    still: bool = False
    crop: Crop | None = None
    header_colors: bool = False
    header_aspect: bool = False
    header_fields: bool = False
    stereo: str = ""
    color_profile: str = ""

    @property
    def turned(self) -> bool:
        """Return whether frames are rotated or mirrored for display."""
        return bool(self.rotation or self.tilt) or self.mirrored

    @property
    def interlaced(self) -> bool:
        """Whether frames may consist of two fields of different times."""
        return self.field_order not in ("", "progressive")


@dataclass(frozen=True)
class AudioStreamInfo(StreamInfo):
    """An audio stream; `sample_rate` in Hz."""

    sample_format: str = ""
    sample_rate: int = 0
    channels: int = 0
    layout: str = ""


@dataclass(frozen=True)
class SubtitleStreamInfo(StreamInfo):
    """A subtitle stream; `default` and `forced` are the source's dispositions."""

    width: int = 0
    height: int = 0
    default: bool = False
    forced: bool = False


@dataclass(frozen=True)
class DataStreamInfo(StreamInfo):
    """A data stream, such as telemetry. `fits_mp4`: MP4 can contain it unchanged."""

    fits_mp4: bool = False


@dataclass(frozen=True)
class AttachmentInfo:
    """A file attached to a Matroska file, such as a font; `index` is that of its stream, `media_type` as in MIME."""

    index: int
    name: str = ""
    media_type: str = ""
    size_bytes: int = 0

    @property
    def is_font(self) -> bool:
        """Whether subtitles may be written in it."""
        return "font" in self.media_type.lower() or self.name.lower().endswith((".ttf", ".otf", ".ttc", ".woff", ".woff2"))


@dataclass(frozen=True)
class TextInfo:
    """How the text of a subtitle file is encoded: Python's name of its charset (empty if it is not text).

    `guessed`: nothing in the file says that it is in this encoding. `broken`: how many of its characters cannot be read.
    `styled`: it is WebVTT with styles or regions. `unread`: how many of its cues libav does not read.
    """

    charset: str = ""
    guessed: bool = False
    broken: int = 0
    styled: bool = False
    unread: int = 0


@dataclass(frozen=True)
class MediaInfo:
    """A media file. `format` is the name of libav's demuxer, `start_seconds` the earliest timestamp. `tags_left_out`: so many
    of the file and its streams are too long. `measured`: the duration was found by reading all of the file.
    `missing_bytes`: so many the header says are there behind the end of the file. `further_pages`: those behind the one shown.
    `follower_bytes`: so many lie in the file behind the first of several in it, which alone is read.
    `in_parts`: it says to play parts of it, or of other files, in an order of its own (Matroska).
    `moved_bytes`: at least so many at its end have its video or audio under other PIDs (MPEG-TS), in streams of their own.
    """

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
    attachments: tuple[AttachmentInfo, ...] = ()
    tags_left_out: int = 0
    measured: bool = False
    missing_bytes: int = 0
    further_pages: int = 0
    follower_bytes: int = 0
    moved_bytes: int = 0
    in_parts: bool = False
    text: TextInfo = TextInfo()

    @property
    def still(self) -> bool:
        """Whether it is a still image."""
        return bool(self.pictures) and self.pictures[0].still and not self.audio

    @property
    def pictures(self) -> tuple[VideoStreamInfo, ...]:
        """Video streams other than cover art."""
        return tuple(stream for stream in self.video if not stream.attached_picture)

    @property
    def covers(self) -> tuple[VideoStreamInfo, ...]:
        """Cover art."""
        return tuple(stream for stream in self.video if stream.attached_picture)
