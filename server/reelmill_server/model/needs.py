"""Requirements of a task, known once its sources were probed."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from reelmill_server.model.capability import SOFTWARE
from reelmill_server.model.chunked_plan import ChunkedPlan, SampledPlan
from reelmill_server.model.cost import Cost
from reelmill_server.model.units import Split

FAST = "fast"
"""The queue in which every task starts: its sources are probed, and small tasks are carried out immediately."""


@dataclass(frozen=True)
class Needs:
    """Requirements of a task that is not small.

    `lanes` are encoder families, the preferred first; without `software` at the end an accelerator is required. `sessions`:
    streams to encode on an accelerator. `objection`: why the worker that probed the task cannot carry it out, empty if it can.
    `chunked`: how the work can be split among workers, None if it cannot; `sampled`, in its place: how, once samples have told
    the CRFs (replicas of earlier versions do not know it, and have a single pass search them). `keeps`: the task is so large
    that files of a failed attempt are kept for the next one until they are published. `saved_seconds`: by how much an
    accelerator shortens the task, by estimate; 0: unknown.
    """

    cost: Cost
    lanes: tuple[str, ...] = (SOFTWARE,)
    sessions: int = 0
    objection: str = ""
    chunked: ChunkedPlan | None = None
    keeps: bool = False
    saved_seconds: float = 0.0
    sampled: SampledPlan | None = None

    @property
    def split(self) -> Split | None:
        """How the work can be split among workers, at once or after the search of its CRFs."""
        chunked = self.sampled.chunked if self.sampled else self.chunked
        return chunked.split if chunked else None

    @property
    def search_chunks(self) -> float:
        """How many chunks take as much work as the search of the CRFs that comes before them; 0: there is none."""
        if self.sampled is None:
            return 0
        after = self.sampled.cost.core_seconds
        chunks = self.sampled.chunked.split.chunks
        return min(chunks * (self.cost.core_seconds - after) / after, chunks) if after else chunks

    def whole(self) -> "Needs":
        """Return the requirements of a single pass."""
        return replace(self, chunked=None, sampled=None)

    def for_samples(self) -> "Needs":
        """Return the requirements of encoding a few samples, which leaves nothing on disk."""
        return replace(self, cost=replace(self.cost, scratch_bytes=0))

    def searched(self, chunked: ChunkedPlan) -> "Needs":
        """Return the requirements after the search; `chunked` has the CRFs that were found."""
        assert self.sampled
        return replace(self, cost=self.sampled.cost, sampled=None, chunked=chunked)

    def without(self, families: Collection[str]) -> "Needs":
        """Return the requirements without some encoder families, as far as others are left."""
        lanes = tuple(lane for lane in self.lanes if lane not in families) or self.lanes
        return replace(self, lanes=lanes, sessions=0 if lanes == (SOFTWARE,) else self.sessions)

    def for_unit(self, number: int) -> "Needs":
        """Return the requirements of unit `number`: the memory of the whole task, and a share of its scratch."""
        assert self.chunked
        units = self.chunked.split.units
        cost = replace(self.cost, scratch_bytes=self.cost.scratch_bytes // len(units))
        if any(unit.number == number and unit.kind == "whole" for unit in units):
            cost = replace(cost, cores=min(1.0, cost.cores))  # audio
        return replace(self, cost=cost)

    def for_join(self) -> "Needs":
        """Return the requirements of the join, which encodes nothing."""
        return replace(self, cost=replace(self.cost, cores=min(1.0, self.cost.cores)), sessions=0)


class Deferred(Exception):
    """Raised for a probed task that is not small; it then waits for what it `needs`."""

    def __init__(self, needs: Needs) -> None:
        super().__init__("the task is not small")
        self.needs = needs
