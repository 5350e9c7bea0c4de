"""Planned packaging: segments, HLS renditions and master playlists."""

from dataclasses import dataclass

from reelmill_server.model.ladder import LadderPlan
from reelmill_server.model.request import SegmentFormat


@dataclass(frozen=True)
class RenditionPlan:
    """Subtitles in a master playlist; `language` in ISO 639-2, empty: unknown."""

    name: str
    language: str = ""
    default: bool = False
    autoselect: bool = False
    forced: bool = False


@dataclass(frozen=True)
class PackagePlan:
    """Packaging of an output in segments of `segment_us`.

    Segment n has the URI `<prefix><n><suffix>`, n from `start_number`, and the init segment of fragmented MP4
    `<prefix>init.mp4`; with DASH, whose streams are separate files, the stream's index and a dash follow the prefix.
    `hls_uri`: the HLS master playlist that lists the same files, for the target `hls_index`; empty: none. `clock_us`: position
    of the output's 0 on the clock of its segments. `rendition`: the output is subtitles, written as one file and split at the
    end.
    """

    format: SegmentFormat
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
    """An HLS master playlist. `variants`, `audio` and `subtitles` are indexes of the plan's targets; `audio` -1: each variant
    has its own audio. `more_audio`: the renditions beside `audio`, one for each further audio stream. `ladder`: the variants
    are rungs that are made for the sources."""

    uri: str
    variants: tuple[int, ...]
    audio: int = -1
    subtitles: tuple[int, ...] = ()
    more_audio: tuple[int, ...] = ()
    ladder: LadderPlan | None = None

    @property
    def renditions(self) -> tuple[int, ...]:
        """The targets of all audio renditions."""
        return (self.audio, *self.more_audio) if self.audio >= 0 else ()
