"""A task cut into units that run on different machines, and what they hand to the one that joins them."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class VideoUnit:
    """All encoded video, and the pictures that are taken from it, from `begin_us` to before `end_us` (0: until the end).

    Both are positions in the span of the source, at the source's own speed: all renditions are cut at the same pictures.
    Decoding begins with the key frame at or before `lead_us` earlier, so that filters that look back see what they would have
    seen.
    """

    number: int
    begin_us: int
    end_us: int
    lead_us: int = 0
    kind: Literal["video"] = "video"


@dataclass(frozen=True)
class WholeUnit:
    """What is made of the source in one go, beside the video: all encoded sound, and pictures each of which depends on those
    before it."""

    number: int
    kind: Literal["whole"] = "whole"


Unit = VideoUnit | WholeUnit


@dataclass(frozen=True)
class SplitRule:
    """When a task is cut. `chunk_seconds`: how long a chunk of the source is to be; `most`: how many at most; `least_seconds`:
    how long encoding takes one core at least, by estimate, for it to pay. `parallelism`: so many chunks, whatever the others
    say; 1: none."""

    chunk_seconds: float = 60.0
    most: int = 64
    least_seconds: float = 120.0
    parallelism: int = 0


@dataclass(frozen=True)
class Split:
    """How a plan is cut. No `units`: it is not, and `reason` says why; else why it is.

    `digest` names the plan, the cuts and the `libraries` that encode: files of units that bear another one are not joined.
    `sources` has size in bytes and time of change of each source of the request: units must see the same ones.
    """

    units: tuple[Unit, ...] = ()
    reason: str = ""
    digest: str = ""
    libraries: str = ""
    sources: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class UnitFile:
    """What a unit made for one stream of one output, or for one entry of pictures, at `path` below its directory.

    `slot` is the position in the plan's targets and `stream` that in the target's streams; -1: `slot` is one of the plan's
    images. `count`: packets or pictures in it.
    """

    unit: int
    slot: int
    stream: int
    path: str
    size_bytes: int
    count: int
