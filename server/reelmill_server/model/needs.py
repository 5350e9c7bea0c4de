"""What a task turned out to need once its sources were looked at, as plain data."""

from dataclasses import dataclass, replace

from reelmill_server.model.capability import SOFTWARE
from reelmill_server.model.chunked import Chunked
from reelmill_server.model.cost import Cost

FAST = "fast"
"""The lane in which every task begins: its sources are looked at, and what is small is done at once."""


@dataclass(frozen=True)
class Needs:
    """What a task that is not small waits for.

    `lanes` are encoder families, the preferred first; without `software` at the end an accelerator is required. `sessions`:
    streams that it would encode on an accelerator. `objection`: why the worker that looked could not do it, empty: it could.
    `chunked`: how the work can be shared among workers, None: not at all. `keeps`: it is so much work that what an attempt has
    made is kept for the next one until it is published.
    """

    cost: Cost
    lanes: tuple[str, ...] = (SOFTWARE,)
    sessions: int = 0
    objection: str = ""
    chunked: Chunked | None = None
    keeps: bool = False

    def for_unit(self, number: int) -> "Needs":
        """What unit `number` of a task needs that is carried out in units: as much memory as all, a share of the scratch."""
        assert self.chunked
        units = self.chunked.split.units
        cost = replace(self.cost, scratch_bytes=self.cost.scratch_bytes // len(units))
        if any(unit.number == number and unit.kind == "whole" for unit in units):
            cost = replace(cost, cores=min(1.0, cost.cores))  # sound
        return replace(self, cost=cost)

    def for_join(self) -> "Needs":
        """What joining units needs: nothing is encoded."""
        return replace(self, cost=replace(self.cost, cores=min(1.0, self.cost.cores)), sessions=0)


class Deferred(Exception):
    """A task that was looked at is not small: it waits for what it `needs`."""

    def __init__(self, needs: Needs) -> None:
        super().__init__("the task is not small")
        self.needs = needs
