"""Data that crosses the engine: small and plain."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from reelmill_server.model.capability import Report
from reelmill_server.model.chunked_plan import KeptFile
from reelmill_server.model.media_info import MediaInfo
from reelmill_server.model.needs import FAST, Needs
from reelmill_server.model.plain import adapter, to_json
from reelmill_server.model.plan import Plan
from reelmill_server.model.request import ConvertRequest, Credentials
from reelmill_server.model.sample import SampleScores, Trial
from reelmill_server.model.task import Artifact, FailedAttempt
from reelmill_server.model.units import Split
from reelmill_server.plan.codec.video_encoders import families_of

MOST_AHEAD = 2


@dataclass(frozen=True)
class UnitResult:
    """Files of a chunk, and warnings for the user."""

    kept: tuple[KeptFile, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Placing:
    """Files that an attempt, named by its activity, is about to publish; `packed` as `engine.pending_files.pack` makes it."""

    activity_id: str
    packed: str


@dataclass(frozen=True)
class Continuation:
    """State that a run of a task's workflow, whose history became long, hands to the next run.

    `number` is the next attempt's, `first_us` when the first began, `failed` those that failed, `percent` how far they came.
    `made` are results of chunks by number; `units_given_up` and `units_used` as in `engine.chunks.Chunks`. `tried`: what came
    of samples.
    """

    number: int = 1
    first_us: int = 0
    failed: tuple[FailedAttempt, ...] = ()
    placings: tuple[Placing, ...] = ()
    made: tuple[tuple[int, UnitResult], ...] = ()
    units_given_up: bool = False
    units_used: bool = False
    percent: int = 0
    tried: tuple[SampleScores, ...] = ()


@dataclass(frozen=True)
class Work:
    """One task's work and its limits (times in seconds). `attempt` counts from 1; `priority` from 1 (first) to 5.

    `weight`: share of its project's tasks of this priority among waiting tasks. `ahead`: how often a worker that had no room
    has returned it, up to MOST_AHEAD: it had its turn. `progress_step`: progress is notified each time it passes so many
    percent; 0: never. `lane`: queue of the current attempt; `needs`: requirements found by the first look;
    `accelerator_seconds`: how long to wait for each accelerator. `kept`: files of chunks that this attempt joins. `trace`:
    span of the call that created the task, as from telemetry.tracing.current. `earlier`: state from an earlier run of the
    task's workflow, not passed to workers. `keep_seconds`: how long what a task that did not succeed has in shared scratch
    stays there, for a retry. `records_at_once`: the outcome is recorded by the step of the workflow that ends it; tasks of
    earlier versions, whose workflows may be replayed, do it in an activity. `memory_bytes`: memory that the attempt needs at
    least, as an earlier one ran out of less; 0: none did. `avoided`: encoders not to use, as their drivers failed.
    `admitted_us`: when its project's quota let in a task that had waited for it, in microseconds since the epoch; 0: it did
    not wait. `heartbeats_announce`: the workflow looks for files that a lost attempt announced in its last heartbeat, too;
    those of earlier versions know signals only.
    """

    request: ConvertRequest
    attempt: int = 1
    priority: int = 3
    max_attempts: int = 3
    timeout_seconds: float = 21600.0
    heartbeat_seconds: float = 15.0
    progress_step: int = 0
    weight: float = 1.0
    accelerator_seconds: float = 30.0
    lane: str = FAST
    needs: Needs | None = None
    kept: tuple[KeptFile, ...] = ()
    trace: str = ""
    ahead: int = 0
    earlier: Continuation | None = None
    keep_seconds: float = 0.0
    records_at_once: bool = False
    memory_bytes: int = 0
    admitted_us: int = 0
    avoided: tuple[str, ...] = ()
    heartbeats_announce: bool = False

    def returned(self) -> "Work":
        """Return the work as a worker without room hands it back. A first look has no turn before those of other projects."""
        if self.needs is None:
            return self
        return replace(self, ahead=min(self.ahead + 1, MOST_AHEAD))

    def avoiding(self, encoders: Sequence[str]) -> "Work":
        """Return the work as it goes on without some encoders, and without the queues of their families where others are."""
        avoided = tuple(dict.fromkeys((*self.avoided, *encoders)))
        return replace(self, avoided=avoided, needs=self.needs and self.needs.without(families_of(avoided)))


@dataclass(frozen=True)
class UnitWork:
    """One chunk of a task; `number` as in the split of the task's needs."""

    work: Work
    number: int


@dataclass(frozen=True)
class SampleWork:
    """Trials of samples of a task, which is to be cut into chunks; `number` is theirs among the units of the task, behind those
    of its chunks.
    """

    work: Work
    number: int
    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class SampleResult:
    """Results of the trials."""

    tried: tuple[SampleScores, ...]


@dataclass(frozen=True)
class AttemptResult:
    """Result of an attempt that succeeded; `started_us` is when it began, microseconds since the epoch; `activity_id` names it
    in the engine. With `needs` nothing was converted: the task is not small. `announced`: the files that its heartbeats
    announced, packed, for whoever ends the task without its workflow.
    """

    artifacts: tuple[Artifact, ...] = ()
    warnings: tuple[str, ...] = ()
    started_us: int = 0
    needs: Needs | None = None
    activity_id: str = ""
    announced: str = ""


@dataclass(frozen=True)
class Withdrawal:
    """Files to remove, in the task's roles."""

    credentials: Credentials
    packed: str


@dataclass(frozen=True)
class Leftovers:
    """Files to clean up after a task that was ended without its workflow.

    `placings`: those that its attempts announced, packed (engine/pending_files.py); its chunks are found by `task_id`.
    """

    task_id: str
    credentials: Credentials
    placings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inspection:
    """An inspection: probe the sources, plan the request, or report the worker's capabilities."""

    action: Literal["probe", "plan", "capabilities"]
    request: ConvertRequest | None = None


@dataclass(frozen=True)
class Inspected:
    """Result of an inspection; what was not requested is None."""

    infos: tuple[MediaInfo, ...] = ()
    plan: Plan | None = None
    split: Split | None = None
    report: Report | None = None


def dump_work(work: Work) -> str:
    """Return `work` as JSON, for the task's record."""
    return to_json(work).decode()


def load_work(text: str) -> Work:
    """Return the work that `dump_work` wrote."""
    work: Work = adapter(Work).validate_json(text)
    return work
