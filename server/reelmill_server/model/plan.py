"""What will run for a task, as plain data that can be printed, compared and stored."""

from collections.abc import Mapping
from dataclasses import dataclass, field

COPY = "copy"


@dataclass(frozen=True)
class VideoOutput:
    """What a video encoder is opened with. Sizes in pixels, rates and time bases as `n/d`, colour fields as libav's numbers."""

    width: int
    height: int
    pixel_format: str
    time_base: str
    frame_rate: str
    sample_aspect_ratio: str = "1/1"
    color_space: int = 2
    color_range: int = 0
    color_transfer: int = 2
    color_primaries: int = 2


@dataclass(frozen=True)
class AudioOutput:
    """What an audio encoder is opened with; `sample_rate` in Hz."""

    sample_rate: int
    layout: str
    sample_format: str


@dataclass(frozen=True)
class StreamPlan:
    """What is done for one stream of an output.

    `encoder` is `copy` for a stream copy; then neither `video` nor `audio` is set. `filters` are libav's, in order, each
    `name=arguments`; they see the span's pictures or samples with timestamps that begin at 0. `expected_us` is where in the
    span the stream ends at the earliest, 0 when the source does not say; `slack_us` how far the result may be off it.
    """

    type: str
    source_stream: int
    codec: str
    encoder: str
    reason: str
    filters: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    video: VideoOutput | None = None
    audio: AudioOutput | None = None
    codec_tag: str = ""
    device: str = ""
    expected_us: int = 0
    slack_us: int = 0


@dataclass(frozen=True)
class TargetPlan:
    """What is done for one output file.

    `start_us`/`end_us` are positions in the source counted from its beginning at timestamp `origin_us` (`end_us` 0: until the
    end), `duration_us` the expected length (0: not known), `muxer` libav's name.
    """

    index: int
    uri: str
    container: str
    muxer: str
    start_us: int
    end_us: int
    origin_us: int
    duration_us: int
    streams: tuple[StreamPlan, ...]
    muxer_options: Mapping[str, str] = field(default_factory=dict)
    keep_metadata: bool = True


@dataclass(frozen=True)
class Plan:
    """What is done for a task."""

    targets: tuple[TargetPlan, ...]
    warnings: tuple[str, ...] = ()
