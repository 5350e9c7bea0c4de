"""Plans: what to do for a task, as plain data that can be printed, compared and stored."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from reelmill_server.model.colour import Matrix, Primaries, Range, Transfer
from reelmill_server.model.ducking import DuckingPlan
from reelmill_server.model.image_request import FrameMode, ImageKind
from reelmill_server.model.loudness import LOUDNESS_FORMAT, LoudnessPlan
from reelmill_server.model.media_info import ContentLight, MasteringDisplay
from reelmill_server.model.overlay_plan import OverlayPlan
from reelmill_server.model.package_plan import GroupPlan, PackagePlan
from reelmill_server.model.quality import QualityTarget
from reelmill_server.model.request import AlignMode
from reelmill_server.model.smart_cut import CutEdges
from reelmill_server.model.time import Rational, Speed

COPY = "copy"
"""In place of an encoder: packets are copied."""
PILLOW = "pillow"
"""In place of an encoder: that library encodes."""


class StreamType(StrEnum):
    """Kind of a stream of an output."""

    VIDEO = "video"
    AUDIO = "audio"
    SUBTITLE = "subtitle"
    DATA = "data"
    PICTURE = "picture"


class FrameAccess(StrEnum):
    """How frames for images are read: with an output that decodes them anyway, all in order, each by seeking, or keyframes."""

    SHARED = "shared"
    SEQUENTIAL = "through"
    SEEK = "seek"
    KEYFRAMES = "keyframes"

    @property
    def is_sequential(self) -> bool:
        """Whether all frames are decoded in order, by this output or by another."""
        return self in (FrameAccess.SHARED, FrameAccess.SEQUENTIAL)


@dataclass(frozen=True)
class VideoOutput:
    """Parameters with which a video encoder is opened. Sizes in pixels, color fields as H.273 numbers.

    `rotation`: degrees clockwise by which the request turns what the source shows; None: unknown.
    """

    width: int
    height: int
    pixel_format: str
    time_base: Rational
    frame_rate: Rational
    sample_aspect_ratio: Rational = Fraction(1)
    color_space: int = Matrix.UNSPECIFIED
    color_range: int = Range.UNSPECIFIED
    color_transfer: int = Transfer.UNSPECIFIED
    color_primaries: int = Primaries.UNSPECIFIED
    rotation: int | None = None


@dataclass(frozen=True)
class AudioOutput:
    """Parameters with which an audio encoder is opened; `sample_rate` in Hz."""

    sample_rate: int
    layout: str
    sample_format: str


@dataclass(frozen=True)
class CodecChange:
    """Where the codec of `stream`, the index in the input's file, changes to `codec`: between two places in the file, bytes."""

    stream: int
    codec: str
    last: int
    first: int


@dataclass(frozen=True)
class InputPlan:
    """The range to read of one source. `source` is its index in the request.

    `start_us`/`end_us` are positions relative to the source's beginning at timestamp `origin_us` (`end_us` 0: to the end),
    `duration_us` the duration of the range according to the container (0: unknown). Inputs that are not `attached` are
    concatenated; an attached one runs in parallel, and `align` says what to do if it is shorter. `still`: its only frame is
    shown until the end of the range. `changes`: streams that change their codec midway.
    """

    source: int
    start_us: int
    end_us: int
    origin_us: int
    duration_us: int
    attached: bool = False
    align: AlignMode = AlignMode.NONE
    still: bool = False
    changes: tuple[CodecChange, ...] = ()


@dataclass(frozen=True)
class SubtitleFilePlan:
    """A subtitle file of a source: its index `number` in the source's list, and the offset of its timestamps.

    `language` in ISO 639-2, empty: unknown. `charset` is Python's name of the text encoding, empty if it is not text.
    """

    number: int
    offset_us: int = 0
    language: str = ""
    charset: str = ""


@dataclass(frozen=True)
class PartPlan:
    """The contribution of one input to a stream of an output.

    `stream` is the index of a stream in the input's file, -1: black or silence is generated. `filters` are libav's, in order,
    each `name=arguments`; their input is the range with timestamps that begin at 0. Parts of one `line` are concatenated;
    several lines are mixed. `file`: the stream is that of a subtitle file of the input instead of the input's own.
    """

    stream: int
    filters: tuple[str, ...] = ()
    input: int = 0
    line: int = 0
    file: SubtitleFilePlan | None = None


@dataclass(frozen=True)
class SmartCutPlan:
    """How copied video is cut at the frame: the frames at its `edges` are encoded by `encoder` with `options`. Of several parts
    each has edges of its own, `joined` in their order; else it is empty.
    """

    edges: CutEdges
    encoder: str
    options: Mapping[str, str]
    video: VideoOutput
    joined: tuple[CutEdges, ...] = ()

    @property
    def parts(self) -> tuple[CutEdges, ...]:
        """Return the edges of each part."""
        return self.joined or (self.edges,)

    @property
    def continues(self) -> bool:
        """Return whether encoded frames lead into recovery points, in any part."""
        return any(edges.continues for edges in self.parts)

    @property
    def encoded_frames(self) -> int:
        """Return how many frames are encoded."""
        return sum(edges.encoded_frames for edges in self.parts)


@dataclass(frozen=True)
class StreamPlan:
    """Plan of one stream of an output.

    `counted`: frames and samples are counted on one clock, gaps are filled, and every part is exactly as long as its input;
    else the timestamps of the only part are kept. `encoder` is `copy` for a stream copy; then neither `video` nor `audio` is
    set. `expected_us` is the earliest position in the output at which the stream ends, 0 if the sources do not tell;
    `slack_us` the tolerance of the result. `speed` is the playback speed. `segment_us`: a keyframe is forced on every multiple
    of it, 0: none. `overlays` change the frames before the encoder, in this order. `measured`: the VMAF of the encoder's output
    is measured. `passes`: 2 if a first pass over all frames finds out where bits are needed. `quality`: what its CRF is chosen
    for. `smart_cut`: a copy begins and ends at the frame; else it begins at a keyframe.
    `loudness`: that of audio is measured, or brought to a level, in its `working` format. `ducking`: of lines that are mixed,
    some lower the others. `mastering_display`, `content_light`: HDR metadata that the encoder does not write, so that its
    packets are given them.
    """

    type: StreamType
    parts: tuple[PartPlan, ...]
    codec: str
    encoder: str
    reason: str
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    video: VideoOutput | None = None
    audio: AudioOutput | None = None
    codec_tag: str = ""
    device: str = ""
    expected_us: int = 0
    slack_us: int = 0
    speed: Speed = Fraction(1)
    counted: bool = False
    segment_us: int = 0
    overlays: tuple[OverlayPlan, ...] = ()
    measured: bool = False
    passes: int = 1
    quality: QualityTarget | None = None
    smart_cut: SmartCutPlan | None = None
    loudness: LoudnessPlan | None = None
    ducking: DuckingPlan | None = None
    mastering_display: MasteringDisplay | None = None
    content_light: ContentLight | None = None

    @property
    def begins_at_key(self) -> bool:
        """Whether it makes all streams beside it begin at the keyframe at or before the start."""
        return self.copies_video and self.smart_cut is None

    @property
    def working(self) -> AudioOutput | None:
        """Return what audio is brought to before it is encoded: floats for loudness, so that nothing is cut off."""
        if self.audio is None or self.loudness is None:
            return self.audio
        return dataclasses.replace(self.audio, sample_format=LOUDNESS_FORMAT)

    @property
    def copies_video(self) -> bool:
        """Whether its packets are those of the source's video."""
        return self.type == StreamType.VIDEO and self.encoder == COPY

    @property
    def encodes_video(self) -> bool:
        """Whether its packets are encoded from frames."""
        return self.type == StreamType.VIDEO and self.encoder != COPY

    @property
    def steady(self) -> bool:
        """Whether a filter drops and repeats frames so that their rate is constant."""
        return any(text.startswith("fps=") for part in self.parts for text in part.filters)


@dataclass(frozen=True)
class AttachmentPlan:
    """An attached file that is kept: the stream `stream` of the input `input`."""

    input: int
    stream: int


@dataclass(frozen=True)
class TargetPlan:
    """Plan of one output file; `duration_us` is the expected duration (0: unknown), `muxer` libav's name.

    Files of one target share its `index`: the target's media file, if it has one, and subtitles written to separate files.
    With a `package` the output is many files, and `uri` that of the playlist or manifest. `described_by`: the input whose title
    and other metadata it gets. `field`: the path of the target in the request. With a lower VMAF than `min_vmaf`
    (0: any will do) or more bytes than `max_bytes` (0: no bound) nothing is published.
    """

    index: int
    uri: str
    container: str
    muxer: str
    duration_us: int
    streams: tuple[StreamPlan, ...]
    muxer_options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    keep_metadata: bool = True
    described_by: int = 0
    package: PackagePlan | None = None
    field: str = ""
    attachments: tuple[AttachmentPlan, ...] = ()
    min_vmaf: float = 0.0
    max_bytes: int = 0


@dataclass(frozen=True)
class FramesPlan:
    """Frames that become images; times in microseconds of the concatenated inputs.

    `times_us`: the requested times of average; `interval_us` 0: every frame.
    `number` 0: to the end. `repeats`: a frame is used again for each requested time at which it is displayed.
    """

    mode: FrameMode
    start_us: int = 0
    interval_us: int = 0
    number: int = 0
    threshold: int = 0
    skip_blank: bool = False
    times_us: tuple[int, ...] = ()
    repeats: bool = False


@dataclass(frozen=True)
class SheetPlan:
    """A sprite sheet: thumbnails per row and column, pixels between and around them, and the URIs of its WebVTT and
    playlist."""

    columns: int
    rows: int
    pad: int
    margin: int
    web_vtt_uri: str = ""
    playlist_uri: str = ""

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return the pixels of a full sheet with thumbnails of `width` x `height`."""
        return (
            self.columns * (width + self.pad) - self.pad + 2 * self.margin,
            self.rows * (height + self.pad) - self.pad + 2 * self.margin,
        )


@dataclass(frozen=True)
class ImagePlan:
    """Plan of one image entry; `format` is the extension.

    File n (from 1) has the URI `<prefix><n><suffix>` if they are `numbered`, else all have `<prefix>`. `stream` is the stream
    that encodes them: its filters resize a frame to `width` x `height` in the encoder's format. `key_us`: average distance of
    keyframes. `frame_rate` is that of animations, unless each frame of them is `timed`: shown as long as in the sources.
    `field`: the path of the entry in the request.
    """

    index: int
    kind: ImageKind
    format: str
    prefix: str
    suffix: str
    numbered: bool
    stream: StreamPlan
    frames: FramesPlan
    width: int
    height: int
    reading: FrameAccess
    reason: str
    key_us: int = 0
    duration_us: int = 0
    frame_rate: Rational = Fraction(0)
    sheet: SheetPlan | None = None
    field: str = ""
    timed: bool = False

    def uri(self, number: int) -> str:
        """Return the URI of file `number`."""
        return f"{self.prefix}{number}{self.suffix}" if self.numbered else self.prefix


@dataclass(frozen=True)
class Plan:
    """Plan of a task. `inputs`: first the concatenated ones in order, then the attached ones.

    A target that only lists the segments of another has no plan, and audio that variants of a group share has its own:
    `targets` may differ in number from those of the request.
    """

    targets: tuple[TargetPlan, ...]
    warnings: tuple[str, ...] = ()
    inputs: tuple[InputPlan, ...] = ()
    groups: tuple[GroupPlan, ...] = ()
    images: tuple[ImagePlan, ...] = ()
