"""What a parent and its child say to each other, as JSON over a pipe.

JSON and not pickle: a child that was taken over by its media must not be able to run code in its parent.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from reelmill_server.model.capability import Capability, Limits
from reelmill_server.model.media_info import MediaInfo
from reelmill_server.model.plan import Plan
from reelmill_server.model.request import ConvertRequest
from reelmill_server.model.task import Artifact, Progress
from reelmill_server.model.units import Split, SplitRule, UnitFile


@dataclass(frozen=True)
class SourceRef:
    """Where a child finds an object: at a local `path`, or at its parent, under the number `key` and `size_bytes` long."""

    path: str = ""
    key: int = -1
    size_bytes: int = 0


@dataclass(frozen=True)
class JoinedFile:
    """A file of a unit, and where it lies now."""

    file: UnitFile
    ref: SourceRef


@dataclass(frozen=True)
class Assignment:
    """What a child is to do: `convert` all of it, `encode_unit` only one part of it, only `plan` or `probe` the sources, or try
    the `capabilities`.

    `sources`, `subtitles` (the subtitle files of each source) and `modified_us` (microseconds since the epoch) follow the
    request's sources, `watermarks` are by URI; the child may write below `directory` only. `rule`: whether and how the plan is
    to be split is told with it. To encode a unit, or to convert from what units have made, `plan` and `split` are those that
    were told; `unit` is the one to encode, `joined` has the files of all. `traced`: when
    stages begin and end is told, too.
    """

    action: Literal["convert", "encode_unit", "plan", "probe", "capabilities"]
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
    joined: tuple[JoinedFile, ...] = ()
    traced: bool = False


@dataclass(frozen=True)
class Ready:
    """The child runs."""

    kind: Literal["ready"] = "ready"


@dataclass(frozen=True)
class Advanced:
    """The attempt moved on; `position` grows whenever media moves, in whatever unit."""

    progress: Progress
    position: float
    kind: Literal["advanced"] = "advanced"


Stage = Literal["probe", "plan", "convert", "verify"]


@dataclass(frozen=True)
class StageDone:
    """A stage began and ended, microseconds since the epoch: for traces."""

    stage: Stage
    begin_us: Annotated[int, Field(ge=0, lt=1 << 53)]
    end_us: Annotated[int, Field(ge=0, lt=1 << 53)]
    kind: Literal["stage_done"] = "stage_done"


@dataclass(frozen=True)
class Planned:
    """The plan; the child waits for Go or Exclude before it begins. `infos` follow the sources. `split`: how it is cut,
    or why not; None: no rule was given."""

    plan: Plan
    infos: tuple[MediaInfo, ...]
    split: Split | None = None
    kind: Literal["planned"] = "planned"


@dataclass(frozen=True)
class Closed:
    """What lies at `path` below the directory is finished: a segment, or a whole output that was verified."""

    path: str
    kind: Literal["closed"] = "closed"


@dataclass(frozen=True)
class EncoderLost:
    """An encoder failed; the child plans again without it if the request allows."""

    encoder: str
    device: str
    reason: str
    kind: Literal["encoder_lost"] = "encoder_lost"


@dataclass(frozen=True)
class Made:
    """One result that was written and verified: where its file lies below the directory, what it is, and where the segments lie
    that it lists."""

    path: str
    artifact: Artifact
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Usage:
    """What a child took: CPU time, and resident memory at its peak."""

    cpu_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    memory_bytes: Annotated[int, Field(ge=0)] = 0


@dataclass(frozen=True)
class Finished:
    """All is made; the child ends."""

    made: tuple[Made, ...] = ()
    warnings: tuple[str, ...] = ()
    stage_seconds: dict[str, float] = field(default_factory=dict)
    usage: Usage = Usage()
    kind: Literal["finished"] = "finished"


@dataclass(frozen=True)
class UnitMade:
    """A unit is made: its files lie below the directory; the child ends."""

    files: tuple[UnitFile, ...]
    warnings: tuple[str, ...] = ()
    stage_seconds: dict[str, float] = field(default_factory=dict)
    usage: Usage = Usage()
    kind: Literal["unit_made"] = "unit_made"


@dataclass(frozen=True)
class Probed:
    """What is in the sources, in their order; the child ends."""

    infos: tuple[MediaInfo, ...]
    kind: Literal["probed"] = "probed"


@dataclass(frozen=True)
class Tried:
    """What this machine can do; the child ends."""

    encoders: tuple[Capability, ...]
    decoders: tuple[Capability, ...]
    versions: dict[str, str]
    filters: tuple[Capability, ...] = ()
    detectors: tuple[Capability, ...] = ()
    kind: Literal["tried"] = "tried"


@dataclass(frozen=True)
class Failed:
    """The attempt failed with this error; `fields` are (path, description) pairs of violations. The child ends."""

    code: str
    message: str
    fields: tuple[tuple[str, str], ...] = ()
    kind: Literal["failed"] = "failed"


@dataclass(frozen=True)
class Go:
    """The plan may run."""

    kind: Literal["go"] = "go"


@dataclass(frozen=True)
class Exclude:
    """The plan may not run: make another without these encoders (name to reason)."""

    encoders: dict[str, str]
    kind: Literal["exclude"] = "exclude"


@dataclass(frozen=True)
class Stop:
    """End soon, leaving nothing running."""

    kind: Literal["stop"] = "stop"


KEPT_ENVIRONMENT = (
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
"""What of its parent's environment a child may know."""

FromChild = Ready | Advanced | StageDone | Planned | Closed | EncoderLost | Finished | UnitMade | Probed | Tried | Failed
ToChild = Go | Exclude | Stop

FROM_CHILD: TypeAdapter[FromChild] = TypeAdapter(Annotated[FromChild, Field(discriminator="kind")])
TO_CHILD: TypeAdapter[ToChild] = TypeAdapter(Annotated[ToChild, Field(discriminator="kind")])
ASSIGNMENT: TypeAdapter[Assignment] = TypeAdapter(Assignment)
