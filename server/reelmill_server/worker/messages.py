"""Messages between a parent and its child: JSON over a pipe.

Not pickle: a child that its media has subverted must not be able to run code in its parent.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from reelmill_server.model.capability import SOFTWARE, Capability, Limits, Sandbox
from reelmill_server.model.media_info import MediaInfo
from reelmill_server.model.plan import Plan
from reelmill_server.model.request import ConvertRequest, Hardware
from reelmill_server.model.sample import SampleScores, StreamSearch, Trial
from reelmill_server.model.task import Artifact, Progress
from reelmill_server.model.units import Split, SplitRule, UnitFile


@dataclass(frozen=True)
class SourceRef:
    """How a child reads an object of `size_bytes` bytes. One of the two is set, the other is -1.

    `descriptor`: a local file, as an index into the open files that the child inherits. `key`: an object elsewhere, as a number
    by which the child requests ranges of it from its parent.
    """

    descriptor: int = -1
    key: int = -1
    size_bytes: int = 0


@dataclass(frozen=True)
class JoinedFile:
    """A file produced by a chunk, and where to read it."""

    file: UnitFile
    ref: SourceRef


@dataclass(frozen=True)
class LookBounds:
    """Limit the memory and the CPU time, in seconds of one core, that a child uses to probe sources and to plan."""

    memory_bytes: int = 1 << 30
    core_seconds: float = 20.0


@dataclass(frozen=True)
class Assignment:
    """Work for a child: `convert` everything, `encode_unit` one chunk only, `try_samples` for the CRFs of a plan, `plan` or
    `probe` the sources, or try the `capabilities`.

    `sources`, `subtitles` (the subtitle files of each source) and `modified_us` (microseconds since the epoch) are in the
    order of the request's sources, `watermarks` by URI. The child may write only in `directory`. `rule`: report whether and
    how the plan can be split. To encode chunk `unit`, to carry out `trials` of the plan's `searches`, or to convert from the
    files of all chunks (`joined`), `plan` and `split` are those planned before. `traced`: report when stages begin and end.
    `held_bytes`: memory that the worker holds for it, by estimate. `excluded`: encoders that are not to be used, with the
    reason. `previews`: report some of the frames.
    """

    action: Literal["convert", "encode_unit", "try_samples", "plan", "probe", "capabilities"]
    limits: Limits
    request: ConvertRequest | None = None
    sources: tuple[SourceRef, ...] = ()
    modified_us: tuple[int, ...] = ()
    directory: str = ""
    capabilities: tuple[Capability, ...] = ()
    encoder_order: tuple[str, ...] = ()
    retry_encoders: tuple[str, ...] = ()
    subtitles: tuple[tuple[SourceRef, ...], ...] = ()
    watermarks: dict[str, SourceRef] = field(default_factory=dict)
    rule: SplitRule | None = None
    plan: Plan | None = None
    split: Split | None = None
    unit: int = -1
    searches: tuple[StreamSearch, ...] = ()
    trials: tuple[Trial, ...] = ()
    joined: tuple[JoinedFile, ...] = ()
    traced: bool = False
    look: LookBounds = field(default_factory=LookBounds)
    held_bytes: int = 0
    excluded: dict[str, str] = field(default_factory=dict)
    previews: bool = False

    @property
    def uses_devices(self) -> bool:
        """Whether the child tries accelerators, or may encode with one that works."""
        if self.action == "capabilities":
            return any(family != SOFTWARE for family in self.encoder_order)
        targets = self.request.targets if self.request else ()
        wanted = any(target.video and target.video.hardware is not Hardware.NEVER for target in targets)
        return wanted and any(known.available and known.device != SOFTWARE for known in self.capabilities)

    @property
    def max_address_bytes(self) -> int:
        """The limit of the child's address space; 0: none, as drivers of accelerators reserve far more than there is."""
        return 0 if self.uses_devices else self.limits.max_address_bytes


@dataclass(frozen=True)
class Ready:
    """The child runs."""

    kind: Literal["ready"] = "ready"


@dataclass(frozen=True)
class Advanced:
    """Progress of the attempt; `position` grows whenever media is processed, in arbitrary units."""

    progress: Progress
    position: Annotated[float, Field(allow_inf_nan=False)]
    kind: Literal["advanced"] = "advanced"


@dataclass(frozen=True)
class Previewed:
    """A frame that was encoded `seconds` into an output: a small JPEG as Base64 (`model.preview`)."""

    seconds: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
    jpeg: str
    kind: Literal["previewed"] = "previewed"


Stage = Literal["probe", "plan", "convert", "verify"]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class StageDone:
    """Beginning and end of a stage in microseconds since the epoch, for traces."""

    stage: Stage
    begin_us: Annotated[int, Field(ge=0, lt=1 << 53)]
    end_us: Annotated[int, Field(ge=0, lt=1 << 53)]
    kind: Literal["stage_done"] = "stage_done"


@dataclass(frozen=True)
class Planned:
    """The plan; the child waits for Go or Exclude before it starts.

    `infos` are in the order of the sources. `split`: how the plan is cut into chunks, or why not; None: no rule was given.
    `searches`: where it is cut, those for the CRFs that it leaves open.
    """

    plan: Plan
    infos: tuple[MediaInfo, ...]
    split: Split | None = None
    searches: tuple[StreamSearch, ...] = ()
    kind: Literal["planned"] = "planned"


@dataclass(frozen=True)
class Closed:
    """The file at `path` in the directory is complete: a segment, or a whole output that was verified."""

    path: str
    kind: Literal["closed"] = "closed"


@dataclass(frozen=True)
class EncoderLost:
    """An encoder failed; the child plans again without it if the request allows another.

    `refused`: it works, but not for the target `target` (its index; -1: unknown); `full`: as it has no session left.
    """

    encoder: str
    device: str
    reason: str
    refused: bool = False
    target: int = -1
    full: bool = False
    kind: Literal["encoder_lost"] = "encoder_lost"


@dataclass(frozen=True)
class Result:
    """A file that was written and verified: its path in the directory, its description, and the paths of the segments that it
    lists.
    """

    path: str
    artifact: Artifact
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Usage:
    """Resources used by a child: CPU time, and peak resident memory."""

    cpu_seconds: Seconds = 0.0
    memory_bytes: Annotated[int, Field(ge=0)] = 0


@dataclass(frozen=True)
class Finished:
    """All outputs are complete; the child exits."""

    made: tuple[Result, ...] = ()
    warnings: tuple[str, ...] = ()
    stage_seconds: dict[Stage, Seconds] = field(default_factory=dict)
    usage: Usage = Usage()
    kind: Literal["finished"] = "finished"


@dataclass(frozen=True)
class ChunkEncoded:
    """A chunk is encoded, its files are in the directory; the child exits."""

    files: tuple[UnitFile, ...]
    warnings: tuple[str, ...] = ()
    stage_seconds: dict[Stage, Seconds] = field(default_factory=dict)
    usage: Usage = Usage()
    kind: Literal["unit_made"] = "unit_made"


@dataclass(frozen=True)
class SamplesTried:
    """All trials of the assignment are carried out; the child exits."""

    tried: tuple[SampleScores, ...]
    stage_seconds: dict[Stage, Seconds] = field(default_factory=dict)
    usage: Usage = Usage()
    kind: Literal["samples_tried"] = "samples_tried"


@dataclass(frozen=True)
class Probed:
    """Contents of the sources, in order; the child exits."""

    infos: tuple[MediaInfo, ...]
    kind: Literal["probed"] = "probed"


@dataclass(frozen=True)
class TrialResults:
    """Capabilities of this machine; the child exits."""

    encoders: tuple[Capability, ...]
    decoders: tuple[Capability, ...]
    versions: dict[str, str]
    filters: tuple[Capability, ...] = ()
    detectors: tuple[Capability, ...] = ()
    sandbox: Sandbox = field(default_factory=Sandbox)
    kind: Literal["tried"] = "tried"


@dataclass(frozen=True)
class Failed:
    """The attempt failed; `fields` are (path, description) pairs of violations. The child exits."""

    code: str
    message: str
    fields: tuple[tuple[str, str], ...] = ()
    kind: Literal["failed"] = "failed"


@dataclass(frozen=True)
class Go:
    """Run the plan."""

    kind: Literal["go"] = "go"


@dataclass(frozen=True)
class Exclude:
    """Do not run the plan: make another without these encoders (name to reason), and those that single targets may not use, by
    index.
    """

    encoders: dict[str, str]
    targets: dict[int, dict[str, str]] = field(default_factory=dict)
    kind: Literal["exclude"] = "exclude"


@dataclass(frozen=True)
class Stop:
    """Exit soon, leaving nothing running."""

    kind: Literal["stop"] = "stop"


LIBRARY_PATHS = ("LD_LIBRARY_PATH", "LIBVA_DRIVERS_PATH", "ONEVPL_SEARCH_PATH", "ONEVPL_PRIORITY_PATH")
"""Variables by which the operator says where drivers of accelerators are: folders, with colons between them."""
KEPT_ENVIRONMENT = (
    *LIBRARY_PATHS,
    "PATH",
    "LANG",
    "LC_ALL",
    "HOME",
    "TMPDIR",
    "SVT_LOG",
    "CUDA_VISIBLE_DEVICES",
    "LIBVA_DRIVER_NAME",
    "PYTHONPATH",
)
"""Variables of its parent's environment that a child gets."""

FromChild = (
    Ready
    | Advanced
    | Previewed
    | StageDone
    | Planned
    | Closed
    | EncoderLost
    | Finished
    | ChunkEncoded
    | SamplesTried
    | Probed
    | TrialResults
    | Failed
)
ToChild = Go | Exclude | Stop

FROM_CHILD: TypeAdapter[FromChild] = TypeAdapter(
    Annotated[FromChild, Field(discriminator="kind")], config=ConfigDict(allow_inf_nan=False)
)
TO_CHILD: TypeAdapter[ToChild] = TypeAdapter(Annotated[ToChild, Field(discriminator="kind")])
ASSIGNMENT: TypeAdapter[Assignment] = TypeAdapter(Assignment)
