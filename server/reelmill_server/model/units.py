"""Chunks of a task for different machines, and the files that they pass to the join."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class VideoUnit:
    """A chunk of all encoded video and of the images taken from it, from `begin_us` to before `end_us` (0: to the end).

    Both are positions in the range of the source, at the source's own speed: all renditions are split at the same frames.
    Decoding starts `lead_us` earlier, at the keyframe at or before, so that filters with memory see the same frames as in a
    single pass.
    """

    number: int
    begin_us: int
    end_us: int
    lead_us: int = 0
    kind: Literal["video"] = "video"


@dataclass(frozen=True)
class WholeUnit:
    """The part of a task that is not split: all encoded audio, and images that depend on their predecessors."""

    number: int
    kind: Literal["whole"] = "whole"


Unit = VideoUnit | WholeUnit


@dataclass(frozen=True)
class SplitRule:
    """When to split a task. `chunk_seconds`: duration of a chunk of the source; `most`: maximum number of chunks;
    `least_seconds`: estimated core seconds from which splitting pays off. `parallelism`: this many chunks regardless of the
    other rules; 1: not split."""

    chunk_seconds: float = 60.0
    most: int = 64
    least_seconds: float = 120.0
    parallelism: int = 0


@dataclass(frozen=True)
class Split:
    """Split of a plan into chunks. Without `units` it is not split; `reason` says why it is or is not.

    `digest` identifies the plan, the split and the encoding `libraries`: files with another digest are not joined. `sources`
    holds size in bytes and modification time of each source of the request: all chunks must see the same ones.
    """

    units: tuple[Unit, ...] = ()
    reason: str = ""
    digest: str = ""
    libraries: str = ""
    sources: tuple[tuple[int, int], ...] = ()

    @property
    def chunks(self) -> int:
        """Return into how many chunks the video is cut, 0: it is not."""
        return sum(unit.kind == "video" for unit in self.units)


@dataclass(frozen=True)
class UnitFile:
    """A file that a chunk produced for one stream of an output, or for one image entry, at `path` below its directory.

    `slot` is the index of the plan's target and `stream` that of the target's stream; -1: `slot` is an index of the plan's
    images. `count`: packets or images in the file.
    """

    unit: int
    slot: int
    stream: int
    path: str
    size_bytes: int
    count: int
