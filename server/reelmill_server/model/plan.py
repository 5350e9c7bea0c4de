"""What will run for a task, as plain data that can be printed, compared and stored."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from reelmill_server.model.colour import Matrix, Primaries, Range, Transfer
from reelmill_server.model.request import Corner, DesensitizationSpec, TextSpec
from reelmill_server.model.time import Rational, Speed

COPY = "copy"


@dataclass(frozen=True)
class VideoOutput:
    """What a video encoder is opened with. Sizes in pixels, colour fields as libav's numbers."""

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


@dataclass(frozen=True)
class AudioOutput:
    """What an audio encoder is opened with; `sample_rate` in Hz."""

    sample_rate: int
    layout: str
    sample_format: str


@dataclass(frozen=True)
class InputPlan:
    """The span that is read of one source. `source` is its number in the request.

    `start_us`/`end_us` are positions counted from the source's beginning at timestamp `origin_us` (`end_us` 0: until the end),
    `duration_us` the length that the container promises for the span (0: nothing). Inputs that are not `attached` follow each
    other; an attached one runs beside them, and `align` says what happens when it is shorter: `false`, `loop` or `pad`.
    """

    source: int
    start_us: int
    end_us: int
    origin_us: int
    duration_us: int
    attached: bool = False
    align: str = "false"


@dataclass(frozen=True)
class SubtitleFilePlan:
    """A subtitle file beside a source: its `number` in the source's list, and what is added to its times.

    `language` in ISO 639-2, empty: not said. `charset` is Python's name of the text's encoding, empty for what is no text.
    """

    number: int
    offset_us: int = 0
    language: str = ""
    charset: str = ""


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels of the output, `x` and `y` from its top left corner; it may reach beyond the picture."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class DelogoPlan:
    """A rectangle is filled from what surrounds it, from `begin_us` of the output to before `end_us` (0: until the end)."""

    box: Box
    begin_us: int = 0
    end_us: int = 0
    kind: Literal["delogo"] = "delogo"


@dataclass(frozen=True)
class BlurPlan:
    """Faces and licence plates are looked for and blurred."""

    spec: DesensitizationSpec
    kind: Literal["blur"] = "blur"


@dataclass(frozen=True)
class TextPlan:
    """A text is drawn `dx`, `dy` pixels inwards from a `corner`; its size is known when it is. Times as in DelogoPlan."""

    text: TextSpec
    corner: Corner
    dx: int
    dy: int
    begin_us: int = 0
    end_us: int = 0
    kind: Literal["text"] = "text"


@dataclass(frozen=True)
class PicturePlan:
    """The picture or film of stream `stream` in the file at `uri` is drawn into a rectangle, once `filters` have made it
    upright and RGBA. `decoder`: libav's name of it, empty: the usual one. Times as in DelogoPlan."""

    uri: str
    stream: int
    box: Box
    filters: tuple[str, ...] = ()
    decoder: str = ""
    begin_us: int = 0
    end_us: int = 0
    kind: Literal["picture"] = "picture"


OverlayPlan = DelogoPlan | BlurPlan | TextPlan | PicturePlan
"""What changes the pictures of an output once they have its size and times."""


@dataclass(frozen=True)
class PartPlan:
    """What one input gives to a stream of an output.

    `stream` is the number of a stream in the input's file, -1: black or silence is made. `filters` are libav's, in order, each
    `name=arguments`; they see the span with timestamps that begin at 0. Parts of one `line` follow each other; several lines
    are mixed. `file`: the stream is that of a subtitle file that belongs to the input, and not the input's own.
    """

    stream: int
    filters: tuple[str, ...] = ()
    input: int = 0
    line: int = 0
    file: SubtitleFilePlan | None = None


@dataclass(frozen=True)
class StreamPlan:
    """What is done for one stream of an output.

    `counted`: pictures and samples are counted on one clock, gaps are filled, and every part is exactly as long as its
    input; else the timestamps of the only part are kept. `encoder` is `copy` for a stream copy; then neither `video` nor
    `audio` is set. `expected_us` is where in the output the stream ends at the earliest, 0 when the sources do not say;
    `slack_us` how far the result may be off it. `speed` is the playback speed. `segment_us`: a key frame
    is forced on every multiple of it, 0: none. `overlays` change the encoded pictures, in this order. `measured`: the VMAF of
    what the encoder makes is measured.
    """

    type: str
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


@dataclass(frozen=True)
class RenditionPlan:
    """What a master playlist says of subtitles beside its variants; `language` in ISO 639-2, empty: not said."""

    name: str
    language: str = ""
    default: bool = False
    autoselect: bool = False
    forced: bool = False


@dataclass(frozen=True)
class PackagePlan:
    """How an output is cut in segments of `segment_us`, and how they are listed: `format` is `hls` or `dash`.

    Segment number n goes to the URI `<prefix><n><suffix>`, n from `start_number`, and the head of fragmented MP4 to
    `<prefix>init.mp4`; with DASH, whose streams are files of their own, the stream's number and a dash follow the prefix.
    `hls_uri`: the master playlist of HLS that lists the same files, for the target `hls_index`; empty: none. `clock_us`: where
    the output's 0 lies on the clock of its segments. `rendition`: the output is subtitles, made as one file and cut in the end.
    """

    format: str
    segment_us: int
    prefix: str
    suffix: str
    start_number: int = 0
    hls_uri: str = ""
    hls_index: int = -1
    clock_us: int = 0
    rendition: RenditionPlan | None = None


@dataclass(frozen=True)
class GroupPlan:
    """One master playlist of HLS. `variants`, `audio` and `subtitles` are positions in the plan's targets; `audio` -1: each
    variant has its own sound."""

    uri: str
    variants: tuple[int, ...]
    audio: int = -1
    subtitles: tuple[int, ...] = ()


@dataclass(frozen=True)
class TargetPlan:
    """What is done for one output file; `duration_us` is the expected length (0: not known), `muxer` libav's name.

    Files of one target share its `index`: the target's own file, if it has one, and subtitles written as files of their own.
    With a `package` the output is many files, and `uri` that of the playlist or manifest. `described_by`: the input whose title
    and the like it gets. `field`: the path of the target in the request.
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


@dataclass(frozen=True)
class FramesPlan:
    """Which frames become pictures; times in microseconds of the inputs that follow each other.

    `mode` is interval, keyframe, average or dhash. `times_us`: the asked times of average; `interval_us` 0: every frame.
    `number` 0: until the end. `repeats`: a frame is taken again for each asked time at which it is shown.
    """

    mode: str
    start_us: int = 0
    interval_us: int = 0
    number: int = 0
    threshold: int = 0
    skip_blank: bool = False
    times_us: tuple[int, ...] = ()
    repeats: bool = False


@dataclass(frozen=True)
class SheetPlan:
    """A sheet of small pictures: how many in a row and a column, pixels between and around them, and the URIs of its lists."""

    columns: int
    rows: int
    pad: int
    margin: int
    web_vtt_uri: str = ""
    playlist_uri: str = ""

    def size(self, width: int, height: int) -> tuple[int, int]:
        """The pixels of a full sheet of pictures of `width` x `height`."""
        return (
            self.columns * (width + self.pad) - self.pad + 2 * self.margin,
            self.rows * (height + self.pad) - self.pad + 2 * self.margin,
        )


@dataclass(frozen=True)
class ImagePlan:
    """What is done for one entry of a target's pictures; `kind` is snapshot, sprite or animation, `format` the extension.

    File number n (from 1) goes to the URI `<prefix><n><suffix>` if they are `numbered`, else all go to `<prefix>`. `stream`
    says of what they are made: its filters bring a frame to `width` x `height` as the encoder takes it. `reading` says how the
    frames are found: `shared` with what is decoded anyway, `through` all of the inputs, `seek` each by itself, or `keyframes`
    only. `key_us`: the mean distance of key frames. `frame_rate` is of animations. `field`: the entry's path in
    the request.
    """

    index: int
    kind: str
    format: str
    prefix: str
    suffix: str
    numbered: bool
    stream: StreamPlan
    frames: FramesPlan
    width: int
    height: int
    reading: str
    reason: str
    key_us: int = 0
    duration_us: int = 0
    frame_rate: Rational = Fraction(0)
    sheet: SheetPlan | None = None
    field: str = ""

    def uri(self, number: int) -> str:
        """Where file `number` goes."""
        return f"{self.prefix}{number}{self.suffix}" if self.numbered else self.prefix


@dataclass(frozen=True)
class Plan:
    """What is done for a task. `inputs`: first those that follow each other, in order, then the attached ones.

    A target that only lists what another one makes has no plan of its own, and sound that variants of a group share has one
    beside theirs: `targets` need not be as many as the request's.
    """

    targets: tuple[TargetPlan, ...]
    warnings: tuple[str, ...] = ()
    inputs: tuple[InputPlan, ...] = ()
    groups: tuple[GroupPlan, ...] = ()
    images: tuple[ImagePlan, ...] = ()
